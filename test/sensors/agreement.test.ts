/**
 * The job and a plain script, which was written from the README's rules and not from the job, agree on every output: over the
 * sample, over generated devices and over values that no sensor sends, whenever they come. SENSORS_SEED repeats a run.
 */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { formatInstant, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import { sensorReadings } from "../../actors/sensors/generate.ts";
import job from "../../actors/sensors/sensors.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { TestLog } from "../support/entries.ts";
import { differencesOf, type Judged, judgeLines, type Line, RECORDS, sampleLines } from "./judged.ts";

const SEED = Number(process.env.SENSORS_SEED ?? Math.floor(Math.random() * 1e9));
const RUNS = 3;
const START = Date.UTC(2026, 2, 2);
/** As many as `npm start` has. */
const PARTITIONS = 4;
const MODULE = import.meta.resolve("../../actors/sensors/sensors.ts");

function assertAgrees({ kit, outputs, plain }: Judged): void {
  assert.deepEqual(kit.deadLetters(), []);
  assert.deepEqual(differencesOf(outputs, plain), []);
}

function countsOf({ outputs }: Judged): Record<string, number> {
  return Object.fromEntries([...Map.groupBy(outputs, ({ type }) => type)].map(([type, own]) => [type, own.length]));
}

suite("the sample", () => {
  const said = {
    "sensor.anomaly": 39,
    "sensor.forecast": 588,
    "tidemark.duplicate-conflict": 14,
    "tidemark.late": 10,
    "tidemark.quality": 13,
    "tidemark.quarantine": 29,
  };

  test("published at once, gives what its page says", async () => {
    const judged = await judgeLines(sampleLines(), "at-once", { partitions: PARTITIONS });
    assertAgrees(judged);
    assert.deepEqual(countsOf(judged), said);
  });

  test("as it came also gives the silences, and the same when it is folded anew with crashes in between", async () => {
    const judged = await judgeLines(sampleLines(), "as-they-came");
    assertAgrees(judged);
    assert.deepEqual(countsOf(judged), { ...said, "sensor.silent": 16 });
    const { outputs, moduleState } = await judged.kit.verifyReplay(MODULE);
    assert.deepEqual([outputs, moduleState], [judged.outputs.length, "checked"]);
  });
});

suite("by seed", () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    const dice = new Dice(seed);
    const everyMs = dice.pick([20 * SECOND_MS, MINUTE_MS, 7 * MINUTE_MS, 20 * MINUTE_MS, HOUR_MS]);
    const devices = dice.between(1, 12);

    test(`${devices} devices, a reading each ${everyMs / 1000} s (SENSORS_SEED=${seed})`, async () => {
      const lines = [...sensorReadings({ seed, devices, events: 1_500, start: START, everyMs })];
      assertAgrees(await judgeLines(lines, "as-they-came"));
      assertAgrees(await judgeLines(lines, "at-once", { partitions: 2 }));
    });

    test(`values that no sensor sends (SENSORS_SEED=${seed})`, async () => {
      assertAgrees(await judgeLines(wildLines(new Dice(seed), 1_500), "as-they-came"));
    });
  }

  test(`a crash behind every unit changes nothing (SENSORS_SEED=${SEED})`, async () => {
    const judged = await judgeLines(wildLines(new Dice(SEED), 300), "as-they-came", { crashBetweenEvents: true });
    assertAgrees(judged);
  });

  test(`the same bytes and state wherever commits and crashes fall (SENSORS_SEED=${SEED})`, () => {
    const log = new TestLog("sensors", START);
    for (const { id, version, effectiveFrom, data } of RECORDS)
      log.reference("device", { id, version, from: Date.parse(effectiveFrom), data });
    for (const { key, text, arrival } of sensorReadings({ seed: SEED, devices: 5, events: 1_000, start: START, everyMs: 10 * MINUTE_MS }))
      log.raw(log.subject(key), text, Math.max(0, arrival - log.logTime));
    const whole = foldHistory(log.history(job));
    assert.ok(whole.outputs.length > 0);
    for (const commitEveryUnits of [1, 7]) {
      const cut = foldHistory(log.history(job), { commitEveryUnits, crash: true, liveRowsMax: 2 });
      assert.deepEqual(cut.outputs, whole.outputs);
      assert.equal(cut.stateHash, whole.stateHash);
    }
  });
});

test("the comparison finds an output too few, one too many and another value", async () => {
  const { outputs, plain } = await judgeLines(sampleLines().slice(0, 600), "at-once");
  const at = outputs.findIndex(({ type }) => type === "sensor.anomaly");
  const anomaly = outputs[at]!;
  const score = Number(anomaly.data.score) * (1 + 1e-6);
  assert.notEqual(at, -1);
  assert.equal(differencesOf(outputs.toSpliced(at, 1), plain).length, 1);
  assert.equal(differencesOf([...outputs, anomaly], plain).length, 1);
  assert.equal(differencesOf(outputs.with(at, { ...anomaly, data: { ...anomaly.data, score } }), plain).length, 1);
});

/** Stretches of nothing, of steps, of enormous and of tiny numbers, hours apart or all at once, with units that come and go. */
function wildLines(dice: Dice, events: number): Line[] {
  const scales = [0, 1e-300, 1e-6, 1, 1e3, 1e15];
  let clock = START;
  let scale = 1;
  let level = 0;
  return Array.from({ length: events }, (_, i) => {
    if (dice.chance(0.02)) scale = dice.pick(scales);
    if (dice.chance(0.02)) level = dice.pick(scales) * (dice.chance(0.5) ? 0.5 : -0.5);
    clock += dice.chance(0.05) ? dice.between(0, 3 * HOUR_MS) : dice.between(0, 4 * MINUTE_MS);
    const key = `sensor-000${dice.between(0, 3)}`;
    const time = clock - (dice.chance(0.1) ? dice.between(0, 6 * MINUTE_MS) : dice.between(0, 20 * SECOND_MS));
    const value = Math.max(-1e15, Math.min(1e15, level + scale * (dice.between(0, 7) - 3)));
    const unit = dice.chance(0.2) ? { unit: dice.pick(["Cel", "Mbit/s", "V"]) } : {};
    const event = { specversion: "1.0", id: `w${i}`, source: "/wild", type: "reading", subject: key, time: formatInstant(time) };
    return { key, text: JSON.stringify({ ...event, data: { deviceId: key, value, ...unit } }), arrival: clock };
  });
}
