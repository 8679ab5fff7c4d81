/** Help and docs/cli.md say what the records say. `UPDATE_DOCS=1` writes the page's reference anew. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
import { COMMANDS } from "../../api/cli/commands.ts";
import { commandText, overviewText, referencePage } from "../../api/cli/framework/help-text.ts";
import { runCli, runOnTerminal } from "../support/cli-run.ts";

const PAGE = new URL("../../docs/cli.md", import.meta.url);
const MARK = "<!-- The rest of this page is written from the commands themselves: UPDATE_DOCS=1 node --test test/cli/help.test.ts -->";

suite("help", () => {
  test("about all names every command, and fits a terminal of 100 columns", () => {
    const text = overviewText(COMMANDS);
    for (const { name, summary } of COMMANDS) {
      assert.ok(text.includes(`  ${name}`), name);
      assert.ok(text.replace(/\s+/g, " ").includes(summary), summary);
    }
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  });

  for (const command of COMMANDS) {
    test(`about ${command.name} names its arguments, options and examples, and fits too`, () => {
      const text = commandText(command);
      for (const name of Object.keys(command.arguments)) assert.match(text, new RegExp(`^ {2}[<[]${name}[>…\\]]`, "m"));
      for (const name of [...Object.keys(command.options), "url", "json", "token-file", "help"])
        assert.match(text, new RegExp(`^ {2}--${name}\\b`, "m"));
      for (const { line } of command.examples) assert.ok(text.includes(`\n  ${line}\n`), line);
      const prose = text.split("\nExamples:")[0]!;
      for (const line of prose.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  test("is printed by the program, to stdout, with 0", async () => {
    const { code, stdout, stderr } = await runCli(["publish", "--help"]);
    assert.deepEqual([code, stderr], [0, ""]);
    assert.ok(stdout.startsWith("Usage: tidemark publish <log> [file] [options]\n"));
  });

  test("of a group shows its commands", async () => {
    const { code, stdout } = await runOnTerminal(["dead-letters", "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /^ {2}dead-letters redrive \[ids…\] {2}/m);
  });
});

test("what is not understood goes to stderr, with a code, and ends with 2", async () => {
  const { code, stdout, stderr } = await runCli(["shrads"]);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.match(stderr, /^tidemark: USAGE_INVALID: There is no command "shrads"; did you mean "shards"\? /);
});

test("docs/cli.md says what the commands say", () => {
  const page = readFileSync(PAGE, "utf8");
  const at = page.indexOf(MARK);
  assert.ok(at > 0, "the page has lost its mark");
  const written = `${page.slice(0, at)}${MARK}\n\n${referencePage(COMMANDS)}\n`;
  if (process.env.UPDATE_DOCS === "1") writeFileSync(PAGE, written);
  else assert.equal(page, written);
});
