/**
 * Seeded meter readings: CloudEvents as NDJSON lines, with the disorder, duplicates, late and bad events that real
 * devices send. The same options always give the same lines.
 */
import { DAY_MS, formatInstant, HOUR_MS, MINUTE_MS } from "../model/time.ts";
import { mulberry32 } from "../random.ts";

export interface MeterOptions {
  readonly seed: number;
  readonly devices: number;
  readonly events: number;
  /** First event time, milliseconds. */
  readonly start: number;
  /** Between two readings of one device. Default 15 minutes. */
  readonly everyMs?: number;
  /** Readings out of order, duplicates, late and bad ones. Default true. */
  readonly disorder?: boolean;
}

/** One reading: its key, and the CloudEvent as JSON, or something that is none. */
export interface MeterLine {
  readonly key: string;
  readonly text: string;
}

export function* meterReadings(options: MeterOptions): Generator<MeterLine> {
  const random = mulberry32(options.seed);
  const everyMs = options.everyMs ?? 15 * MINUTE_MS;
  const disorder = options.disorder ?? true;
  let previous: MeterLine | undefined;
  for (let i = 0; i < options.events; i++) {
    const device = `device-${String(i % options.devices).padStart(4, "0")}`;
    const jitter = disorder ? Math.floor(random() * 50_000) - 25_000 : 0;
    const time = options.start + Math.floor(i / options.devices) * everyMs + jitter;
    const line = reading(`r-${options.seed}-${i}`, device, time, Math.round(random() * 5_000) / 1_000);
    yield line;
    if (disorder && random() < 0.02) yield line;
    if (disorder && previous !== undefined && random() < 0.005) yield oddity(random, options, i, device, time);
    previous = line;
  }
}

function oddity(random: () => number, { seed, devices }: MeterOptions, i: number, device: string, time: number): MeterLine {
  const kind = Math.floor(random() * 6);
  if (kind === 0) return reading(`late-${i}`, device, time - 2 * DAY_MS, 1);
  if (kind === 1) return reading(`behind-${i}`, device, time - 3 * HOUR_MS, 1);
  if (kind === 2) return reading(`r-${seed}-${Math.max(0, i - devices)}`, device, time, random());
  if (kind === 3) return { key: device, text: `{"specversion":"1.0","id":"broken-${i}"` };
  if (kind === 4) return reading(`text-${i}`, device, time, "many");
  return {
    key: device,
    text: JSON.stringify({ specversion: "1.0", id: `untyped-${i}`, source: "/meters", subject: device, time: formatInstant(time) }),
  };
}

function reading(id: string, device: string, time: number, value: unknown): MeterLine {
  const event = {
    specversion: "1.0",
    id,
    source: "/meters",
    type: "meter.reading",
    subject: device,
    time: formatInstant(time),
    data: { deviceId: device, value },
  };
  return { key: device, text: JSON.stringify(event) };
}
