/** Halts of shards whose log was trimmed: it has no first entry to fold from, and their pages name the other ways. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { LedgerWorld } from "../support/ledger-world.ts";
import { backUpStream, restoreStream } from "../support/stream-backup.ts";
import { wide } from "../support/wide.ts";

const JOBS = ["ledger", "watch"];

/** Ten events in partition 0, and the log cut behind a snapshot of them. */
async function cut(t: TestContext): Promise<LedgerWorld> {
  const world = await LedgerWorld.start(t);
  await world.publish(0, 10);
  await world.untilAllPublished();
  await cutHere(world);
  return world;
}

async function cutHere(world: LedgerWorld): Promise<void> {
  await world.snapshot();
  await world.operation("/v1/logs/ledger/trim", { keep: "0s" });
}

async function publishTen(world: LedgerWorld): Promise<void> {
  await world.publish(0, 10);
  await world.untilAllPublished();
}

async function assertMended(world: LedgerWorld): Promise<void> {
  await world.startNode();
  await world.publish(0, 5);
  for (const job of JOBS) await world.assertOutputs(job, 0);
  assert.deepEqual(await world.reasons(), []);
}

suite("behind a cut", { timeout: 600_000, concurrency: true }, () => {
  test("OUTPUT_DIVERGED is mended by the stream from before the foreign message, and a snapshot", async (t) => {
    const world = await cut(t);
    await publishTen(world);
    const backup = await backUpStream(world.nc, "ledger-out-0");
    await world.nc.request("ledger.out.0.account.foreign", "not ours");
    await world.publish(0, 5);
    assert.equal(await world.haltOf("ledger", 0), "OUTPUT_DIVERGED");
    await world.stopNode();
    await restoreStream(world.nc, backup);
    world.deleteState("ledger", 0);
    await assertMended(world);
  });

  wide("LOG_TRUNCATED, with the tail lost for good, is mended by output streams from before the loss, and a snapshot", async (t) => {
    const world = await cut(t);
    await publishTen(world);
    const backups = await Promise.all(["ledger-0", "ledger-out-0", "watch-out-0"].map((stream) => backUpStream(world.nc, stream)));
    await publishTen(world);
    await world.snapshot();
    await world.stopNode();
    await restoreStream(world.nc, backups[0]!);
    await world.startNode();
    for (const job of JOBS) assert.equal(await world.haltOf(job, 0), "LOG_TRUNCATED");
    await world.stopNode();
    for (const backup of backups.slice(1)) await restoreStream(world.nc, backup);
    for (const job of JOBS) world.deleteState(job, 0);
    world.forget(0, 20);
    await assertMended(world);
  });

  wide("OUTPUTS_TRUNCATED, with a stream older than the oldest snapshot, is mended by a younger backup, and a snapshot", async (t) => {
    const world = await cut(t);
    const early = await backUpStream(world.nc, "ledger-out-0");
    await publishTen(world);
    await cutHere(world);
    const late = await backUpStream(world.nc, "ledger-out-0");
    await publishTen(world);
    await world.stopNode();
    await restoreStream(world.nc, early);
    await world.startNode();
    assert.equal(await world.haltOf("ledger", 0), "OUTPUTS_TRUNCATED");
    await world.stopNode();
    world.deleteState("ledger", 0);
    await world.startNode();
    assert.equal(await world.haltOf("ledger", 0), "LOG_TRIMMED");
    await world.stopNode();
    await restoreStream(world.nc, late);
    world.deleteState("ledger", 0);
    await assertMended(world);
  });
});
