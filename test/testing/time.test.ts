import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { job as jobOf } from "../../actors/model/job.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import job, { account } from "./apps/accounts.ts";

/** Arms timers at what the event says, counted from its own time; `again` arms itself that often. */
const clock = actor("clock", {
  in: {
    arm: stream("arm", {
      schema: Type.Object({
        event: Type.Array(Type.Integer()),
        processing: Type.Array(Type.Integer()),
        again: Type.Optional(Type.Integer()),
      }),
    }),
  },
  out: { fired: output("fired", { schema: Type.Object({ name: Type.String(), at: Type.Integer(), processingTime: Type.Integer() }) }) },
  state: { left: counter() },
  timers: { event: timer("event"), processing: timer("processing"), again: timer("processing") },
  on: {
    arm(ctx, { event, processing, again }) {
      for (const at of event) ctx.timers.event.at(ctx.now + at, undefined, String(at));
      for (const at of processing) ctx.timers.processing.at(ctx.processingTime + at, undefined, String(at));
      if (again === undefined) return;
      ctx.state.left.add(again);
      ctx.timers.again.at(ctx.processingTime + 10);
    },
    event: (ctx) => ctx.out.fired({ name: "event", at: ctx.now, processingTime: ctx.processingTime }),
    processing: (ctx) => ctx.out.fired({ name: "processing", at: ctx.now, processingTime: ctx.processingTime }),
    again(ctx) {
      ctx.out.fired({ name: "again", at: ctx.now, processingTime: ctx.processingTime });
      if (ctx.state.left.add(-1) > 0) ctx.timers.again.at(ctx.processingTime + 10);
    },
  },
});
const clocks = jobOf("clocks", { log: "clocks", actors: [clock], outOfOrderness: "1s", idleAfter: "10s" });
const START = Date.UTC(2026, 0, 1);

suite("the test's clock", () => {
  test("fires a processing timer at its time, by a tick, and no sooner", async () => {
    const kit = await testJob(clocks);
    await kit.send("arm", "k", { event: [], processing: [1_000, 60_000] });
    await kit.advanceClock(999);
    assert.deepEqual(kit.outputs("fired"), []);
    await kit.advanceClock("1h");
    assert.deepEqual(
      kit.outputs("fired").map(({ data }) => data),
      [
        { name: "processing", at: START + 1_000, processingTime: START + 1_000 },
        { name: "processing", at: START + 60_000, processingTime: START + 60_000 },
      ],
    );
    assert.equal(kit.now, START + 3_600_999);
  });

  test("ticks only while a timer waits for it", async () => {
    const kit = await testJob(clocks);
    const first = parsePosition(await kit.send("arm", "k", { event: [], processing: [5_000] }))!;
    await kit.advanceClock("1d");
    const second = parsePosition(await kit.send("arm", "k", { event: [], processing: [] }))!;
    assert.equal(second.sequence, first.sequence + 2);
  });

  test("ticks at most each 100 ms, as a node does", async () => {
    const kit = await testJob(clocks);
    await kit.send("arm", "k", { event: [], processing: [], again: 5 });
    await kit.advanceClock("1m");
    assert.deepEqual(
      kit.outputs("fired").map(({ data }) => data.processingTime - START),
      [10, 110, 210, 310, 410],
    );
  });

  test("lets the watermark of an idle log follow, and fires what waits for it", async () => {
    const kit = await testJob(clocks);
    await kit.send("arm", "k", { event: [2_000], processing: [] });
    await kit.advanceClock("12s");
    assert.deepEqual(kit.outputs("fired"), []);
    await kit.advanceClock("2s");
    const [fired] = kit.outputs("fired");
    assert.equal(fired?.data.processingTime, START + 13_001);
    assert.equal(kit.watermark, START + 2_001);
  });

  test("moves to an instant, and stays there when it is told the same again", async () => {
    const kit = await testJob(clocks);
    await kit.advanceClockTo("2026-02-01T00:00:00Z");
    await kit.advanceClockTo(kit.now);
    assert.equal(kit.now, Date.UTC(2026, 1, 1));
  });

  test("at once fires what is due by then, however short before a tick was", async () => {
    const kit = await testJob(clocks);
    await kit.send("arm", "k", { event: [], processing: [10, 15] });
    await kit.advanceClockTo(START + 10, { atOnce: true });
    await kit.advanceClockTo(START + 20, { atOnce: true });
    assert.deepEqual(
      kit.outputs("fired").map(({ data }) => data.processingTime - START),
      [10, 20],
    );
  });

  test("is one for all partitions: their ticks come in the order of time", async () => {
    const kit = await testJob(clocks, { partitions: 3 });
    for (const [i, key] of ["a", "b", "c", "d", "e"].entries()) await kit.send("arm", key, { event: [], processing: [500 - i * 100] });
    await kit.advanceClock("1s");
    const times = kit.outputs("fired").map(({ data }) => data.processingTime - START);
    assert.deepEqual(times, [100, 200, 300, 400, 500]);
  });
});

suite("the watermark", () => {
  test("is raised by saying so, and never falls", async () => {
    const kit = await testJob(job);
    assert.equal(kit.watermark, undefined);
    await kit.advanceWatermark("2026-03-01T00:00:00Z");
    await kit.advanceWatermark("2026-02-01T00:00:00Z");
    assert.equal(kit.watermark, Date.UTC(2026, 2, 1));
  });

  test("lets what lives for a while go", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", { amount: 1, shop: "tea" });
    assert.deepEqual(kit.actor(account, "ann")?.expires, [{ cell: "shops", entry: "tea", at: START + 3_600_000 }]);
    await kit.advanceWatermark(START + 3_600_000);
    const { state, expires } = kit.actor(account, "ann")!;
    assert.deepEqual([state.shops, state.byShop, expires], [[], { tea: 1 }, []]);
  });
});
