/** OUTPUTS_TRUNCATED, provoked by an older backup and by a stream made anew, and mended by each way that its page names. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { LedgerWorld } from "../support/ledger-world.ts";
import { backUpStream, deleteStream, restoreStream } from "../support/stream-backup.ts";
import { wide } from "../support/wide.ts";

/** Both shards have published 20 outputs. That of partition 0 lost the last ten, that of partition 1 all of them. */
async function truncated(t: TestContext) {
  const world = await LedgerWorld.start(t);
  for (const partition of [0, 1]) await world.publish(partition, 10);
  await world.untilAllPublished();
  await world.snapshot();
  const early = await backUpStream(world.nc, "ledger-out-0");
  for (const partition of [0, 1]) await world.publish(partition, 10);
  await world.untilAllPublished();
  await world.snapshot();
  await world.stopNode();
  const late = await Promise.all([0, 1].map((partition) => backUpStream(world.nc, `ledger-out-${partition}`)));
  await restoreStream(world.nc, early);
  await deleteStream(world.nc, "ledger-out-1");
  await world.startNode();
  for (const partition of [0, 1]) await world.publish(partition, 5);
  assert.deepEqual(await Promise.all([world.haltOf("ledger", 0), world.haltOf("ledger", 1)]), ["OUTPUTS_TRUNCATED", "OUTPUTS_TRUNCATED"]);
  assert.match((await world.reasons()).join("\n"), /ledger\/0.*OUTPUTS_TRUNCATED(.|\n)*ledger\/1.*OUTPUTS_TRUNCATED/);
  for (const partition of [0, 1]) await world.assertOutputs("watch", partition);
  await world.stopNode();
  return { world, late };
}

async function assertMended(world: LedgerWorld): Promise<void> {
  await world.startNode();
  for (const partition of [0, 1]) await world.assertOutputs("ledger", partition);
  assert.deepEqual(await world.reasons(), []);
}

suite("output streams that end before the state halt their shards, and others go on", { timeout: 600_000, concurrency: true }, () => {
  test("mended by deleting the state: what is missing is published, byte for byte", async (t) => {
    const { world, late } = await truncated(t);
    for (const partition of [0, 1]) world.deleteState("ledger", partition);
    await assertMended(world);
    // Partition 0 went on from the snapshot whose outputs the stream still had, partition 1 from the log's first entry.
    assert.match(world.node.log, /ledger\/0: restored up to entry/);
    assert.doesNotMatch(world.node.log, /ledger\/1: restored up to entry/);
    // The messages that came again are those that were lost.
    const now = await Promise.all([0, 1].map((partition) => world.outputTexts("ledger", partition)));
    for (const backup of late) await restoreStream(world.nc, backup);
    for (const partition of [0, 1]) assert.deepEqual(now[partition]!.slice(0, 20), await world.outputTexts("ledger", partition));
  });

  wide("mended by restoring the streams from backups that reach the committed counts", async (t) => {
    const { world, late } = await truncated(t);
    for (const backup of late) await restoreStream(world.nc, backup);
    await assertMended(world);
  });
});
