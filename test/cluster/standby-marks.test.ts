/** Marks of the state hash are compared between a standby and its owner: the one that is wrong is named, and a standby mended. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { MARK_EVERY_SEQUENCES } from "../../actors/fold/bounds.ts";
import { HASH_ROW, META_ROW, SUMS_ROW, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { StateSums, stateHash } from "../../actors/fold/state-hash.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { NatsPartitionLog } from "../../runtime/log/nats-partition-log.ts";
import { markDifference } from "../../runtime/node/marks.ts";
import { primitives } from "../../runtime/primitives.ts";
import type { RowChange, ShardStore } from "../../runtime/store/shard-store.ts";
import { slotOfRow } from "../../runtime/verify/scrub-rows.ts";
import { METER } from "../support/crash-meter.ts";
import { assertStateEqualsFreshFold, PARTITIONS } from "../support/crash-run.ts";
import { flipped, keyNamedBy } from "../support/flipped-rows.ts";
import { TwoNodes } from "../support/two-nodes.ts";

const job = METER.jobs[0]!;
const FILL_AT_ONCE = 2_000;

test("only the newest mark that both have is looked at, and only of one history", () => {
  const of = (epochRoot: number, ...hashes: readonly string[]) => ({
    epochRoot,
    marks: hashes.map((hash, i) => ({ sequence: Number(hash.slice(1)) || i + 1, stateHash: hash[0]! })),
  });
  assert.equal(markDifference(of(1), of(1, "a1")), undefined);
  assert.equal(markDifference(of(1, "a1", "b2"), of(1, "a1", "b2", "c3")), undefined);
  assert.equal(markDifference(of(1, "x1", "b2"), of(1, "a1", "b2")), undefined);
  assert.equal(markDifference(of(1, "x1"), of(2, "a1")), undefined);
  assert.deepEqual(markDifference(of(1, "x1"), of(1, "a1")), { sequence: 1, agreed: 0 });
  assert.deepEqual(markDifference(of(1, "a1", "b2", "x3", "y4"), of(1, "a1", "b2", "c3", "d4", "e5")), { sequence: 4, agreed: 2 });
  assert.deepEqual(markDifference(of(1, "x4", "x3"), of(1, "c3")), { sequence: 3, agreed: 0 });
});

test("a standby that differs from its owner is named and built anew; an owner that does is named", { timeout: 120_000 }, async (t) => {
  const nodes = await TwoNodes.start(t, { TIDEMARK_SCRUB_EVERY: "0s" });
  await nodes.send(7, 600);
  for (let shard = 0; shard < PARTITIONS; shard++) await nodes.untilSame(shard);
  const wrong = await nodes.nodeOf("standby", 0);
  const right = 1 - wrong;
  const lease = await nodes.leaseOf(0);

  await nodes.cluster.stop(wrong);
  const keys: string[] = [];
  for (let shard = 0; shard < PARTITIONS; shard++) await nodes.alter(wrong, shard, (store) => otherRow(store, keys));
  const filling = fill(nodes.nc, 0);
  await nodes.cluster.start(wrong).ready;
  // One of them is what it owns: from then on the other node stands by for what is wrong.
  await nodes.untilShared();
  assert.equal(await nodes.nodeOf("owner", 1), wrong);
  await Promise.all([filling, fill(nodes.nc, 1)]);

  await nodes.untilSaid(wrong, new RegExp(`${job.name}/0: behind entry ${MARK_EVERY_SEQUENCES} .* not that of n${right}, its owner`));
  const named = await nodes.untilSaid(wrong, new RegExp(`${job.name}/0: it differs from n${right}.* built anew`));
  assert.match(named, new RegExp(`slot \\d+, key ${JSON.stringify(keys[0])}, actor meter, cell \\w+`));
  await nodes.untilSaid(right, new RegExp(`${job.name}/1: this standby is as its log says, so its owner is wrong.*drain n${wrong}`));
  await nodes.untilSame(0);
  assert.deepEqual(await nodes.leaseOf(0), lease);
  const differences = [0, 1].map((i) => [0, 1].map((shard) => nodes.metricOf(i, "tidemark_standby_differences_total", shard)));
  const counted = await Promise.all(differences.map((each) => Promise.all(each)));
  assert.deepEqual(
    [counted[wrong], counted[right]],
    [
      [1, undefined],
      [undefined, 1],
    ],
  );
  assert.equal(await nodes.metricOf(right, "tidemark_standby_rebuilds_total", 1), undefined);

  for (const i of [wrong, right]) await nodes.cluster.stop(i);
  const rowsOf = (i: number, shard: number) =>
    assertStateEqualsFreshFold({ nc: nodes.nc, dataDir: nodes.cluster.dataDir(i) }, job, PARTITIONS, shard);
  assert.ok((await rowsOf(wrong, 0)) > 0);
  for (const shard of [0, 1]) assert.ok((await rowsOf(right, shard)) > 0);
  await assert.rejects(rowsOf(wrong, 1));
});

/** One bit of the first key's row is another one, and the sums and the hash say that it always was. */
function otherRow(store: ShardStore, keys: string[]): readonly RowChange[] {
  const [row] = store.scan(TABLE.key, tableEnd(TABLE.key), 1);
  const other = flipped(row!, (row!.key.length + row!.value.length - 10) * 8 + 2);
  const sums = StateSums.read(store.get(SUMS_ROW)!);
  const hashOf = ({ key, value }: typeof other): bigint => primitives.rowHash(key, value);
  sums.replace(TABLE.key, slotOfRow(row!)!, hashOf(row!), hashOf(other));
  keys.push(keyNamedBy(row!)!);
  return [
    other,
    { key: SUMS_ROW, value: sums.write() },
    { key: HASH_ROW, value: Buffer.from(stateHash(sums, META_ROW, store.get(META_ROW)!, primitives)) },
  ];
}

/** Entries that no job here folds, until a mark is behind them. */
async function fill(nc: NatsConnection, partition: number): Promise<void> {
  const log = new NatsPartitionLog(nc, job.log, partition);
  const subject = journalSubject(job.log, partition, "nobody");
  while ((await log.bounds()).lastSequence <= MARK_EVERY_SEQUENCES) {
    for (let i = 0; i < FILL_AT_ONCE; i++) nc.publish(subject, "{}");
    await nc.flush();
  }
}
