/** LOG_TRUNCATED, provoked by a log that is put back to an older backup, and mended by each way that its page names. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { LedgerWorld } from "../support/ledger-world.ts";
import { backUpStream, deleteStream, restoreStream, type StreamBackup } from "../support/stream-backup.ts";
import { wide } from "../support/wide.ts";

const JOBS = ["ledger", "watch"];

/** 20 events in partition 0, 10 of them in the early backup of its log; the node has stopped and the log is the early one. */
async function shortened(t: TestContext): Promise<{ readonly world: LedgerWorld; readonly late: StreamBackup }> {
  const world = await LedgerWorld.start(t);
  await world.publish(0, 10);
  await world.untilAllPublished();
  const early = await backUpStream(world.nc, "ledger-0");
  for (const partition of [0, 1]) await world.publish(partition, 10);
  await world.untilAllPublished();
  await world.snapshot();
  await world.stopNode();
  const late = await backUpStream(world.nc, "ledger-0");
  await restoreStream(world.nc, early);
  return { world, late };
}

async function assertHalted(world: LedgerWorld): Promise<void> {
  for (const job of JOBS) assert.equal(await world.haltOf(job, 0), "LOG_TRUNCATED");
  assert.match((await world.reasons()).join("\n"), /ledger\/0.*LOG_TRUNCATED/);
  await world.publish(1, 5);
  for (const job of JOBS) await world.assertOutputs(job, 1);
  await world.stopNode();
}

async function assertMended(world: LedgerWorld): Promise<void> {
  await world.startNode();
  await world.publish(0, 5);
  for (const job of JOBS) await world.assertOutputs(job, 0);
  assert.deepEqual(await world.reasons(), []);
}

suite("a log that ends before the state halts its shards, and others go on", { timeout: 600_000, concurrency: true }, () => {
  test("mended by restoring the log from a backup that reaches the state", async (t) => {
    const { world, late } = await shortened(t);
    await world.startNode();
    await assertHalted(world);
    await restoreStream(world.nc, late);
    await assertMended(world);
  });

  wide("mended, when the tail is lost for good, by deleting state and outputs; what was lost may be published again", async (t) => {
    const { world } = await shortened(t);
    await world.startNode();
    await assertHalted(world);
    for (const job of JOBS) {
      await deleteStream(world.nc, `${job}-out-0`);
      world.deleteState(job, 0);
    }
    await world.startNode();
    await world.publishAgain(0, 10);
    await world.publish(0, 5);
    for (const job of JOBS) await world.assertOutputs(job, 0);
    assert.deepEqual(await world.reasons(), []);

    // The snapshot of the lost tail is there still, and nobody begins from it.
    await world.stopNode();
    world.deleteDataDir();
    await assertMended(world);
    assert.match(world.node.log, /ledger\/0: the snapshot \S+ is passed over: the log lost its entry \d+ and holds another one there/);
  });

  wide("also when it was filled again behind the state, which is found by the time of the entry there", async (t) => {
    const { world, late } = await shortened(t);
    await world.publishAgain(0, 10);
    await world.publish(0, 30);
    await world.startNode();
    await assertHalted(world);
    world.forget(0, 20);
    await restoreStream(world.nc, late);
    await assertMended(world);
  });

  wide("also without state, when it gives fewer outputs than the stream has", async (t) => {
    const { world, late } = await shortened(t);
    for (const job of JOBS) world.deleteState(job, 0);
    await world.startNode();
    await assertHalted(world);
    await restoreStream(world.nc, late);
    await assertMended(world);
  });
});
