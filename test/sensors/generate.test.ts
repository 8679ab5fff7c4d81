/** The generator of readings: the same lines each time, in the order of their arrival, with the faults that it says it makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { MINUTE_MS, parseInstant } from "../../actors/model/time.ts";
import { type SensorFault, type SensorOptions, sensorReadings } from "../../actors/sensors/generate.ts";

const SAMPLE: SensorOptions = { seed: 7, devices: 8, events: 2_400, start: Date.UTC(2026, 2, 2), everyMs: 15 * MINUTE_MS };
const sample = [...sensorReadings(SAMPLE)];

interface Event {
  readonly id: string;
  readonly type?: string;
  readonly subject: string;
  readonly time: string;
  readonly data: { readonly deviceId: string; readonly value: unknown; readonly unit: string };
}

function read(file: string): string {
  return readFileSync(new URL(`../../actors/sensors/${file}`, import.meta.url), "utf8");
}

suite("the lines", () => {
  test("are the same for the same options, and others for another seed", () => {
    assert.deepEqual([...sensorReadings(SAMPLE)], sample);
    assert.notDeepEqual([...sensorReadings({ ...SAMPLE, seed: 8, events: 5 })], sample.slice(0, 5));
  });

  test("of the sample that is checked in are those of its options", () => {
    assert.ok(read("sample.ndjson") === sample.map(({ text }) => `${text}\n`).join(""), "made by other options, or by another generator");
  });

  test("come in the order of their arrival, and as many as were asked for", () => {
    assert.equal(sample.length, SAMPLE.events);
    assert.ok(sample.every(({ arrival }, i) => i === 0 || arrival >= sample[i - 1]!.arrival));
    assert.deepEqual([...sensorReadings({ ...SAMPLE, events: 0 })], []);
    assert.deepEqual([...sensorReadings({ ...SAMPLE, devices: 0 })], []);
  });

  test("are made as they are asked for", () => {
    const endless = sensorReadings({ ...SAMPLE, events: Number.MAX_SAFE_INTEGER });
    assert.deepEqual(
      sample.slice(0, 100).map(() => endless.next().value),
      sample.slice(0, 100),
    );
  });

  test("without disorder are one plain reading of each device a round, by its time", () => {
    const lines = [...sensorReadings({ ...SAMPLE, disorder: false, events: 80 })];
    for (const [i, { key, text, arrival, fault }] of lines.entries()) {
      const { id, subject, time, data } = JSON.parse(text) as Event;
      assert.deepEqual([id, subject, data.deviceId, fault], [`${key}-${Math.floor(i / 8)}`, key, key, undefined]);
      assert.ok(arrival - parseInstant(time)! < 20_000);
    }
  });
});

suite("the faults of the sample", () => {
  const labels = Map.groupBy(sample, ({ fault }) => fault);
  const events = (fault: SensorFault) => labels.get(fault)!.map(({ text, arrival }) => ({ ...(JSON.parse(text) as Event), arrival }));
  const before = (line: { readonly text: string }) =>
    sample
      .slice(
        0,
        sample.findLastIndex(({ text }) => text === line.text),
      )
      .map(({ text }) => text);

  test("are counted right where they are described", () => {
    const [, page] = read("README.md").split("### What goes wrong") as [string, string];
    const rows = [...page.matchAll(/^\| (`.+?`) \| (\d.*?) \|/gm)].flatMap(([, faults, counts]) => {
      const count = counts!.split(" · ").map(Number);
      return faults!.split(" · ").map((fault, i) => [fault.slice(1, -1), count[i]] as const);
    });
    const made = [...labels].flatMap(([fault, lines]) => (fault === undefined ? [] : [[fault, lines.length] as const]));
    assert.deepEqual(rows.toSorted(), made.toSorted());
  });

  test("are on the lines that say so", () => {
    for (const { text } of labels.get("poison")!) assert.throws(() => JSON.parse(text));
    assert.ok(events("wrong-type").every(({ data }) => typeof data.value === "string"));
    assert.ok(events("untyped").every(({ type }) => type === undefined));
    assert.ok(events("other-unit").every(({ data }) => data.unit === "[degF]"));
    assert.ok(labels.get("duplicate")!.every((line) => before(line).includes(line.text)));
    const id = (text: string) => /"id":"([^"]+)"/.exec(text)?.[1];
    assert.ok(labels.get("other-content")!.every((line) => before(line).some((text) => id(text) === id(line.text) && text !== line.text)));
    const behindMs = (fault: SensorFault) => events(fault).map(({ time, arrival }) => arrival - parseInstant(time)!);
    assert.ok(behindMs("behind").every((ms) => ms >= MINUTE_MS && ms < 5 * MINUTE_MS));
    assert.ok(behindMs("late").every((ms) => ms >= 20 * MINUTE_MS));
  });

  test("leave rounds out where devices are silent", () => {
    const rounds = sample.flatMap(({ text }) => /"id":"(sensor-\d+)-(\d+)"/.exec(text)?.slice(1) ?? []);
    const pairs = Array.from({ length: rounds.length / 2 }, (_, i) => ({ device: rounds[2 * i]!, round: Number(rounds[2 * i + 1]) }));
    const longest = [...Map.groupBy(pairs, ({ device }) => device).values()].map((own) => {
      const sorted = own.map(({ round }) => round).sort((a, b) => a - b);
      return Math.max(...sorted.map((round, i) => round - (sorted[i - 1] ?? round)));
    });
    assert.ok(Math.max(...longest) >= 4 && Math.max(...longest) <= 10, String(longest));
  });
});
