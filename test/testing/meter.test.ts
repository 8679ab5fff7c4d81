/** The meter job under the test kit: the example that docs/testing.md shows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import job, { meter } from "../../actors/meter/meter.ts";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const NOON = Date.UTC(2026, 0, 15, 12);

test("a day's readings give one total when the watermark reaches the day's end", async () => {
  const kit = await testJob(job, { start: NOON });
  await kit.send("reading", "d1", { deviceId: "d1", value: 1.5 });
  await kit.advanceClock("1h");
  kit.takeOutputs();
  await kit.send("reading", "d1", { deviceId: "d1", value: 0.25 });
  await kit.advanceWatermark("2026-01-15T23:59:59.999Z");
  assert.deepEqual(kit.outputs("dailyTotal"), []);
  await kit.advanceWatermark("2026-01-16T00:00:00Z");
  const [total, ...more] = kit.outputs("dailyTotal");
  assert.deepEqual(total?.data, { deviceId: "d1", day: "2026-01-15", count: 2, total: 1.75 });
  assert.equal(total?.causeId, "e1");
  assert.deepEqual(more, []);
});

test("a reading behind a reported day emits the day again with revisions", async () => {
  const kit = await testJob(job, { start: NOON });
  const reading = { deviceId: "d1", value: 1 };
  await kit.send("reading", "d1", reading);
  await kit.advanceWatermark("2026-01-16T00:00:00Z");
  await kit.send("reading", "d1", reading, { time: NOON + 1 });
  await kit.send("reading", "d1", reading, { time: NOON + 2 });
  assert.deepEqual(
    kit.outputs("dailyTotal").map(({ data }) => [data.count, data.revision]),
    [
      [1, undefined],
      [2, 1],
      [3, 2],
    ],
  );
});

test("a silent device is noted once, five minutes of log time after its last reading", async () => {
  const kit = await testJob(job, { start: NOON });
  await kit.send("reading", "d1", { deviceId: "d1", value: 1 });
  await kit.advanceClock("4m");
  await kit.send("reading", "d1", { deviceId: "d1", value: 1 });
  await kit.advanceClock(4 * MINUTE_MS);
  assert.deepEqual(kit.outputs("silent"), []);
  assert.deepEqual(
    kit.timers(meter, "d1").map(({ name, at, clock }) => [name, at - NOON, clock]),
    [
      ["dayEnd", 12 * HOUR_MS - 1, "event"],
      ["silence", 9 * MINUTE_MS, "processing"],
    ],
  );
  await kit.advanceClock("1h");
  assert.deepEqual(
    kit.takeOutputs("silent").map(({ data }) => data),
    [{ deviceId: "d1", lastAt: "2026-01-15T12:04:00.000Z" }],
  );
});

test("an actor shows its cells as plain values", async () => {
  const kit = await testJob(job, { start: NOON });
  await kit.send("reading", "d1", { deviceId: "d1", value: 0.5 });
  const actor = kit.actor(meter, "d1");
  assert.deepEqual(actor?.state, { days: [{ start: NOON - 12 * HOUR_MS, count: 1, millionths: 500_000 }], lastAt: NOON });
  assert.equal(actor?.dedupe.count, 1);
  assert.equal(kit.actor(meter, "d2"), undefined);
});
