/** A shard that is put back to a snapshot while something else is asked of it: real NATS, real state, a snapshot that waits. */
import assert from "node:assert/strict";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import meter from "../../actors/meter/meter.ts";
import { identityOf } from "../../runtime/app.ts";
import { ensureLogStreams } from "../../runtime/log/log-streams.ts";
import { SINGLE } from "../../runtime/log/replication.ts";
import { openSlotMap } from "../../runtime/log/slot-map.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { isSettled } from "../../runtime/shard/hand-over.ts";
import { ShardHost } from "../../runtime/shard/shard-host.ts";
import { SkipList } from "../../runtime/shard/skips.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import type { ReadOptions, SnapshotSource } from "../../runtime/snapshots/snapshot-source.ts";
import { startTestNats } from "../support/nats.ts";
import { memoryResults } from "../support/result-places.ts";

const LIMIT = { timeout: 60_000 };
const SNAPSHOT = { id: "s1", job: "meter", shard: 0 } as ShardManifest;

/** Two running shards; `entered`: the snapshot of a put-back is being read, until `go` or until it is given up. */
async function start(t: TestContext) {
  const nats = await startTestNats(t, { logs: ["meter"] });
  const folder = mkdtempSync(join(tmpdir(), "tidemark-put-back-"));
  const nc = await connectNats({ url: nats.url }, "test");
  const { map } = await openSlotMap(nc, "meter", 2);
  await ensureLogStreams(nc, "meter", map, { maxBytes: 1 << 30 });
  await SkipList.ensure(nc, "meter", SINGLE);
  const entered = Promise.withResolvers<void>();
  const going = Promise.withResolvers<void>();
  const source: SnapshotSource = {
    ofShard: async () => [],
    restore: async (_manifest, _store, { progress, signal }: ReadOptions = {}) => {
      progress?.(1, 2);
      const givenUp = Promise.withResolvers<never>();
      signal?.addEventListener("abort", () => givenUp.reject(signal.reason as Error));
      entered.resolve();
      await Promise.race([going.promise, givenUp.promise]);
    },
  };
  const snapshots = async (): Promise<SnapshotSource> => source;
  const options = {
    nodeId: "n",
    profile: "production",
    codeHash: "v1",
    streamMaxBytes: 1 << 30,
    replication: SINGLE,
    snapshots,
    results: memoryResults(),
  } as const;
  const host = new ShardHost(
    nc,
    options,
    () => {},
    () => {},
  );
  t.after(async () => {
    going.resolve();
    await host.drain();
    await nc.close();
    rmSync(folder, { recursive: true, force: true });
  });
  // Told twice, as by a cluster that has not seen yet what it did, it is done once: two folds would write into one store.
  for (const partition of [0, 1, 0]) host.host(meter, { partition, partitions: 2, folder: join(folder, String(partition)) }, [], "owner");
  assert.equal(host.reports().length, 2);
  await until(() => host.reports().every(({ status }) => status === "running"));
  const restore = () => host.restore(SNAPSHOT, () => {});
  return { host, folder, restore, entered: entered.promise, go: going.resolve };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

test("the node goes on to say how its shards are while one is put back", LIMIT, async (t) => {
  const { host, restore, entered, go } = await start(t);
  const back = restore();
  await entered;
  const [other, own] = host.reports().sort((a, b) => b.shard - a.shard);
  assert.deepEqual([other?.status, own?.status], ["running", "starting"]);
  assert.deepEqual(own?.restoring, { snapshot: "s1", doneBytes: 1, totalBytes: 2 });
  assert.equal(host.changedRows("meter", 0), undefined);
  await assert.rejects(host.settled("meter", 0), { code: "RESTORE_BUSY" });
  await assert.rejects(restore(), { code: "RESTORE_BUSY" });
  go();
  await back;
  await until(() => host.reports().every(({ status }) => status === "running"));
});

test("a job that is dropped while a shard of it is put back is gone, and no file of anybody else is touched", LIMIT, async (t) => {
  const { host, folder, restore, entered } = await start(t);
  const back = assert.rejects(restore(), { code: "GENERATION_MISSING" });
  await entered;
  // These get the descriptors that closing the shard gave back.
  const others = Array.from({ length: 8 }, (_, i) => join(folder, `other-${i}`));
  const files = others.map((name) => openSync(name, "w+"));
  await Promise.all([host.release("meter"), host.release("meter")]);
  await back;
  for (const name of others) assert.equal(readFileSync(name).length, 0);
  for (const file of files) {
    assert.ok(fstatSync(file).isFile());
    closeSync(file);
  }
  assert.deepEqual(host.reports(), []);
  await assert.rejects(restore(), { code: "GENERATION_MISSING" });
});

test("a put-back that is cancelled ends within the shard, which then starts as one without state", LIMIT, async (t) => {
  const { host, restore, entered } = await start(t);
  const back = assert.rejects(restore(), { name: "AbortError" });
  await entered;
  host.cancelRestore("meter", 0);
  await back;
  await until(() => host.reports().every(({ status }) => status === "running"));
});

test("a host that drains gives up what it puts back", LIMIT, async (t) => {
  const { host, restore, entered } = await start(t);
  const back = assert.rejects(restore(), { name: "AbortError" });
  await entered;
  await host.drain();
  await back;
  assert.ok(host.reports().every(({ status }) => status === "starting"));
});

test("a hand-over that was asked for before or during a put-back is not complete without that shard", LIMIT, async (t) => {
  const { host, restore, entered, go } = await start(t);
  const back = restore();
  await entered;
  const next = { ...identityOf(meter, "v2"), version: 2 };
  host.handOver("meter", next);
  const states = () => Object.fromEntries(host.handOvers().map(({ shard, state }) => [shard, state]));
  await until(() => states()[1] === "handed-over");
  assert.equal(states()[0], "asked");
  go();
  await back;
  await until(() => {
    assert.equal(host.handOvers().length, 2);
    return host.handOvers().every(isSettled);
  });
  assert.deepEqual(states(), { 0: "handed-over", 1: "handed-over" });
});
