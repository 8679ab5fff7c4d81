/** What is told of as an anomaly, and what is not: rules 6 to 10. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import { device as deviceTable } from "../../actors/sensors/device.ts";
import job, { device } from "../../actors/sensors/sensors.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const START = Date.UTC(2026, 2, 2);

type Kit = Awaited<ReturnType<typeof start>>;

function start() {
  return testJob(job, { start: START });
}

/** One reading each `everyMs`, the clock with them. */
async function feed(kit: Kit, values: readonly number[], everyMs = MINUTE_MS): Promise<void> {
  for (const value of values) {
    await kit.send("reading", "d1", { deviceId: "d1", value });
    await kit.advanceClock(everyMs);
  }
}

/** Near normal, without a function that differs from machine to machine. */
function noisy(count: number, level: (i: number) => number, noise: number, seed = 1): number[] {
  const dice = new Dice(seed);
  return Array.from({ length: count }, (_, i) => {
    let sum = -6;
    for (let k = 0; k < 12; k++) sum += dice.between(0, 1_000) / 1_000;
    return level(i) + noise * sum;
  });
}

function anomalies(kit: Kit) {
  return kit.takeOutputs("anomaly").map(({ data }) => data);
}

suite("against the last readings", () => {
  test("a spike is told of once, with the value, how far it is off and what was expected", async () => {
    const kit = await start();
    await feed(kit, [...noisy(40, () => 20, 0.5), 35, ...noisy(40, () => 20, 0.5, 2)]);
    const [spike, ...more] = kit.outputs("anomaly");
    assert.deepEqual(more, []);
    assert.deepEqual([spike?.key, spike?.time, spike?.causeId], ["d1", START + 40 * MINUTE_MS, "e41"]);
    const { value, score, expected } = spike!.data;
    assert.equal(value, 35);
    assert.ok(Math.abs(expected - 20) < 0.5 && score > 20 && score < 60, JSON.stringify(spike?.data));
  });

  test("nothing is judged before the sixteenth reading", async () => {
    const kit = await start();
    await feed(kit, [20, 20.1, 19.9, 20, 500, ...noisy(9, () => 20, 0.1)]);
    assert.deepEqual(anomalies(kit), []);
    await feed(kit, [20, 30]);
    assert.deepEqual(
      anomalies(kit).map(({ value }) => value),
      [30],
    );
  });

  test("a third of the window gone wrong neither hides the next spike nor moves what is expected", async () => {
    const kit = await start();
    const values = noisy(31, () => 20, 0.5).map((value, i) => (i % 3 === 0 ? 900 + i : value));
    await feed(kit, values);
    anomalies(kit);
    await feed(kit, [20, 80]);
    const [found, ...more] = anomalies(kit);
    assert.deepEqual([found?.value, more], [80, []]);
    assert.ok(Math.abs(found!.expected - 20) < 1);
  });

  test("where one value came all the time another one is told of, a touch of it is not", async () => {
    const kit = await start();
    await feed(kit, [...new Array<number>(40).fill(20), 20.2]);
    assert.deepEqual(anomalies(kit), []);
    await feed(kit, [...new Array<number>(40).fill(20), 25]);
    const [found] = anomalies(kit);
    assert.deepEqual([found?.value, found?.expected], [25, 20]);
    assert.ok(Math.abs(found!.score - 31 / 1.2533) < 0.01, String(found?.score));
  });

  test("around zero too, where no share of the value is a measure", async () => {
    const kit = await start();
    await feed(kit, [...new Array<number>(40).fill(0), 1e-9]);
    assert.equal(anomalies(kit).length, 1);
  });

  test("a level that stays is told of six times, then it is the level", async () => {
    const kit = await start();
    await feed(kit, [...noisy(60, () => 20, 0.5), ...noisy(200, () => 50, 0.5, 2)]);
    const found = anomalies(kit);
    assert.equal(found.length, 6);
    assert.ok(found.every(({ value }) => value > 40));
    await feed(kit, [20]);
    assert.equal(anomalies(kit).length, 1);
  });

  test("what is not beyond the threshold is no new level either: the window stays whole", async () => {
    const kit = await start();
    await kit.putReference(deviceTable, "d1", { version: 1, effectiveFrom: 0, data: { threshold: 200 } });
    await feed(kit, [...noisy(40, () => 20, 0.5), ...noisy(8, () => 50, 0.5, 2)]);
    assert.deepEqual([anomalies(kit), kit.actor(device, "d1")?.state.recent.values.length], [[], 31]);
  });

  test("noise, a slow trend and a daily course are not told of", async () => {
    const day = (i: number) => ((i * 5 * MINUTE_MS) % DAY_MS) / DAY_MS;
    for (const level of [() => 20, (i: number) => i / 10, (i: number) => 400 * day(i) * (1 - day(i))]) {
      const kit = await start();
      await feed(kit, noisy(600, level, 0.5), 5 * MINUTE_MS);
      assert.deepEqual(anomalies(kit), [], String(level));
    }
  });

  test("a device's own threshold decides, else the default one", async () => {
    const values = [...noisy(40, () => 20, 0.5), 23.5, ...noisy(20, () => 20, 0.5, 2)];
    for (const [id, threshold, expected] of [
      ["d2", 100, 1],
      ["d1", 100, 0],
      ["default", 100, 0],
      ["default", 5, 1],
    ] as const) {
      const kit = await start();
      await kit.putReference(deviceTable, "default", { version: 1, effectiveFrom: 0, data: {} });
      await kit.putReference(deviceTable, id, { version: 2, effectiveFrom: 0, data: { threshold } });
      await feed(kit, values);
      assert.equal(anomalies(kit).length, expected, `${id} ${threshold}`);
    }
  });

  test("one that comes behind is judged as one that comes in time; a late one is not", async () => {
    const kit = await start();
    await feed(
      kit,
      noisy(40, () => 20, 0.5),
    );
    const send = (id: string, behindMs: number) =>
      kit.send("reading", "d1", { deviceId: "d1", value: 99 }, { id, time: kit.now - MINUTE_MS - behindMs });
    await send("behind", 4 * MINUTE_MS);
    await send("late", 6 * MINUTE_MS);
    assert.deepEqual(
      kit.outputs("anomaly").map(({ causeId }) => causeId),
      ["behind"],
    );
    assert.equal(kit.late().length, 1);
  });
});

