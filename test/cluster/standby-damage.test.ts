/** A standby whose state is damaged, differs or is too old is built anew from a snapshot, and its owner notices nothing. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { HASH_ROW, META_ROW, SUMS_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { readMeta, writeMeta } from "../../actors/fold/meta.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { primitives } from "../../runtime/primitives.ts";
import type { RowChange, ShardStore } from "../../runtime/store/shard-store.ts";
import { METER } from "../support/crash-meter.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, PARTITIONS, pause } from "../support/crash-run.ts";
import { flipped } from "../support/flipped-rows.ts";
import { getJson, sequenceOf, shardsOf } from "../support/node-process.ts";
import { TwoNodes } from "../support/two-nodes.ts";

const job = METER.jobs[0]!;

const nodes = await TwoNodes.start({ after }, { TIDEMARK_SCRUB_EVERY: "0s" });
await nodes.send(7, 600);
await nodes.untilSame(0);

/** Of one that has stopped. */
async function assertRows(i: number): Promise<void> {
  assert.ok((await assertStateEqualsFreshFold({ nc: nodes.nc, dataDir: nodes.cluster.dataDir(i) }, job)) > 0);
}

test("a bit that flips in a standby's state is found by the next scrub, and mended beside the owner", { timeout: 120_000 }, async () => {
  const standby = await nodes.nodeOf("standby", 0);
  const lease = await nodes.leaseOf(0);
  await nodes.alter(standby, 0, flippedBit);
  // What one in the background does as well, at a fiftieth of the pace.
  const scrubbed = operated<{ readonly ok: boolean }>(await nodes.node(standby).ready, "/v1/verifications", { kind: "scrub" });
  // The owner is looked at all the while.
  const mended = nodes.untilSaid(standby, new RegExp(`${job.name}/0: the scrub found damage.* built anew`));
  for (let waits = true; waits; ) {
    const reports = (await nodes.cluster.reports()).flat();
    const owner = reports.find(({ shard, node }) => shard === 0 && node === lease.node)!;
    assert.deepEqual([owner.role, owner.status], ["owner", "running"]);
    waits = await Promise.race([mended.then(() => false), pause(50).then(() => true)]);
  }
  assert.equal((await scrubbed).ok, false);
  assert.match(nodes.node(standby).log, new RegExp(`${job.name}/0: STATE_DAMAGED: .*one bit of the row changed`));
  await nodes.untilSame(0);
  assert.equal(await nodes.metricOf(standby, "tidemark_standby_rebuilds_total", 0), 1);
  assert.equal(await nodes.metricOf(1 - standby, "tidemark_standby_rebuilds_total", 0), undefined);
  await nodes.send(8, 600);
  await nodes.untilSame(0);
  assert.deepEqual(await nodes.leaseOf(0), lease);
  assert.equal(nodes.cluster.log.match(/built anew/g)?.length, 1);
  await nodes.cluster.stop(standby);
  await assertRows(standby);
  assert.ok((await assertEqualsFreshFold(nodes.nc, job)) > 0);
  await nodes.cluster.start(standby).ready;
  await nodes.untilShared();
});

test("an owner that meets a row that it cannot read is taken over from, and what halted stands by", { timeout: 120_000 }, async () => {
  const owner = await nodes.nodeOf("owner", 0);
  // So that it holds no rows in memory.
  await nodes.cluster.stop(owner);
  await assertRows(owner);
  await nodes.cluster.start(owner).ready;
  await nodes.untilShared();
  assert.equal(await nodes.nodeOf("owner", 0), owner);
  await nodes.alter(owner, 0, unreadable);
  // Found by a scrub it is only told of.
  const scrubbed = await operated<{ readonly ok: boolean }>(await nodes.node(owner).ready, "/v1/verifications", { kind: "scrub" });
  assert.equal(scrubbed.ok, false);
  assert.equal(await nodes.nodeOf("owner", 0), owner);
  await nodes.send(9, 600);
  await nodes.untilSaid(owner, new RegExp(`${job.name}/0 halted: STATE_DAMAGED`));
  await nodes.untilSaid(owner, new RegExp(`${job.name}/0: STATE_DAMAGED.* built anew`));
  await nodes.untilSame(0);
  assert.equal(nodes.node(owner).log.match(/built anew/g)?.length, 1);
  await nodes.untilShared();
});

