/** One forecast an hour, and what a device keeps: rules 11 to 15, and the bounds. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { device as deviceTable } from "../../actors/sensors/device.ts";
import job, { device } from "../../actors/sensors/sensors.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const START = Date.UTC(2026, 2, 2, 12);

type Kit = Awaited<ReturnType<typeof start>>;

function start() {
  return testJob(job, { start: START });
}

function send(kit: Kit, value: number, time: number) {
  return kit.send("reading", "d1", { deviceId: "d1", value }, { time });
}

function forecasts(kit: Kit) {
  return kit.takeOutputs("forecast").map(({ data }) => data);
}

suite("a forecast", () => {
  test("comes once an hour that had readings, when the watermark has reached its end", async () => {
    const kit = await start();
    await send(kit, 10, START);
    await send(kit, 20, START + HOUR_MS - 1);
    await kit.advanceWatermark(START + HOUR_MS - 1);
    assert.deepEqual(kit.outputs("forecast"), []);
    await kit.advanceWatermark(START + HOUR_MS);
    const [first] = kit.takeOutputs("forecast");
    assert.equal(first?.time, START + HOUR_MS - 1);
    assert.deepEqual(first?.data, {
      deviceId: "d1",
      hourStart: "2026-03-02T12:00:00.000Z",
      count: 2,
      mean: 15,
      forecastFor: "2026-03-02T13:00:00.000Z",
      value: 15,
    });
    await kit.advanceWatermark(START + 9 * HOUR_MS);
    assert.deepEqual(forecasts(kit), []);
  });

  test("is a half of its error better the next time, and says how wrong it was", async () => {
    const kit = await start();
    for (const [i, value] of [10, 20, 20].entries()) await send(kit, value, START + i * HOUR_MS);
    await kit.advanceWatermark(START + 3 * HOUR_MS);
    assert.deepEqual(
      forecasts(kit).map(({ mean, error, meanError, value }) => [mean, error, meanError, value]),
      [
        [10, undefined, undefined, 10],
        [20, 10, 10, 15],
        [20, 5, 7.5, 17.5],
      ],
    );
  });

  test("behind hours without readings has no error, for nobody forecast that hour", async () => {
    const kit = await start();
    await send(kit, 10, START);
    await send(kit, 30, START + 5 * HOUR_MS);
    await kit.advanceWatermark(START + 6 * HOUR_MS);
    const [, second] = forecasts(kit);
    assert.deepEqual([second?.error, second?.meanError, second?.value], [undefined, 20, 20]);
  });

  test("stands: a reading that comes behind its hour is judged and not counted", async () => {
    const kit = await start();
    await send(kit, 10, START + 59 * MINUTE_MS);
    await send(kit, 10, START + HOUR_MS + 30 * SECOND_MS);
    assert.equal(kit.watermark, START + HOUR_MS);
    assert.equal(forecasts(kit).length, 1);
    await send(kit, 70, START + 58 * MINUTE_MS);
    const { state, timers } = kit.actor(device, "d1")!;
    assert.deepEqual(state.recent.values, [10, 10, 70]);
    assert.deepEqual(
      state.hours.map(({ start, count }) => [start - START, count]),
      [[HOUR_MS, 1]],
    );
    assert.equal(timers.filter(({ name }) => name === "hourEnd").length, 1);
    await kit.advanceWatermark(START + 3 * HOUR_MS);
    assert.deepEqual(
      forecasts(kit).map(({ mean }) => mean),
      [10],
    );
  });

  test("within the out-of-orderness a reading counts for its own hour, on both sides of the hour's end", async () => {
    const kit = await start();
    for (const seconds of [3_590, 3_610, 3_599, 3_615]) await send(kit, seconds, START + seconds * SECOND_MS);
    await kit.advanceWatermark(START + 3 * HOUR_MS);
    assert.deepEqual(
      forecasts(kit).map(({ count, mean }) => [count, mean]),
      [
        [2, 3_594.5],
        [2, 3_612.5],
      ],
    );
  });

  test("learns the course of the day, and one mad hour does not spoil it", async () => {
    const kit = await start();
    const course = (hour: number) => 100 + 10 * Math.abs(12 - (hour % 24));
    for (let hour = 0; hour < 24 * 6; hour++) {
      await kit.advanceClockTo(START + hour * HOUR_MS);
      await send(kit, hour === 100 ? 1e9 : course(hour) + (hour % 2), START + hour * HOUR_MS);
    }
    await kit.advanceWatermark(START + 6 * DAY_MS);
    const errors = forecasts(kit).map(({ error }) => Math.abs(error ?? 0));
    assert.ok(Math.max(...errors.slice(48, 100)) <= 3, String(errors.slice(48, 100)));
    assert.ok(Math.max(...errors.slice(101)) < 20, String(errors.slice(101)));
  });

  test("takes a new level for one behind its sixth hour", async () => {
    const kit = await start();
    for (let hour = 0; hour < 24 * 5; hour++) {
      await kit.advanceClockTo(START + hour * HOUR_MS);
      await send(kit, (hour < 72 ? 10 : 1_000_000) + (hour % 2), START + hour * HOUR_MS);
    }
    await kit.advanceWatermark(START + 5 * DAY_MS);
    const errors = forecasts(kit).map(({ error }) => Math.abs(error ?? 0));
    assert.ok(errors[77]! > 900_000 && Math.max(...errors.slice(78)) < 10, String(errors.slice(72)));
  });
});

test("what a device keeps does not grow with its readings", async () => {
  const kit = await start();
  await kit.putReference(deviceTable, "default", { version: 1, effectiveFrom: 0, data: { silentAfter: "P1D" } });
  const sizes: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    const time = START + i * 2 * MINUTE_MS;
    await kit.advanceClockTo(time);
    await send(kit, 20 + ((i * 7_919) % 101) / 7 + (i % 500 === 0 ? 900 : 0), time);
    if (i % 1_000 !== 999) continue;
    for (const call of kit.calls(device)) await kit.reply(call, { forecast: 20 + 1 / 3, deviation: 1 / 7 });
    const { state, timers } = kit.actor(device, "d1")!;
    assert.deepEqual(
      [state.recent.values.length <= 31, state.hours.length <= 2, state.hourly?.season.length, state.hourWindow!.means.length <= 48],
      [true, true, 24, true],
      formatInstant(time),
    );
    assert.deepEqual(timers.map(({ name }) => name).sort(), ["hourEnd", "silence"]);
    sizes.push(JSON.stringify(state).length);
  }
  assert.ok(Math.max(...sizes) < 3_072, String(sizes));
});
