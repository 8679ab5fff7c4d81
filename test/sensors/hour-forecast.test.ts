/** The model beside the rules: what it is asked behind an hour, what is told of its answer, and how an hour is scored: rules 19 to 22. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { DAY_MS, formatInstant, HOUR_MS } from "../../actors/model/time.ts";
import { Dice } from "../../actors/random.ts";
import { device as deviceTable } from "../../actors/sensors/device.ts";
import job, { device } from "../../actors/sensors/sensors.ts";
import type { ModelDeclaration } from "../../inference/training/trained-model.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { servedFile } from "../inference/training/served.ts";
import { judgeLines, sampleLines } from "./judged.ts";

const START = Date.UTC(2026, 2, 2);
const MODULE = import.meta.resolve("../../actors/sensors/sensors.ts");
const MODELS = new URL("../../actors/sensors/models/", import.meta.url);
const page = readFileSync(new URL("../../actors/sensors/README.md", import.meta.url), "utf8");
const EVER = "0000-01-01T00:00:00Z";

type Kit = Awaited<ReturnType<typeof start>>;
/** Behind all that is sent. */
const start = () => testJob(job, { start: START + 60 * DAY_MS });

/** A reading in each of these hours, which have then ended. `undefined`: none. */
async function pass(kit: Kit, values: readonly (number | undefined)[], from = 0, unit = "Cel"): Promise<void> {
  const events = values.flatMap((value, i) =>
    value === undefined
      ? []
      : [
          {
            stream: "reading" as const,
            key: "d1",
            data: { deviceId: "d1", value, unit },
            id: `h${from + i}`,
            time: START + (from + i) * HOUR_MS,
          },
        ],
  );
  if (events.length > 0) await kit.sendBatch(events);
  await kit.advanceWatermark(START + (from + values.length) * HOUR_MS);
}

const hours = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
const at = (hour: number) => formatInstant(START + hour * HOUR_MS);
const callsOf = (kit: Kit) => kit.calls(device, "d1");
const toldOf = (kit: Kit) => kit.takeOutputs("hourForecast");

suite("behind an hour", () => {
  test("the model is asked with the means of the last 48, once there are so many", async () => {
    const kit = await start();
    await pass(kit, hours(47));
    assert.deepEqual(callsOf(kit), []);
    await pass(kit, hours(2, 47), 47);
    assert.deepEqual(
      callsOf(kit).map(({ input }) => input),
      [{ hours: hours(48) }, { hours: hours(48, 1) }],
    );
    assert.equal(kit.outputs("forecast").length, 49);
  });

  test("hours without readings are filled up as yesterday was, and nobody is asked behind them", async () => {
    const kit = await start();
    await pass(kit, [...hours(48), undefined, undefined, 50]);
    assert.deepEqual(
      callsOf(kit).map(({ input }) => input.hours),
      [hours(48), [...hours(45, 3), 24, 25, 50]],
    );
  });

  test("the answer is told at the hour's end, with who gave it; the next hour is scored by it", async () => {
    const kit = await start();
    const champion = { version: 2, sha256: "b".repeat(64) };
    await kit.putReference("_models", "hour-forecast", { version: 1, effectiveFrom: EVER, data: { champion } });
    await pass(kit, hours(48));
    await kit.reply(callsOf(kit)[0]!, { forecast: 50, deviation: 0.5 }, { latencyMs: 1.5 });
    const [first, ...more] = toldOf(kit);
    assert.deepEqual([more, first?.time, first?.key], [[], START + 48 * HOUR_MS - 1, "d1"]);
    assert.deepEqual(first?.data, {
      deviceId: "d1",
      hourStart: at(47),
      mean: 47,
      forecastFor: at(48),
      ai_result: { forecast: 50, deviation: 0.5 },
      ai_confidence: null,
      ai_actionable: true,
      ai_model: "hour-forecast",
      ai_model_version: 2,
      ai_latency_ms: 1.5,
      ai_cached: false,
      ai_slo_breach: false,
    });
    await pass(kit, [48], 48);
    await kit.reply(callsOf(kit)[0]!, { forecast: 49, deviation: 1 });
    const [{ data }] = toldOf(kit) as [ReturnType<typeof toldOf>[number]];
    assert.deepEqual([data.hourStart, data.mean, data.expected, data.score], [at(48), 48, 50, 2 / (1.2533 * 0.5)]);
    assert.deepEqual(kit.actor(device, "d1")!.state.asked, {});
    assert.equal((await kit.verifyReplay(MODULE)).moduleState, "checked");
  });

  test("without an answer it is told why, and still scored by the one before", async () => {
    const kit = await start();
    await pass(kit, hours(50));
    const [one, two, three] = callsOf(kit);
    await kit.reply(one!, { forecast: 48, deviation: 1 });
    await kit.fail(two!, { code: "TIMEOUT", message: "no answer" });
    await kit.reply(three!, { forecast: 50, deviation: 1 });
    assert.deepEqual(
      toldOf(kit).map(({ data }) => [data.mean, data.score, data.ai_result?.forecast, data.ai_actionable, data.ai_error]),
      [
        [47, undefined, 48, true, undefined],
        [48, 0, undefined, false, "TIMEOUT"],
        [49, undefined, 50, true, undefined],
      ],
    );
    await kit.verifyReplay();
  });

  test("an answer that was overtaken scores nothing wrongly, and does not replace the newer one", async () => {
    const kit = await start();
    await pass(kit, hours(49));
    const [older, newer] = callsOf(kit);
    await kit.reply(newer!, { forecast: 49, deviation: 1 });
    await kit.reply(older!, { forecast: 1_000, deviation: 1 });
    await pass(kit, [49], 49);
    await kit.reply(callsOf(kit)[0]!, { forecast: 50, deviation: 1 });
    assert.deepEqual(
      toldOf(kit).map(({ data }) => [data.mean, data.expected]),
      [
        [48, undefined],
        [47, undefined],
        [49, 49],
      ],
    );
  });

  test("of a device that has begun anew in another unit, answers of before are not told of", async () => {
    const kit = await start();
    await pass(kit, hours(48));
    await kit.putReference(deviceTable, "d1", { version: 1, effectiveFrom: START + 48 * HOUR_MS, data: { unit: "V" } });
    await pass(kit, [5], 48, "V");
    await kit.reply(callsOf(kit)[0]!, { forecast: 48, deviation: 1 });
    assert.deepEqual(toldOf(kit), []);
    const { state } = kit.actor(device, "d1")!;
    assert.deepEqual([state.expected, state.hourWindow?.means, state.asked], [null, [5], {}]);
  });
});