test("a standby whose outputs differ, or that was trimmed past, when its node starts is built anew", { timeout: 120_000 }, async () => {
  const standby = await nodes.nodeOf("standby", 0);
  const lease = await nodes.leaseOf(0);
  await nodes.cluster.stop(standby);
  await assertRows(standby);
  await nodes.alter(standby, 0, otherChain);
  await nodes.cluster.start(standby).ready;
  await nodes.untilSaid(standby, new RegExp(`${job.name}/0: OUTPUT_DIVERGED.* built anew`));
  await nodes.untilSame(0);

  await nodes.cluster.stop(standby);
  await assertRows(standby);
  await nodes.send(10, 600);
  await nodes.cluster.untilSettled(PARTITIONS, ({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs);
  assert.ok((await assertEqualsFreshFold(nodes.nc, job)) > 0);
  const position = await snapshotOf(await nodes.node(1 - standby).ready);
  const jsm = await jetstreamManager(nodes.nc);
  await jsm.streams.purge(`${job.log}-0`, { seq: sequenceOf(position) });
  await nodes.cluster.start(standby).ready;
  await nodes.untilSaid(standby, new RegExp(`${job.name}/0: LOG_TRIMMED.* built anew`));
  const same = await nodes.untilSame(0);
  const restored = same.filter((report) => report.restored !== undefined).map(({ node }) => node);
  assert.deepEqual(restored, [`n${standby}`]);
  await nodes.send(11, 600);
  await nodes.untilSame(0);
  assert.deepEqual(await nodes.leaseOf(0), lease);
});

test("a standby that no snapshot mends is built anew once, and halts", { timeout: 120_000 }, async () => {
  const standby = await nodes.nodeOf("standby", 0);
  const lease = await nodes.leaseOf(0);
  await nodes.cluster.stop(standby);
  await nodes.send(12, 600);
  const reports = await nodes.cluster.untilSettled(PARTITIONS, ({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs);
  const { position } = reports.find(({ shard }) => shard === 0)!;
  await (await jetstreamManager(nodes.nc)).streams.purge(`${job.log}-0`, { seq: sequenceOf(position) });
  await nodes.cluster.start(standby).ready;
  await nodes.untilSaid(standby, new RegExp(`${job.name}/0 did not start: LOG_TRIMMED`));
  assert.equal(nodes.node(standby).log.match(/built anew/g)?.length, 1);
  const owner = (await nodes.cluster.reports()).flat().find(({ node, shard }) => shard === 0 && node === lease.node)!;
  assert.deepEqual([owner.role, owner.status, await nodes.leaseOf(0)], ["owner", "running", lease]);
});

/** Of the first key's row, near its end, where the cells are. */
function flippedBit(store: ShardStore): readonly RowChange[] {
  const [row] = store.scan(TABLE.key, tableEnd(TABLE.key), 1);
  return [flipped(row!, (row!.key.length + row!.value.length - 10) * 8 + 2)];
}

/** Rows of keys that nobody can decode. */
function unreadable(store: ShardStore): readonly RowChange[] {
  return store.scan(TABLE.key, tableEnd(TABLE.key), 1_000).map(({ key }) => ({ key, value: Buffer.of(255) }));
}

/** The outputs have another chain, and nothing in the state says that it did not have it. */
function otherChain(store: ShardStore): readonly RowChange[] {
  const meta = readMeta(store.get(META_ROW)!)!;
  const bytes = writeMeta({ ...meta, chain: `${meta.chain.startsWith("0") ? "1" : "0"}${meta.chain.slice(1)}` });
  const hash = stateHash(StateSums.read(store.get(SUMS_ROW)!), META_ROW, bytes, primitives);
  return [
    { key: META_ROW, value: bytes },
    { key: HASH_ROW, value: Buffer.from(hash) },
  ];
}

/** Runs an operation to its end; gives its result. */
async function operated<T>(url: string, path: string, body: object): Promise<T> {
  const started = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { id } = (await started.json()) as { readonly id: string };
  for (;;) {
    const { status, error, result } = await getJson<{ readonly status: string; readonly error?: unknown; readonly result?: T }>(
      `${url}/v1/operations/${id}`,
    );
    assert.notEqual(status, "failed", JSON.stringify(error));
    if (status === "succeeded") return result!;
    await pause(100);
  }
}

/** Takes a snapshot of all shards; gives the position of the first one's. */
async function snapshotOf(url: string): Promise<string> {
  await operated(url, "/v1/snapshots", { job: job.name });
  return (await shardsOf(url)).find(({ shard, lastSnapshot }) => shard === 0 && lastSnapshot !== null)!.lastSnapshot!.position;
}
