/** Completion, by the shells themselves: bash always, zsh and fish where they are. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { COMMANDS } from "../../api/cli/commands.ts";
import { completionScript, SHELLS, type Shell } from "../../api/cli/framework/completion-script.ts";
import { runCli } from "../support/cli-run.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-completion-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "readings.ndjson"), "");
for (const shell of SHELLS) writeFileSync(join(folder, `script.${shell}`), completionScript(shell, COMMANDS));

const isThere = (shell: Shell): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

/** What the shell offers for the last word of the line. */
const OFFERS: Readonly<Record<Shell, (words: readonly string[]) => string[]>> = {
  bash(words) {
    const script = `source "$1"; shift; COMP_WORDS=(tidemark "$@"); COMP_CWORD=$#; _tidemark 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return linesOf(execFileSync("bash", ["--norc", "-c", script, "bash", join(folder, "script.bash"), ...words], { cwd: folder }));
  },
  zsh(words) {
    // The functions that the completion system would call, said out loud.
    const script = `compdef() { :; }; compadd() { [[ $1 == -- ]] && shift; for each in "$@"; do [[ $each == $cur* ]] && print -r -- $each; done; return 0 }; _files() { for each in $cur*(N); do print -r -- $each; done }; source "$1"; shift; words=(tidemark "$@"); CURRENT=$(($# + 1)); _tidemark`;
    return linesOf(execFileSync("zsh", ["-f", "-c", script, "zsh", join(folder, "script.zsh"), ...words], { cwd: folder }));
  },
  fish(words) {
    const script = `source $argv[1]; complete -C (string join ' ' -- tidemark $argv[2..])`;
    const offered = linesOf(execFileSync("fish", ["--no-config", "-c", script, join(folder, "script.fish"), ...words], { cwd: folder }));
    return offered.map((line) => line.split("\t")[0]!);
  },
};

function linesOf(text: Buffer): string[] {
  return text
    .toString()
    .split("\n")
    .filter((line) => line !== "");
}

for (const shell of SHELLS.filter(isThere)) {
  suite(`completion in ${shell}`, () => {
    const offers = (...words: string[]): string[] => OFFERS[shell](words).sort();

    test("offers commands first", () => {
      assert.deepEqual(offers("sh"), ["shards"]);
      assert.deepEqual(offers("do"), ["doctor"]);
      assert.ok(offers("").includes("publish") && offers("").includes("dead-letters"));
    });

    test("offers the commands of a group behind it", () => assert.deepEqual(offers("dead-letters", ""), ["list", "redrive", "show"]));

    test("offers the options of the command, and those of every command", () => {
      assert.deepEqual(offers("publish", "meter", "--ba"), ["--batch"]);
      assert.deepEqual(offers("dead-letters", "redrive", "--al"), ["--all"]);
      assert.deepEqual(offers("shards", "--u"), ["--url"]);
    });

    test("offers the values that an option can have, and nothing for a number", () => {
      assert.deepEqual(offers("outputs", "--follow", "--from", ""), ["end", "start"]);
      assert.deepEqual(offers("publish", "--batch", ""), []);
    });

    test("offers the values of an argument, and files where a file is meant", () => {
      assert.deepEqual(offers("completion", ""), ["bash", "fish", "zsh"]);
      assert.ok(offers("publish", "meter", "read").includes("readings.ndjson"));
      assert.ok(offers("publish", "--batch", "5", "--json", "meter", "read").includes("readings.ndjson"));
      if (shell !== "fish") assert.deepEqual(offers("publish", "--json", "read"), [], "the log comes first");
      assert.ok(offers("shards", "--token-file", "read").includes("readings.ndjson"));
    });
  });
}

test("every script names every command and every option", () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, COMMANDS);
    for (const { name, options } of COMMANDS) {
      for (const word of name.split(" ")) assert.ok(script.includes(word), `${shell}: ${word}`);
      for (const option of Object.keys(options)) assert.ok(script.includes(option), `${shell}: ${option}`);
    }
  }
});

test("the program prints the script, and refuses a shell that it does not know", async () => {
  const { code, stdout } = await runCli(["completion", "bash"]);
  assert.deepEqual([code, stdout], [0, completionScript("bash", COMMANDS)]);
  const refused = await runCli(["completion", "tcsh"]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /no script for "tcsh", only for bash, zsh, fish/);
});
