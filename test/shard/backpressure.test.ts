import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { UNIT_OUTPUTS_MAX } from "../../actors/fold/bounds.ts";
import { WAITING_BYTES_MAX, WAITING_MAX } from "../../runtime/shard/output-flow.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import { T0 } from "../support/entries.ts";
import { MemoryWorld, STEPS_MAX, turn } from "../support/memory-world.ts";
import { runEvent, ScriptLog, type Step, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();

/** Steps until nothing moves any more. */
async function untilStuck(shard: Shard): Promise<void> {
  for (let still = 0, at = "", steps = 0; still < 5; steps++) {
    assert(steps < STEPS_MAX, "the shard never stops reading");
    const result = shard.step();
    await turn();
    still = result === "blocked" && at === shard.fold.position ? still + 1 : 0;
    at = shard.fold.position;
    assert.notEqual(result, "idle", "the whole log was read");
  }
}

async function drained(world: MemoryWorld, shard: Shard): Promise<void> {
  world.broker.releaseAnswers();
  await world.settle(shard);
  await world.drain(shard);
  await world.assertExact();
}

suite("while the output stream does not answer", () => {
  test("reading stops when 32 MiB of outputs wait, and goes on behind the first answers", async () => {
    const BYTES = 200_000;
    const log = new ScriptLog();
    for (let i = 0; i < 220; i++) log.run([{ say: `${i}`.padEnd(BYTES, ".") }], { key: `k${i}` });
    const world = await new MemoryWorld(job).feed(log);
    world.broker.holdAnswers();
    const shard = await world.start({ groupMs: 0, stepEntriesMax: 16 });
    await untilStuck(shard);
    const waiting = shard.fold.meta.outputs * BYTES;
    assert(waiting >= WAITING_BYTES_MAX - BYTES && waiting <= WAITING_BYTES_MAX + 2 ** 20 + 2 * BYTES, `${waiting} bytes`);
    assert(shard.lag >= 40, `${shard.lag} entries are left`);
    assert.equal(world.store.commits, 0);
    await drained(world, shard);
  });

  test("reading stops when some 100,000 small outputs wait, in the middle of an entry if need be", async () => {
    const log = new ScriptLog();
    const steps: Step[] = Array.from({ length: UNIT_OUTPUTS_MAX }, () => ({ say: "" }));
    for (let i = 0; i < 12; i++) log.batch(Array.from({ length: 10 }, (_, n) => runEvent({ id: `${i}-${n}`, steps })));
    const world = await new MemoryWorld(job).feed(log);
    world.broker.holdAnswers();
    const shard = await world.start();
    await untilStuck(shard);
    const { outputs } = shard.fold.meta;
    assert(outputs >= WAITING_MAX * 0.9 && outputs <= WAITING_MAX + UNIT_OUTPUTS_MAX, `${outputs} outputs wait`);
    assert(shard.fold.inEntry);
    world.broker.releaseAnswers();
    await world.settle(shard);
    assert.equal(world.broker.lastSequence, 120_000);
    await world.drain(shard);
  });

  test("reading stops when one group of rows waits to be committed and the next is full", async () => {
    const log = new ScriptLog();
    for (let i = 0; i < 500; i++) log.run([{ add: 1 }, { say: "x" }], { key: `k${i}` });
    const world = await new MemoryWorld(job).feed(log);
    world.broker.holdAnswers();
    const shard = await world.start({ groupRowsMax: 10 });
    await untilStuck(shard);
    // A new key changes two rows: its own, and when its ids are forgotten.
    assert(shard.fold.meta.outputs >= 10 && shard.fold.meta.outputs <= 12, `${shard.fold.meta.outputs} outputs`);
    assert(shard.fold.changedRows <= 12, `${shard.fold.changedRows} rows`);
    await drained(world, shard);
  });

  test("a storm of timers stops between two of them", async () => {
    const log = new ScriptLog();
    const steps: Step[] = Array.from({ length: 50 }, (_, n) => ({ arm: "tick", at: T0 + n, id: `t${n}` }));
    for (let i = 0; i < 40; i++) log.run(steps, { key: `k${i}` });
    log.watermark(T0 + 100);
    const world = await new MemoryWorld(job, { window: { messagesMax: 8 } }).feed(log);
    const shard = await world.start({ groupRowsMax: 50, liveRowsMax: 0 });
    world.broker.holdAnswers();
    await untilStuck(shard);
    assert(shard.fold.inEntry);
    assert(shard.fold.meta.timers > 1_000, `${shard.fold.meta.timers} timers are left`);
    await drained(world, shard);
  });
});

test("one step folds at most the entries that it may", async () => {
  const log = new ScriptLog();
  for (let i = 0; i < 100; i++) log.run([{ add: 1 }], { key: `k${i}` });
  const world = await new MemoryWorld(job).feed(log);
  const shard = await world.start({ stepEntriesMax: 7 });
  shard.step();
  assert.equal(shard.fold.position, "0:7.0");
  assert.equal(shard.lag, 95);
});

test("rows that nobody uses leave memory, and come back as they were", async () => {
  const log = new ScriptLog();
  for (let round = 0; round < 3; round++) for (let i = 0; i < 200; i++) log.run([{ add: 1 }], { id: `${round}-${i}`, key: `k${i}` });
  log.run([{ say: "total" }], { key: "k7" });
  const world = await new MemoryWorld(job).feed(log);
  const shard = await world.start({ groupRowsMax: 5, liveRowsMax: 2 });
  await world.settle(shard);
  await world.drain(shard);
  await world.assertExact();
});
