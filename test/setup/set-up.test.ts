/** Set-up as npm calls it, in small clones: with the real npm, without network, on read-only folders, with old programs in its way. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { after, suite, type TestContext, test } from "node:test";
import { folder, freshClone, natsFolder, program, setUp, setUpClone, writeLockfile } from "../support/clone.ts";

/** Nothing listens on port 1: refused at once. */
const NO_REGISTRY = { npm_config_registry: "http://127.0.0.1:1/", npm_config_fetch_retries: "0" };
const PATH = natsFolder({ after });

suite("a clone that is set up", () => {
  test("says nothing and installs nothing", async (t) => {
    const clone = await setUpClone(t);
    assert.deepEqual(await setUp(clone, "test", { PATH, ...NO_REGISTRY }), { code: 0, said: "" });
  });

  test("has a record of the server and the Node that were found", async (t) => {
    const clone = await setUpClone(t);
    await setUp(clone, "test", { PATH });
    const record = recordOf(clone);
    assert.deepEqual([record.natsServer, record.node], [join(PATH, "nats-server"), process.execPath]);
    assert.match(record.natsVersion, /^2\.\d+\.\d+/);
  });

  test("is installed again when the lockfile has other packages, and not when only its bytes changed", async (t) => {
    const clone = await setUpClone(t);
    const lockfile = join(clone, "package-lock.json");
    writeFileSync(lockfile, `${readFileSync(lockfile, "utf8")}\n`);
    assert.deepEqual(await setUp(clone, "check"), { code: 0, said: "" });
    // Installed, in another version.
    mkdirSync(join(clone, "node_modules/left-out"));
    const installed = { packages: { "node_modules/left-out": { version: "0.9.0" } } };
    writeFileSync(join(clone, "node_modules/.package-lock.json"), JSON.stringify(installed));
    writeLockfile(clone, { "left-out": "1.0.0" });
    const { code, said } = await setUp(clone, "check", NO_REGISTRY);
    assert.equal(code, 1);
    assert.match(said, /installing the dependencies \(npm ci\)[\s\S]*SETUP_NO_NETWORK/);
  });

  test("needs nothing written, so it runs from a read-only folder", async (t) => {
    const clone = await setUpClone(t);
    await setUp(clone, "test", { PATH });
    chmodSync(clone, 0o555);
    chmodSync(join(clone, "node_modules"), 0o555);
    assert.deepEqual(await setUp(clone, "test", { PATH }, true), { code: 0, said: "" });
  });
});

suite("a fresh clone", () => {
  test("is installed once when two commands start at the same time", async (t) => {
    const clone = freshClone(t);
    const both = await Promise.all([setUp(clone, "check"), setUp(clone, "check")]);
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    );
    assert.equal(both.filter(({ said }) => said.includes("✓ installing the dependencies")).length, 1);
  });

  test("without network says so, with ways out, and tries again the next time", async (t) => {
    const clone = freshClone(t, { "left-out": "1.0.0" });
    for (const _ of [1, 2]) {
      const { code, said } = await setUp(clone, "test", NO_REGISTRY);
      assert.equal(code, 1);
      assert.match(said, /^SETUP_NO_NETWORK: .*\n(?: {2}- .*\n){3}$/m);
    }
  });

  test("in a read-only folder says so, with ways out", async (t) => {
    const clone = freshClone(t);
    chmodSync(clone, 0o555);
    const { code, said } = await setUp(clone, "test", { HOME: folder(t) }, true);
    assert.equal(code, 1);
    assert.match(said, /^SETUP_READ_ONLY: .*\n(?: {2}- .*\n){2}$/m);
  });

  test("set up without npm says to use it", async (t) => {
    const { code, said } = await setUp(freshClone(t), "test", { npm_execpath: "" });
    assert.equal(code, 1);
    assert.match(said, /^SETUP_NO_NPM: /m);
  });
});

suite("the Node that runs npm", () => {
  test("is refused below 18, by a file that it can still read", async (t) => {
    const { code, said } = await setUp(freshClone(t), "start", pretendNode(t, "16.20.2"));
    assert.equal(code, 1);
    assert.match(said, /^SETUP_OLD_NODE: this is Node 16\.20\.2/);
  });

  test("must be 24 where there is no packaged one", async (t) => {
    const { code, said } = await setUp(await setUpClone(t), "start", pretendNode(t, "20.20.2"));
    assert.equal(code, 1);
    assert.match(said, /^SETUP_NO_NODE_24: there is no packaged Node 24 for /);
  });

  test("serves in place of a packaged one that cannot run here", async (t) => {
    const clone = await setUpClone(t);
    const link = join(clone, "node_modules/.bin/node");
    mkdirSync(join(clone, "node_modules/.bin"));
    program(link, "exit 127");
    const { code, said } = await setUp(clone, "start", { PATH });
    assert.equal(code, 0);
    assert.match(said, /the packaged Node does not run on this machine/);
    assert.ok(!existsSync(link));
  });
});

suite("a nats-server on PATH", () => {
  test("that is too old is skipped with a notice, for the next one", async (t) => {
    const clone = await setUpClone(t);
    const old = natsOfVersion(t, "2.9.10");
    const { code, said } = await setUp(clone, "start", { PATH: [old, PATH].join(delimiter) });
    assert.equal(code, 0);
    assert.match(said, /skipping .*nats-server: 2\.9\.10 is older than 2\.12/);
    assert.equal(recordOf(clone).natsServer, join(PATH, "nats-server"));
  });

  test("below 2.15 is used, with a warning", async (t) => {
    const clone = await setUpClone(t);
    const { code, said } = await setUp(clone, "start", { PATH: natsOfVersion(t, "2.12.3") });
    assert.equal(code, 0);
    assert.match(said, /nats-server 2\.12\.3 .* works; 2\.15 or newer is advised/);
    assert.equal(recordOf(clone).natsVersion, "2.12.3");
  });

  test("is not needed with TIDEMARK_NATS_URL, except by the tests", async (t) => {
    const clone = await setUpClone(t);
    const without = { PATH: folder(t), TIDEMARK_NATS_URL: "nats://127.0.0.1:4222" };
    assert.deepEqual(await setUp(clone, "start", without), { code: 0, said: "" });
    const { code, said } = await setUp(clone, "test", without);
    assert.equal(code, 1);
    assert.match(said, /^SETUP_NO_NATS_SERVER: .*\n(?: {2}- .*\n){3}$/m);
  });

  test("is not needed by the checks", async (t) => {
    assert.deepEqual(await setUp(await setUpClone(t), "check", { PATH: folder(t) }), { code: 0, said: "" });
  });
});

function recordOf(clone: string): { natsServer: string; natsVersion: string; node: string } {
  return JSON.parse(readFileSync(join(clone, "node_modules/.cache/tidemark/setup.json"), "utf8"));
}

function natsOfVersion(t: TestContext, version: string): string {
  const path = folder(t);
  program(join(path, "nats-server"), `echo nats-server: v${version}`);
  return path;
}

function pretendNode(t: TestContext, version: string): Record<string, string> {
  const file = join(folder(t), "pretend.mjs");
  writeFileSync(file, `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`);
  return { NODE_OPTIONS: `--import=file://${file}`, PATH };
}
