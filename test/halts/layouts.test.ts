/** Damage that is found before or at the start: a state's file, and the layout of a stream. Each mended as its page says. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { LedgerWorld } from "../support/ledger-world.ts";
import { editStream } from "../support/stream-backup.ts";

suite("damage found at the start", { timeout: 600_000, concurrency: true }, () => {
  test("STATE_FORMAT halts the shard whose file is damaged; mended by deleting its folder", async (t) => {
    const world = await LedgerWorld.start(t);
    for (const partition of [0, 1]) await world.publish(partition, 10);
    await world.untilAllPublished();
    await world.stopNode();
    const file = openSync(join(world.dataDir, "shards/ledger-0/data.mdb"), "r+");
    writeSync(file, randomBytes(8_192), 0, 8_192, 0);
    closeSync(file);
    await world.startNode();
    for (const partition of [0, 1]) await world.publish(partition, 5);
    assert.equal(await world.haltOf("ledger", 0), "STATE_FORMAT");
    assert.match((await world.reasons()).join("\n"), /ledger\/0.*STATE_FORMAT/);
    await world.assertOutputs("ledger", 1);
    for (const partition of [0, 1]) await world.assertOutputs("watch", partition);
    await world.stopNode();
    world.deleteState("ledger", 0);
    await world.startNode();
    await world.assertOutputs("ledger", 0);
    assert.deepEqual(await world.reasons(), []);
  });

  const EDITS = {
    LOG_LAYOUT: { stream: "ledger-0", edit: { max_age: 3_600_000_000_000 }, undo: { max_age: 0 }, difference: /max_age is 3600000000000/ },
    OUTPUT_LAYOUT: { stream: "ledger-out-0", edit: { max_msgs: 1_000 }, undo: { max_msgs: -1 }, difference: /max_msgs is 1000/ },
  };
  for (const [code, { stream, edit, undo, difference }] of Object.entries(EDITS)) {
    test(`${code} refuses the start and names the difference; mended by undoing it`, async (t) => {
      const world = await LedgerWorld.start(t);
      await world.publish(0, 10);
      await world.untilAllPublished();
      await world.stopNode();
      await editStream(world.nc, stream, edit);
      await world.publish(0, 5);
      await assert.rejects(world.startNode(), (error: Error) => error.message.includes(code) && difference.test(error.message));
      await editStream(world.nc, stream, undo);
      await world.startNode();
      for (const job of ["ledger", "watch"]) await world.assertOutputs(job, 0);
      assert.deepEqual(await world.reasons(), []);
    });
  }
});
