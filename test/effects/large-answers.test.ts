/** Large answers: few of a shard are in memory at a time, the others wait on the wire. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { slotOf } from "../../actors/model/key.ts";
import { LARGE_MAX } from "../../runtime/effects/bounds.ts";
import type { Caller } from "../../runtime/effects/caller.ts";
import { LargeAnswers } from "../../runtime/effects/large-answers.ts";
import { cloudEvent, readOutputs } from "../support/entries.ts";
import { ExecutedShard } from "../support/executed-shard.ts";
import { measuredJob, reportOf, startReports } from "../support/measured.ts";
import { MemoryWorld } from "../support/memory-world.ts";

const never = new AbortController().signal;

async function place(world: MemoryWorld, chars: readonly number[]): Promise<void> {
  const event = { id: "o1", type: "order.placed", key: "ann", time: Date.now(), data: { chars } };
  await world.log.append(`orders.${slotOf("ann")}.e.ann`, Buffer.from(JSON.stringify(cloudEvent(event))));
}

function charsIn(world: MemoryWorld): number[] {
  const messages = Array.from({ length: world.broker.lastSequence }, (_, i) => world.broker.message(i + 1)!);
  return readOutputs(messages)
    .map(({ data }) => Number(data.chars))
    .sort((a, b) => a - b);
}

suite("room for large answers", () => {
  test("is given in order, to so many, and is nobody's twice", async () => {
    const large = new LargeAnswers(2);
    const entered: string[] = [];
    const enter = (row: string, signal = never): Promise<void> => large.enter(row, signal).then(() => void entered.push(row));
    const over = new AbortController();
    void enter("a");
    void enter("b");
    void enter("c");
    void enter("d", over.signal);
    void enter("e");
    void enter("a");
    await undefined;
    await new Promise(setImmediate);
    assert.deepEqual(entered, ["a", "b", "a"]);
    // Whoever is called off waits no more, and has no room.
    over.abort();
    await new Promise(setImmediate);
    large.leave("d");
    assert.deepEqual(entered, ["a", "b", "a", "d"]);
    large.leave("b");
    large.leave("b");
    await new Promise(setImmediate);
    assert.deepEqual(entered.slice(4), ["c"]);
    large.leave("a");
    large.leave("c");
    await new Promise(setImmediate);
    assert.deepEqual(entered.slice(5), ["e"]);
  });
});

test("of a shard whose log is full only so many come whole; when there is room all do", { timeout: 60_000 }, async (t) => {
  const server = await startReports(t);
  const world = new MemoryWorld(measuredJob(server.url));
  const executed = await ExecutedShard.start(world);
  executed.log.state = "full";
  const chars = Array.from({ length: 20 }, (_, i) => 1_500_000 + i);
  await place(world, chars);
  await executed.until(() => server.seen.length === 20 && executed.log.refused >= 2, "results that wait");
  // What came whole waits to be appended, and is in flight no more.
  assert(executed.executor.measures().inFlight.length >= 20 - LARGE_MAX);
  executed.log.state = "open";
  await executed.untilAnswered();
  assert.deepEqual(charsIn(world), chars);
  assert.equal(server.seen.length, 20);
  await executed.stop();
  await world.assertExact();
});

test("an answer that no entry takes, whoever gave it, is a failure, and the ones behind it go on", { timeout: 60_000 }, async () => {
  const world = new MemoryWorld(measuredJob("http://x"));
  const caller: Caller = {
    inFlightMax: 10,
    originInFlightMax: 10,
    originOf: () => "x",
    call: async ({ input }) => ({ output: { report: reportOf((JSON.parse(input) as { readonly chars: number }).chars) } }),
  };
  const executed = await ExecutedShard.start(world, { callers: new Map([["http", caller]]) });
  await place(world, [10, 5_000_000, 20]);
  await executed.untilAnswered();
  assert.deepEqual(charsIn(world), [0, 10, 20]);
  await executed.stop();
});
