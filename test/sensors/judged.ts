/** The job and the plain script over the same lines: outputs of both, and where they differ. */
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { DAY_MS, HOUR_MS, parseInstant } from "../../actors/model/time.ts";
import { device } from "../../actors/sensors/device.ts";
import type { SensorLine } from "../../actors/sensors/generate.ts";
import job from "../../actors/sensors/sensors.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import { type DeviceRecord, type LogLine, type PlainOutput, plainSensors } from "./plain-sensors.ts";

export type Line = Pick<SensorLine, "key" | "text" | "arrival">;

export interface Judged {
  readonly kit: JobTest<typeof job>;
  readonly outputs: readonly PlainOutput[];
  readonly plain: readonly PlainOutput[];
}

/** `at-once`: the log's clock stands still, as when a file is published. `as-they-came`: it follows the arrivals. */
export type Pace = "at-once" | "as-they-came";

export const RECORDS: readonly DeviceRecord[] = linesOf("reference/device.ndjson").map((text) => JSON.parse(text) as DeviceRecord);

/** Where a sample's line says nothing of its arrival, it comes with the latest time until then. */
export function sampleLines(): Line[] {
  let arrival = 0;
  return linesOf("sample.ndjson").map((text) => {
    const [, subject = "sensor-0000"] = /"subject":"([^"]+)"/.exec(text) ?? [];
    arrival = Math.max(arrival, parseInstant(/"time":"([^"]+)"/.exec(text)?.[1] ?? "") ?? 0);
    return { key: subject, text, arrival };
  });
}

export async function judgeLines(
  lines: readonly Line[],
  pace: Pace,
  options: { partitions?: number; crashBetweenEvents?: boolean } = {},
): Promise<Judged> {
  const { partitions = 1 } = options;
  const last = lines.reduce((latest, { arrival }) => Math.max(latest, arrival), 0);
  const kit = await testJob(job, { start: pace === "at-once" ? last : lines[0]!.arrival, ...options });
  for (const { id, version, effectiveFrom, data } of RECORDS) await kit.putReference(device, id, { version, effectiveFrom, data });
  const logs: LogLine[][] = Array.from({ length: partitions }, () => []);
  for (const { key, text, arrival } of lines) {
    if (pace === "as-they-came") await kit.advanceClockTo(arrival);
    await kit.sendRaw(text, { key });
    logs[slotOf(writeKey(key)!) % partitions]!.push({ logTime: kit.now, text });
  }
  if (pace === "as-they-came") await kit.advanceClock(DAY_MS);
  await kit.advanceWatermark(last + HOUR_MS);
  for (const log of logs) log.push({ logTime: kit.now, watermark: last + HOUR_MS });
  const outputs = kit.outputs().map(({ type, key, time, data }) => {
    if (type === "tidemark.quarantine") return { type, key: "", time: 0, data: {} };
    const isRuntimes = type === "tidemark.late" || type === "tidemark.duplicate-conflict";
    return { type, key: key ?? "", time, data: isRuntimes ? {} : (data as unknown as Record<string, unknown>) };
  });
  const plain = logs.flatMap((log) => plainSensors(log, RECORDS));
  // As JSON has it, which knows no -0.
  return { kit, outputs, plain: JSON.parse(JSON.stringify(plain)) as PlainOutput[] };
}

/** Of each device and type the outputs in their order, to the last digit. */
export function differencesOf(outputs: readonly PlainOutput[], plain: readonly PlainOutput[]): string[] {
  const ours = grouped(outputs);
  const theirs = grouped(plain);
  const found: string[] = [];
  for (const name of new Set([...ours.keys(), ...theirs.keys()])) {
    const [job = [], script = []] = [ours.get(name), theirs.get(name)];
    for (let i = 0; i < Math.max(job.length, script.length); i++) {
      if (isDeepStrictEqual(job[i], script[i])) continue;
      found.push(`${name} ${i}: job ${JSON.stringify(job[i])}, script ${JSON.stringify(script[i])}`);
      break;
    }
  }
  return found;
}

function grouped(outputs: readonly PlainOutput[]): Map<string, PlainOutput[]> {
  return Map.groupBy(outputs, ({ key, type }) => `${key} ${type}`);
}

function linesOf(file: string): string[] {
  return readFileSync(new URL(`../../actors/sensors/${file}`, import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
}