test("of more hours than calls may wait for, each is told of, by the rules too; those behind have no answer", async () => {
  const kit = await start();
  await pass(
    kit,
    hours(1_050).map((hour) => hour % 24),
  );
  assert.deepEqual([callsOf(kit).length, kit.outputs("forecast").length, kit.deadLetters()], [1_000, 1_050, []]);
  assert.deepEqual(
    toldOf(kit).map(({ data }) => [data.hourStart, data.ai_error]),
    hours(3, 1_047).map((hour) => [at(hour), "TOO_MANY_CALLS"]),
  );
});

const shipped = () =>
  servedFile(
    readFileSync(new URL("hour-forecast.onnx", MODELS)),
    JSON.parse(readFileSync(new URL("hour-forecast.json", MODELS), "utf8")) as ModelDeclaration,
  );

test("the page says of the sample what the model that ships says of it", async () => {
  await using model = await shipped();
  const { kit } = await judgeLines(sampleLines(), "at-once", { partitions: 4 });
  const calls = kit.calls(device);
  const answers = await model.answers(calls.map(({ input }) => input));
  for (const [i, call] of calls.entries()) await kit.reply(call, answers[i] as { forecast: number; deviation: number });
  const hourOf = (key: string | undefined, time: number) => `${key} ${formatInstant(Math.floor(time / HOUR_MS) * HOUR_MS)}`;
  const odd = new Set(kit.outputs("anomaly").map(({ key, time }) => hourOf(key, time)));
  const scored = kit.outputs("hourForecast").filter(({ data }) => data.score !== undefined);
  const high = scored.filter(({ data }) => data.score! > 6);
  const isOdd = ({ key, time }: (typeof scored)[number]) => odd.has(hourOf(key, time));
  const [both, ruled] = [high.filter(isOdd).length, scored.filter(isOdd).length];
  assert.ok(page.includes(`The model is asked ${calls.length} times`) && page.includes(`scores ${scored.length} hours`));
  assert.ok(
    page.includes(`${high.length} scores are above 6; they are in ${both} of the ${ruled} hours`),
    `${high.length} ${both} ${ruled}`,
  );
  assert.ok(page.includes(`and in ${high.length - both} others`));
});

test("the model that ships scores a course of the day low, and the hour in which it breaks high", async () => {
  await using model = await shipped();
  const kit = await start();
  const dice = new Dice(3);
  const course = (hour: number) => 100 + 5 * Math.abs(12 - (hour % 24)) + dice.between(0, 100) / 50;
  const days = hours(24 * 6).map((hour) => (hour === 130 ? 400 : course(hour)));
  await pass(kit, days.slice(0, 48));
  for (let hour = 48; hour <= days.length; hour++) {
    const [call] = callsOf(kit);
    const [answer] = (await model.answers([call!.input])) as [{ forecast: number; deviation: number }];
    await kit.reply(call!, answer);
    if (hour < days.length) await pass(kit, [days[hour]!], hour);
  }
  const scores = new Map(toldOf(kit).map(({ data }) => [data.hourStart, data.score]));
  assert.equal(scores.size, days.length - 47);
  const before = hours(130 - 48, 48).map((hour) => scores.get(at(hour))!);
  assert.ok(Math.max(...before) < 6, String(before));
  assert.ok(scores.get(at(130))! > 20, String(scores.get(at(130))));
});

test("what the model keeps of a device does not grow", async () => {
  const kit = await start();
  const sizes: number[] = [];
  for (let day = 0; day < 5; day++) {
    await pass(kit, hours(24, 24 * day), 24 * day);
    for (const call of callsOf(kit)) await kit.reply(call, { forecast: 1, deviation: 1 });
    const { hourWindow, asked } = kit.actor(device, "d1")!.state;
    sizes.push(hourWindow!.means.length);
    assert.deepEqual(asked, {});
  }
  assert.deepEqual(sizes, [24, 48, 48, 48, 48]);
});
