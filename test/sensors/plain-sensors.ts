/**
 * What the sensors job should say of a log of one partition, computed from the rules of actors/sensors/README.md alone:
 * plain lists and loops, every reading kept, nothing of the job's or the runtime's.
 */

/** A line of the log and the time at which the log took it; `watermark` in place of a line says that nothing older comes. */
export interface LogLine {
  readonly logTime: number;
  readonly text?: string;
  readonly watermark?: number;
}

export interface DeviceRecord {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: { readonly silentAfter?: string; readonly unit?: string; readonly threshold?: number } | null;
}

/** Of `tidemark.` types only that there is one, and what rule 5 says of its data. */
export interface PlainOutput {
  readonly type: string;
  readonly key: string;
  readonly time: number;
  readonly data: Readonly<Record<string, unknown>>;
}

interface Reading {
  readonly id: string;
  readonly key: string;
  readonly time: number;
  readonly data: { readonly value: number; readonly unit?: string };
}

interface Device {
  unit?: string;
  lastTime: number;
  silentAt: number | undefined;
  silentAfter: number;
  window: number[];
  /** Of the outlying readings at the end of the window: "above" or "below". */
  sides: string[];
  deviations: number;
  meanDeviation: number;
  openHours: Map<number, number[]>;
  /** Counted hours: start and mean. */
  hours: { readonly start: number; readonly mean: number }[];
  level: number;
  season: number[] | undefined;
  errors: number;
  meanError: number;
  /** Of the last hours, as long as they were bounded. */
  oddHours: string[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function plainSensors(log: readonly LogLine[], records: readonly DeviceRecord[]): PlainOutput[] {
  const outputs: PlainOutput[] = [];
  const devices = new Map<string, Device>();
  const contents = new Map<string, string>();
  let watermark = Number.NEGATIVE_INFINITY;
  let idle: { since: number; watermark: number } | undefined;

  const raise = (to: number): void => {
    watermark = Math.max(watermark, to);
    for (const [key, device] of devices) {
      for (const start of [...device.openHours.keys()].sort((a, b) => a - b)) {
        if (watermark < start + HOUR) continue;
        const values = device.openHours.get(start)!;
        device.openHours.delete(start);
        outputs.push({ type: "sensor.forecast", key, time: start + HOUR - 1, data: forecastOf(device, key, start, values) });
      }
    }
  };

  for (const { logTime, text, watermark: told } of log) {
    for (const [key, device] of devices) {
      if (device.silentAt === undefined || device.silentAt > logTime) continue;
      device.silentAt = undefined;
      const data = { deviceId: key, lastAt: new Date(device.lastTime).toISOString(), silentAfterMs: device.silentAfter };
      outputs.push({ type: "sensor.silent", key, time: device.lastTime, data });
    }
    // A minute without a valid event, then the watermark follows the log's time.
    if (idle !== undefined && logTime > idle.since + MINUTE)
      raise(Math.min(idle.watermark + logTime - idle.since - MINUTE, logTime - 30_000));
    if (told !== undefined) {
      raise(told);
      continue;
    }
    const reading = readingOf(text!);
    if (reading === undefined) {
      outputs.push({ type: "tidemark.quarantine", key: "", time: 0, data: {} });
      continue;
    }
    const { id, key, time } = reading;
    const content = JSON.stringify([time, reading.data]);
    const known = contents.get(`${key} ${id}`);
    if (known !== undefined) {
      if (known !== content) outputs.push({ type: "tidemark.duplicate-conflict", key, time, data: {} });
      continue;
    }
    contents.set(`${key} ${id}`, content);
    raise(time - 30_000);
    idle = { since: logTime, watermark };
    if (time < watermark - 5 * MINUTE) {
      outputs.push({ type: "tidemark.late", key, time, data: {} });
      continue;
    }
    const device = devices.get(key) ?? newDevice();
    devices.set(key, device);
    take(device, reading, logTime, watermark, records, outputs);
  }
  return outputs;
}

function newDevice(): Device {
  return { lastTime: Number.NEGATIVE_INFINITY, silentAt: undefined, silentAfter: 0, ...nothingLearned() };
}

function nothingLearned() {
  return {
    window: [],
    sides: [],
    deviations: 0,
    meanDeviation: 0,
    openHours: new Map<number, number[]>(),
    hours: [],
    level: 0,
    season: undefined,
    errors: 0,
    meanError: 0,
    oddHours: [],
  };
}

/** Rules 3 to 5, then those of anomalies, then rule 11. */
function take(
  device: Device,
  reading: Reading,
  logTime: number,
  watermark: number,
  records: readonly DeviceRecord[],
  outputs: PlainOutput[],
) {
  const { key, time, data } = reading;
  device.lastTime = Math.max(device.lastTime, time);
  const said = { ...recordOf(records, "default", device.lastTime), ...recordOf(records, key, device.lastTime) };
  device.silentAfter = said.silentAfter === undefined ? 5 * MINUTE : minutesOf(said.silentAfter) * MINUTE;
  device.silentAt = logTime + device.silentAfter;

  const usual = said.unit ?? device.unit ?? data.unit;
  if (device.unit !== undefined && usual !== device.unit) Object.assign(device, nothingLearned());
  if (usual !== undefined) device.unit = usual;
  if (data.unit !== undefined && data.unit !== usual) {
    const detail = { deviceId: key, unit: data.unit, usual };
    outputs.push({ type: "tidemark.quality", key, time, data: { rule: "unit-mismatch", detail, eventId: reading.id } });
    return;
  }

  const anomaly = anomalyOf(device, data.value, time, said.threshold ?? 6);
  if (anomaly !== undefined) outputs.push({ type: "sensor.anomaly", key, time, data: { value: data.value, ...anomaly } });

  const start = Math.floor(time / HOUR) * HOUR;
  if (watermark >= start + HOUR) return;
  device.openHours.set(start, [...(device.openHours.get(start) ?? []), data.value]);
}

function anomalyOf(device: Device, value: number, time: number, threshold: number): { score: number; expected: number } | undefined {
  const byHour = byHourOf(device, value, time);
  device.window.push(value);
  device.window = device.window.slice(-31);
  if (device.window.length < 16) return undefined;
  const expected = median(device.window);
  const away = device.window.map((other) => Math.abs(other - expected));
  let sigma = 1.4826 * median(away);
  if (sigma === 0) sigma = Math.max(1.2533 * (sum(away) / away.length), Math.abs(expected) / 200);
  const byRecent = { score: scoreOf(value - expected, sigma), expected };
  if (byRecent.score <= threshold) {
    device.sides = [];
    return undefined;
  }
  const side = value > expected ? "above" : "below";
  device.sides = device.sides.at(-1) === side ? [...device.sides, side] : [side];
  if (device.sides.length === 6) {
    device.window = device.window.slice(-6);
    device.sides = [];
  }
  if (byHour === undefined) return byRecent;
  if (byHour.score <= threshold) return undefined;
  return byHour.score < byRecent.score ? byHour : byRecent;
}

function byHourOf(device: Device, value: number, time: number): { score: number; expected: number } | undefined {
  if (device.season === undefined) return undefined;
  const expected = forecastFor(device, time);
  const deviation = Math.abs(value - expected);
  const counted = device.meanDeviation === 0 ? deviation : Math.min(deviation, 6 * device.meanDeviation);
  device.deviations++;
  device.meanDeviation += (counted - device.meanDeviation) / Math.min(device.deviations, 50);
  if (device.deviations < 16) return undefined;
  return { score: scoreOf(deviation, 1.2533 * device.meanDeviation), expected };
}

function forecastOf(device: Device, key: string, start: number, values: readonly number[]): Record<string, unknown> {
  const mean = sum(values) / values.length;
  const previous = device.hours.at(-1);
  const error = mean - forecastFor(device, start);
  const said = previous?.start === start - HOUR ? { error } : {};
  device.hours.push({ start, mean });
  if (previous === undefined) device.level = mean;
  else learn(device, start, error);
  return {
    deviceId: key,
    hourStart: new Date(start).toISOString(),
    count: values.length,
    mean,
    ...said,
    ...(device.errors === 0 ? {} : { meanError: device.meanError }),
    forecastFor: new Date(start + HOUR).toISOString(),
    value: forecastFor(device, start + HOUR),
  };
}

function learn(device: Device, start: number, error: number): void {
  const bound = 6 * device.meanError;
  const odd = device.errors >= 24 && bound > 0 && Math.abs(error) > bound;
  const side = error > 0 ? "above" : "below";
  if (!odd) device.oddHours = [];
  else device.oddHours = device.oddHours.at(-1) === side ? [...device.oddHours, side] : [side];
  const isNewLevel = device.oddHours.length === 6;
  if (isNewLevel) device.oddHours = [];
  const counted = odd ? Math.sign(error) * bound : error;
  device.errors++;
  device.meanError += (Math.abs(counted) - device.meanError) / Math.min(device.errors, 10);
  device.level += isNewLevel ? error : counted / 2;
  if (device.season !== undefined) {
    if (!isNewLevel) device.season[hourOfDay(start)]! += counted / 10;
    return;
  }
  const means = Array.from({ length: 24 }, (_, hour) => device.hours.findLast((other) => hourOfDay(other.start) === hour)?.mean);
  if (means.includes(undefined)) return;
  const average = sum(means as number[]) / 24;
  device.season = means.map((other) => other! - average);
  device.level = average;
}

function forecastFor(device: Device, time: number): number {
  return device.season === undefined ? device.level : device.level + device.season[hourOfDay(time)]!;
}

function scoreOf(deviation: number, sigma: number): number {
  return deviation === 0 ? 0 : Math.min(Math.abs(deviation) / sigma, 1_000_000);
}

function recordOf(records: readonly DeviceRecord[], id: string, time: number): DeviceRecord["data"] {
  const known = records.filter((record) => record.id === id && Date.parse(record.effectiveFrom) <= time);
  known.sort((a, b) => Date.parse(a.effectiveFrom) - Date.parse(b.effectiveFrom) || a.version - b.version);
  return known.at(-1)?.data ?? null;
}

/** `PT40M`, `PT1H`. */
function minutesOf(duration: string): number {
  const [, hours = "0", minutes = "0"] = /^PT(?:(\d+)H)?(?:(\d+)M)?$/.exec(duration)!;
  return Number(hours) * 60 + Number(minutes);
}

/** `undefined` for what goes to quarantine. */
function readingOf(text: string): Reading | undefined {
  let event: { type?: unknown; id: string; subject: string; time: string; data: { deviceId: unknown; value: unknown; unit?: unknown } };
  try {
    event = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (event.type !== "reading" || typeof event.data.value !== "number") return undefined;
  return { id: event.id, key: event.subject, time: Date.parse(event.time), data: event.data as Reading["data"] };
}

function hourOfDay(time: number): number {
  return Math.floor((((time % DAY) + DAY) % DAY) / HOUR);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)]!;
  return sorted.length % 2 === 1 ? upper : (sorted[sorted.length / 2 - 1]! + upper) / 2;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
