/** OUTPUT_DIVERGED, provoked by a foreign message, and mended by each way that its page names. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { LedgerWorld } from "../support/ledger-world.ts";
import { backUpStream, deleteStream, restoreStream } from "../support/stream-backup.ts";
import { wide } from "../support/wide.ts";

/** A foreign message stands behind the 20th output of partition 0; a backup of the stream was taken at the 10th. */
async function diverged(t: TestContext) {
  const world = await LedgerWorld.start(t);
  for (const partition of [0, 1]) await world.publish(partition, 10);
  await world.untilPublished("ledger", 0);
  const backup = await backUpStream(world.nc, "ledger-out-0");
  await world.publish(0, 10);
  await world.untilPublished("ledger", 0);
  await world.nc.request("ledger.out.0.account.foreign", "not ours");
  await world.publish(0, 5);
  assert.equal(await world.haltOf("ledger", 0), "OUTPUT_DIVERGED");
  assert.match((await world.reasons()).join("\n"), /ledger\/0.*OUTPUT_DIVERGED/);
  await world.publish(1, 5);
  await world.assertOutputs("ledger", 1);
  await world.assertOutputs("watch", 0);
  return { world, backup };
}

suite("a foreign message in an output stream halts its shard, and others go on", { timeout: 600_000 }, () => {
  test("mended by deleting stream and state: every output is published again", async (t) => {
    const { world } = await diverged(t);
    await world.stopNode();
    await deleteStream(world.nc, "ledger-out-0");
    world.deleteState("ledger", 0);
    await world.startNode();
    await world.assertOutputs("ledger", 0);
    assert.deepEqual(await world.reasons(), []);
  });

  wide("mended by restoring the stream from before it and deleting the state: what it lacks is published", async (t) => {
    const { world, backup } = await diverged(t);
    await world.stopNode();
    await restoreStream(world.nc, backup);
    world.deleteState("ledger", 0);
    await world.startNode();
    await world.assertOutputs("ledger", 0);
    assert.deepEqual(await world.reasons(), []);
  });
});
