import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { isTidemarkError } from "../../runtime/errors.ts";
import { openDataDir } from "../../runtime/store/data-dir.ts";
import { lockByName } from "../../runtime/store/data-dir-lock.ts";

const root = mkdtempSync(join(tmpdir(), "tidemark-dir-"));
after(() => rmSync(root, { recursive: true, force: true }));
let made = 0;
const freshFolder = () => join(root, `d${made++}`);

interface Answer {
  readonly owner?: number;
  readonly nodeId?: string;
  readonly code?: string;
  readonly detail?: string;
}

interface Starter {
  readonly child: ChildProcess;
  take(folder: string): Promise<Answer>;
}

function startStarter(): Starter {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./data-dir-starter.ts", import.meta.url))], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    async take(folder) {
      child.stdin.write(`${folder}\n`);
      const { value } = await lines.next();
      return JSON.parse(value ?? "null") as Answer;
    },
  };
}

async function kill(starter: Starter): Promise<void> {
  const exit = once(starter.child, "exit");
  starter.child.kill("SIGKILL");
  await exit;
}

/** A socket file that nobody listens on, as a killed owner leaves it. */
async function leaveStale(folder: string, name: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const server = createServer();
  const bound = join(folder, "bound");
  await new Promise<void>((resolve) => server.listen(bound, resolve));
  linkSync(bound, join(folder, name));
  await new Promise((resolve) => server.close(resolve));
}

test("a second start on the same directory is refused and names the first one's process, node and start", async () => {
  const folder = freshFolder();
  const first = await openDataDir(folder);
  await assert.rejects(openDataDir(folder), (error: Error) => {
    assert(isTidemarkError(error, "DATA_DIR_LOCKED"));
    assert(error.message.includes(String(process.pid)));
    assert(error.message.includes(first.nodeId));
    return /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/.test(error.message);
  });
  await first.release();
  await (await openDataDir(folder)).release();
});

test("a directory whose owner was killed is taken by the next start, and keeps its node id", async () => {
  const folder = freshFolder();
  const first = startStarter();
  const before = await first.take(folder);
  await assert.rejects(openDataDir(folder), (error: Error) => error.message.includes(String(first.child.pid)));
  await kill(first);
  const next = await openDataDir(folder);
  assert.equal(next.nodeId, before.nodeId);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("lock")),
    ["lock.2"],
  );
  await next.release();
});

test("starters that race for a stale lock: each time exactly one gets it and the others name it", async () => {
  const starters = [startStarter(), startStarter(), startStarter()];
  try {
    for (let round = 0; round < 100; round++) {
      const folder = freshFolder();
      await leaveStale(folder, "lock.3");
      if (round % 2 === 0) await leaveStale(folder, "lock.1");
      const answers = await Promise.all(starters.map((starter) => starter.take(folder)));
      const owners = answers.filter(({ owner }) => owner !== undefined);
      assert.equal(owners.length, 1, JSON.stringify(answers));
      for (const { code, detail, owner } of answers) {
        if (owner !== undefined) continue;
        assert.equal(code, "DATA_DIR_LOCKED", detail);
        assert.match(detail!, new RegExp(`Process ${owners[0]!.owner} `));
      }
    }
  } finally {
    for (const starter of starters) await kill(starter);
  }
});

test("starters that take and give back in a heap never have the directory together", { timeout: 60_000 }, async () => {
  const folder = freshFolder();
  await leaveStale(folder, "lock.5");
  const churner = fileURLToPath(new URL("./data-dir-churner.ts", import.meta.url));
  const exits = [1, 2, 3].map(() => once(spawn(process.execPath, [churner, folder, "150"], { stdio: "inherit" }), "exit"));
  assert.deepEqual(await Promise.all(exits), [
    [0, null],
    [0, null],
    [0, null],
  ]);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.includes("lock")),
    [],
  );
});

test("a directory with a path too long for a socket is locked all the same", { skip: process.platform !== "linux" }, async () => {
  const folder = join(freshFolder(), "long".repeat(30));
  const starter = startStarter();
  await starter.take(folder);
  await assert.rejects(openDataDir(folder), (error: Error) => error.message.includes(String(starter.child.pid)));
  await kill(starter);
  await (await openDataDir(folder)).release();
});

test("a lock by a kernel's name is refused to the second and free after the first", { skip: process.platform !== "linux" }, async () => {
  const holder = { pid: process.pid, startedAt: new Date().toISOString(), nodeId: "n1" };
  const name = `\0tidemark-test-${process.pid}`;
  const first = await lockByName(name, () => holder);
  await assert.rejects(
    lockByName(name, () => holder),
    (error) => isTidemarkError(error, "DATA_DIR_LOCKED"),
  );
  await first.release();
  await (await lockByName(name, () => holder)).release();
});

test("a stopped owner keeps its lock", { timeout: 20_000 }, async () => {
  const folder = freshFolder();
  const starter = startStarter();
  await starter.take(folder);
  starter.child.kill("SIGSTOP");
  await assert.rejects(openDataDir(folder), (error) => isTidemarkError(error, "DATA_DIR_LOCKED"));
  await kill(starter);
});

test("a given node id wins and is not kept; a malformed one is refused", async () => {
  const folder = freshFolder();
  const named = await openDataDir(folder, { nodeId: "eu-1" });
  assert.equal(named.nodeId, "eu-1");
  await named.release();
  const generated = await openDataDir(folder);
  assert.match(generated.nodeId, /^node-[0-9a-f]{12}$/);
  assert.equal(JSON.parse(readFileSync(join(folder, "node.json"), "utf8")).nodeId, generated.nodeId);
  assert.equal(generated.shardFolder("risk", 3), join(folder, "shards", "risk-3"));
  await generated.release();
  await assert.rejects(openDataDir(folder, { nodeId: "a b" }), (error) => isTidemarkError(error, "CONFIG_INVALID"));
  writeFileSync(join(folder, "node.json"), "{}");
  await assert.rejects(openDataDir(folder), (error) => isTidemarkError(error, "STATE_FORMAT"));
});

test("a path below a file is refused with DATA_DIR_UNWRITABLE", async () => {
  mkdirSync(root, { recursive: true });
  const file = join(root, "file");
  writeFileSync(file, "");
  await assert.rejects(openDataDir(join(file, "x")), (error) => isTidemarkError(error, "DATA_DIR_UNWRITABLE"));
});

test("a read-only folder is refused with DATA_DIR_UNWRITABLE", async () => {
  // Root may write into any folder of mode 0555, but not even root into /sys.
  const folder = process.getuid?.() === 0 ? "/sys/tidemark" : freshFolder();
  if (process.getuid?.() !== 0) mkdirSync(folder, { mode: 0o555 });
  await assert.rejects(openDataDir(folder), (error) => isTidemarkError(error, "DATA_DIR_UNWRITABLE"));
});
