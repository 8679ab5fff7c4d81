/** LOG_TRIMMED, provoked by a purge past the state's position, and mended by each way that its page names. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { LEDGER_BUILDS, LedgerWorld } from "../support/ledger-world.ts";
import { backUpStream, deleteStream, purgeBefore, restoreStream, type StreamBackup } from "../support/stream-backup.ts";
import { wide } from "../support/wide.ts";

const JOBS = ["ledger", "watch"];

/** Partition 0 was folded to event 10; of the ten more that came while no node ran, the log has lost five. */
async function trimmed(t: TestContext): Promise<{ readonly world: LedgerWorld; readonly backup: StreamBackup }> {
  const world = await LedgerWorld.start(t);
  await world.publish(0, 10);
  await world.untilAllPublished();
  await world.stopNode();
  for (const partition of [0, 1]) await world.publish(partition, 10);
  const backup = await backUpStream(world.nc, "ledger-0");
  await purgeBefore(world.nc, "ledger-0", (await world.logEnd(0)) - 4);
  await world.startNode();
  for (const job of JOBS) assert.equal(await world.haltOf(job, 0), "LOG_TRIMMED");
  assert.match((await world.reasons()).join("\n"), /ledger\/0.*LOG_TRIMMED/);
  for (const job of JOBS) await world.assertOutputs(job, 1);
  await world.stopNode();
  return { world, backup };
}

suite("a log trimmed past the state halts its shards, and others go on", { timeout: 600_000, concurrency: true }, () => {
  test("mended by deleting the state, when a snapshot goes on behind the cut", async (t) => {
    const world = await LedgerWorld.start(t);
    for (const partition of [0, 1]) await world.publish(partition, 10);
    await world.untilAllPublished();
    await world.stopNode();
    const old = world.copyDataDir();
    await world.startNode();
    for (const partition of [0, 1]) await world.publish(partition, 10);
    await world.untilAllPublished();
    await world.snapshot();
    await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
    await world.stopNode();
    // A machine that was put back to an older image.
    old.putBack();
    await world.startNode();
    for (const job of JOBS) for (const partition of [0, 1]) assert.equal(await world.haltOf(job, partition), "LOG_TRIMMED");
    await world.stopNode();
    for (const job of JOBS) for (const partition of [0, 1]) world.deleteState(job, partition);
    await world.startNode();
    for (const partition of [0, 1]) await world.publish(partition, 5);
    for (const job of JOBS) for (const partition of [0, 1]) await world.assertOutputs(job, partition);
    assert.deepEqual(await world.reasons(), []);
  });

  wide("mended by restoring the log from a backup that was taken before", async (t) => {
    const { world, backup } = await trimmed(t);
    await restoreStream(world.nc, backup);
    await world.startNode();
    await world.publish(0, 5);
    for (const job of JOBS) await world.assertOutputs(job, 0);
    assert.deepEqual(await world.reasons(), []);
  });

  wide("mended by a job of a new name, when what is gone counts as never written", async (t) => {
    const { world } = await trimmed(t);
    await world.startNode(LEDGER_BUILDS.renamed);
    world.forget(0, 0, 15);
    await world.publish(0, 5);
    for (const partition of [0, 1]) await world.assertOutputs("ledger-b", partition);
  });

  wide("mended by deleting state and outputs, when what is gone counts as never written", async (t) => {
    const { world } = await trimmed(t);
    for (const job of JOBS) {
      await deleteStream(world.nc, `${job}-out-0`);
      world.deleteState(job, 0);
    }
    await world.startNode();
    world.forget(0, 0, 15);
    await world.publish(0, 5);
    for (const job of JOBS) await world.assertOutputs(job, 0);
    assert.deepEqual(await world.reasons(), []);
  });
});
