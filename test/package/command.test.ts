/** The command of the package, as an old Node, a shell and a service manager run it. What it starts stands for the real command line. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { folder, program } from "../support/clone.ts";
import { NO_TERMINAL, ROOT, type Running, run } from "../support/packed.ts";

/** Says what it was given, then does as told. */
const COMMAND_LINE = `
  const [how, value] = process.argv.slice(2);
  const say = (...words) => process.stdout.write(words.join(" ") + "\\n");
  say("node", process.env.PACKAGED_NODE ?? "own", "args", JSON.stringify(process.argv.slice(2)));
  if (how === "exit") process.exit(Number(value));
  if (how === "wait") {
    let told = 0;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => { told++; say(signal, told); });
    process.on("SIGUSR2", () => process.exit(told));
    setInterval(() => {}, 1000);
    say("waiting", process.pid, process.ppid);
  }
  if (how === "die") process.kill(process.pid, "SIGKILL");
`;
const NODE_PACKAGE = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
const TIMEOUT_MS = 60_000;

suite("the command", { timeout: TIMEOUT_MS }, () => {
  test("runs on the Node that came with the package, with its arguments and its exit code", async (t) => {
    const { code, stdout } = await command(installed(t, "works"), ["exit", "7", "a b", "--c"]).ended;
    assert.deepEqual([code, stdout], [7, 'node packaged args ["exit","7","a b","--c"]\n']);
  });

  test("runs on the Node that runs it where none came with the package", async (t) => {
    const { code, stdout } = await command(installed(t, "absent"), ["exit", "7"], pretend(t, { arch: "none" })).ended;
    assert.deepEqual([code, stdout], [7, 'node own args ["exit","7"]\n']);
  });

  test("runs on the Node that runs it where the one that came cannot run", async (t) => {
    const { code, stdout } = await command(installed(t, "broken"), ["exit", "7"]).ended;
    assert.deepEqual([code, stdout], [7, 'node own args ["exit","7"]\n']);
  });

  for (const [node, what] of [
    ["absent", /^SETUP_NO_NODE_24: no Node 24 for \S+ was installed with tidemark, and this is Node 20\.20\.2\./],
    ["broken", /^SETUP_NO_NODE_24: the Node 24 that was installed with tidemark does not run on this machine/],
  ] as const) {
    test(`says what to do on an old Node when the one of the package is ${node}`, async (t) => {
      const old = pretend(t, { version: "20.20.2", ...(node === "absent" ? { arch: "none" } : {}) });
      const { code, stdout, stderr } = await command(installed(t, node), ["exit", "0"], old).ended;
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, what);
      assert.equal(stderr.match(/^ {2}- /gm)?.length, 2);
    });
  }

  test("is refused below Node 18, by a file that it can still read", async (t) => {
    const { code, stderr } = await command(installed(t, "works"), ["exit", "0"], pretend(t, { version: "16.20.2" })).ended;
    assert.equal(code, 1);
    assert.match(stderr, /^SETUP_OLD_NODE: this is Node 16\.20\.2/);
  });
});

suite("a signal to the command", { timeout: TIMEOUT_MS }, () => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    test(`${signal} reaches what it runs, once, and the exit code comes back`, async (t) => {
      const running = command(installed(t, "works"), ["wait"]);
      const [, pid] = await running.said(/waiting (\d+)/);
      t.after(() => end(Number(pid)));
      running.kill(signal);
      await running.said(new RegExp(`${signal} 1`));
      process.kill(Number(pid), "SIGUSR2");
      assert.equal((await running.ended).code, 1);
    });
  }

  test("that ends what it runs ends it in the same way", async (t) => {
    assert.equal((await command(installed(t, "works"), ["die"]).ended).signal, "SIGKILL");
  });

  test("by Ctrl-C on a terminal comes once, for the terminal has sent it to both", { skip: NO_TERMINAL }, async (t) => {
    const words = [process.execPath, join(installed(t, "works"), "setup/tidemark.mjs"), "wait"];
    // `exec`, for a shell that stays in between gets the Ctrl-C too, and answers with a code of its own.
    const terminal = run("script", ["-qec", `exec ${words.map((word) => `'${word}'`).join(" ")}`, "/dev/null"], ROOT);
    const [, pid, launcher] = await terminal.said(/waiting (\d+) (\d+)/);
    t.after(() => end(Number(pid)));
    terminal.type("\u0003");
    await terminal.said(/SIGINT 1/);
    // Whatever the command does with the first signal, it does before it looks at the second.
    process.kill(Number(launcher), "SIGTERM");
    await terminal.said(/SIGTERM 2/);
    process.kill(Number(pid), "SIGUSR2");
    assert.equal((await terminal.ended).code, 2);
  });
});

/** The package as npm installs it: the command as it is, and beside it the platform's Node. */
function installed(t: TestContext, node: "works" | "broken" | "absent"): string {
  const modules = join(folder(t), "node_modules");
  const place = join(modules, "tidemark");
  cpSync(join(ROOT, "setup"), join(place, "setup"), { recursive: true });
  mkdirSync(join(place, "dist/api/cli"), { recursive: true });
  writeFileSync(join(place, "package.json"), '{ "type": "module" }');
  writeFileSync(join(place, "dist/api/cli/tidemark.js"), COMMAND_LINE);
  if (node === "absent") return place;
  mkdirSync(join(modules, NODE_PACKAGE, "bin"), { recursive: true });
  writeFileSync(join(modules, NODE_PACKAGE, "package.json"), "{}");
  const file = join(modules, NODE_PACKAGE, "bin/node");
  program(file, `PACKAGED_NODE=packaged exec '${process.execPath}' "$@"`);
  // The interpreter that it asks for is not there, as on a system with another C library.
  if (node === "broken") writeFileSync(file, "#!/no/such/loader\n");
  return place;
}

function command(place: string, args: readonly string[], env: Record<string, string> = {}): Running {
  return run(process.execPath, [join(place, "setup/tidemark.mjs"), ...args], ROOT, env);
}

/** Another Node, or one for a platform that no folder above, whatever it holds, has a package for. */
function pretend(t: TestContext, { version = process.versions.node, arch = process.arch }: { version?: string; arch?: string }) {
  const file = join(folder(t), "pretend.mjs");
  const versions = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`;
  writeFileSync(file, `${versions}\nObject.defineProperty(process, "arch", { value: "${arch}" });`);
  return { NODE_OPTIONS: `--import=file://${file}` };
}

/** Whatever a failed test left running. */
function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended, as it should.
  }
}
