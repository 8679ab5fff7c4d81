/** History threads of several builds: bounded, ended when nobody has them, by themselves. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { loadApp } from "../../runtime/app.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { type HistoryThread, startHistoryThread } from "../../runtime/history/history-thread.ts";
import { HistoryThreads } from "../../runtime/history/history-threads.ts";
import type { SnapshotSettings } from "../../runtime/snapshots/open-catalogue.ts";
import { startTestNats } from "../support/nats.ts";

const INDEX = new URL("../../index.ts", import.meta.url).href;
const folder = mkdtempSync(join(tmpdir(), "tidemark-threads-"));
after(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
const nats = await startTestNats({ after }, { logs: ["counted"] });

const snapshots: SnapshotSettings = {
  snapshots: { kind: "directory", path: join(folder, "snapshots") },
  s3Endpoint: undefined,
  keysFile: undefined,
  maxBytes: 1024 * 1024,
  replicas: 1,
};

interface Build {
  readonly app: string;
  readonly codeHash: string;
}

const builds: Build[] = [];
for (const version of [1, 2, 3, 4]) {
  const app = join(folder, `app-${version}.ts`);
  writeFileSync(
    app,
    `import { actor, job, stream, Type } from ${JSON.stringify(INDEX)};
const counted = actor("counted", { version: ${version}, in: { it: stream("it", { schema: Type.Unknown() }) }, on: { it() {} } });
export default job("counted", { log: "counted", actors: [counted] });
`,
  );
  builds.push({ app, codeHash: (await loadApp(app)).codeHash });
}
const [own, ...others] = builds as [Build, Build, Build, Build];

/** Real threads; what ended, in order, and with which exit code. */
function world(makeIdle: () => Promise<boolean> = async () => false) {
  const ended: [Build, number][] = [];
  const running = new Set<HistoryThread>();
  const lost: string[] = [];
  let watched = 0;
  const life = {
    lost: (error: Error) => void lost.push(error.message),
    watch: () => {
      watched++;
      return () => void watched--;
    },
  };
  const threads = new HistoryThreads({
    codeHash: own.codeHash,
    makeIdle,
    async start(codeHash, app = own.app) {
      const setup = { app, settings: {}, snapshots };
      const thread = await startHistoryThread({ setup, codeHash, nats: { url: nats.url }, nodeId: "n", life });
      running.add(thread);
      void once(thread.worker, "exit").then(([code]) => {
        running.delete(thread);
        ended.push([builds.find((build) => build.codeHash === codeHash)!, code as number]);
      });
      return thread;
    },
  });
  const take = (build: Build) => threads.take(build.codeHash, build.app);
  const stop = async () => {
    for (const thread of running) await thread.end();
    assert.deepEqual([watched, lost], [0, []], "none is watched behind its end, and none was lost");
  };
  return { threads, take, ended, running, stop };
}

suite("history threads", { timeout: 120_000 }, () => {
  test("of other builds are two at most: the one that nobody has ends by itself for a third", async () => {
    const { threads, take, ended, running, stop } = world();
    const mine = await take(own);
    assert.equal(await threads.own(), mine);
    const first = await take(others[0]);
    const second = await take(others[1]);
    assert.equal(await take(others[0]), first);
    threads.release(second);
    const third = await take(others[2]);
    assert.deepEqual(ended, [[others[1], 0]]);
    assert.deepEqual(running, new Set([mine, first, third]));
    assert.equal(await third.call("code hash", (remote) => remote.codeHash()), others[2].codeHash);
    await stop();
  });

  test("that are all in use are refused to a third build, until one is given back as often as it was taken", async () => {
    const { threads, take, ended, stop } = world();
    const first = await take(others[0]);
    await take(others[0]);
    await take(others[1]);
    threads.release(first);
    await assert.rejects(take(others[2]), (error) => isTidemarkError(error, "OPERATIONS_BUSY"));
    assert.deepEqual(ended, []);
    threads.release(first);
    await take(others[2]);
    assert.deepEqual(ended, [[others[0], 0]]);
    await stop();
  });

  test("that hold only what is kept for later are given back for a third build, asked for twice at once", async () => {
    let kept: HistoryThread | undefined;
    const { threads, take, ended, running, stop } = world(async () => {
      if (kept === undefined) return false;
      threads.release(kept);
      kept = undefined;
      return true;
    });
    kept = await take(others[0]);
    await take(others[1]);
    const [third, again] = await Promise.all([take(others[2]), take(others[2])]);
    assert.equal(third, again);
    assert.deepEqual(ended, [[others[0], 0]]);
    assert.equal(running.size, 2);
    await stop();
  });

  test("of a build that does not load is told by a code, and none is lost", async () => {
    const { threads, running, stop } = world();
    const broken = join(folder, "broken.ts");
    writeFileSync(broken, 'throw new Error("not here");\n');
    const refused = (error: unknown): boolean =>
      isTidemarkError(error, "CODE_UNAVAILABLE") && /does not load: .*not here/.test(error.detail);
    await assert.rejects(threads.take("f".repeat(64), broken), refused);
    assert.deepEqual([threads.others, running.size], [0, 0]);
    await stop();
  });
});