suite("against the hour of the day", () => {
  /** A machine that runs from eight to nine. */
  const shift = (days: number) => Array.from({ length: days * 144 }, (_, i) => (Math.floor(i / 6) % 24 === 8 ? 100 : 10) + (i % 3) / 10);

  test("what comes every day at its hour is told of while it is new, then no longer", async () => {
    const kit = await start();
    await feed(kit, shift(4), 10 * MINUTE_MS);
    const days = kit.takeOutputs("anomaly").map(({ time }) => Math.floor((time - START) / DAY_MS));
    assert.ok(days.includes(0));
    assert.deepEqual(
      days.filter((day) => day >= 2),
      [],
    );
    await feed(kit, [10, 100]);
    assert.deepEqual(
      anomalies(kit).map(({ value }) => value),
      [100],
    );
  });

  test("the score and what was expected are those that speak less against the reading", async () => {
    const kit = await start();
    await feed(kit, shift(4), 10 * MINUTE_MS);
    anomalies(kit);
    await feed(kit, [10, 10, 10, 60]);
    const [found] = anomalies(kit);
    const { season, level } = kit.actor(device, "d1")!.state.hourly!;
    assert.deepEqual([found?.value, found?.expected], [60, level + season[0]!]);
    assert.ok(found!.score > 6);
  });

  test("a device that leaves out hours of the day is judged by its last readings alone", async () => {
    const kit = await start();
    for (let day = 0; day < 4; day++) {
      await feed(
        kit,
        noisy(20, () => 20, 0.5, day),
        HOUR_MS,
      );
      await kit.advanceClock(4 * HOUR_MS);
    }
    await feed(kit, [60]);
    assert.equal(anomalies(kit).length, 1);
    assert.equal(kit.actor(device, "d1")!.state.spread.count, 0);
  });
});
