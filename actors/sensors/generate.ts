/**
 * Seeded readings of sensors: CloudEvents as NDJSON lines, in the order in which they arrive. Devices have a daily
 * course, drift or stand still; some fail, and the network does what networks do. The same options always give the same
 * lines. What is kept is the lines that are under way.
 */
import { DAY_MS, formatInstant, MINUTE_MS, SECOND_MS } from "../model/time.ts";
import { Dice } from "../random.ts";

export interface SensorOptions {
  readonly seed: number;
  readonly devices: number;
  /** The lines end behind so many. */
  readonly events: number;
  /** First event time, milliseconds. */
  readonly start: number;
  /** Between two readings of one device. Default 1 minute. */
  readonly everyMs?: number;
  /** Spikes, shifts, silences, foreign units, and what goes wrong on the way. Default true. */
  readonly disorder?: boolean;
}

/** What is wrong with a line: with the value, with the event, or on the way. */
export type SensorFault =
  | "spike"
  | "shift"
  | "other-unit"
  | "poison"
  | "wrong-type"
  | "untyped"
  | "duplicate"
  | "other-content"
  | "behind"
  | "late";

/** One line: a CloudEvent as JSON, or something that is none. */
export interface SensorLine {
  readonly key: string;
  readonly text: string;
  /** When it reaches the log, milliseconds. */
  readonly arrival: number;
  readonly fault?: SensorFault;
}

interface Kind {
  readonly unit: string;
  readonly base: number;
  /** Added at noon. */
  readonly daily: number;
  /** Added with each day. */
  readonly drift: number;
  readonly noise: number;
}

const KINDS: readonly Kind[] = [
  { unit: "Cel", base: 24, daily: 9, drift: 0.1, noise: 0.4 },
  { unit: "Mbit/s", base: 80, daily: 420, drift: 2, noise: 15 },
  { unit: "V", base: 54.2, daily: 0, drift: -0.15, noise: 0.05 },
  { unit: "dBm", base: -67, daily: -3, drift: 0, noise: 0.8 },
  { unit: "A", base: 3.5, daily: 0, drift: 0, noise: 0 },
];

const JITTER_MS = 20 * SECOND_MS;
const SHARES: readonly (readonly [SensorFault | "silence" | "none", number])[] = [
  ["none", 0.93],
  ["duplicate", 0.015],
  ["behind", 0.012],
  ["spike", 0.01],
  ["late", 0.006],
  ["other-unit", 0.006],
  ["other-content", 0.005],
  ["poison", 0.004],
  ["wrong-type", 0.003],
  ["untyped", 0.003],
  ["silence", 0.004],
  ["shift", 0.002],
];

interface Device {
  readonly key: string;
  readonly kind: Kind;
  /** Within the round, so that not all send at once. */
  readonly offsetMs: number;
  shift: number;
  silentUntil: number;
}

export function* sensorReadings(options: SensorOptions): Generator<SensorLine> {
  const everyMs = options.everyMs ?? MINUTE_MS;
  const dice = new Dice(options.seed);
  const devices = Array.from({ length: options.devices }, (_, i) => deviceOf(i, options.devices, everyMs));
  let underWay: SensorLine[] = [];
  let left = options.events;
  for (let round = 0; left > 0 && devices.length > 0; round++) {
    const from = options.start + round * everyMs;
    for (const device of devices) {
      const time = from + device.offsetMs;
      if (time >= device.silentUntil) underWay.push(...send(options, dice, device, round, time, everyMs));
    }
    underWay.sort((a, b) => a.arrival - b.arrival);
    const arrived = underWay.filter(({ arrival }) => arrival < from + everyMs).slice(0, left);
    underWay = underWay.slice(arrived.length);
    left -= arrived.length;
    yield* arrived;
  }
}

function deviceOf(index: number, devices: number, everyMs: number): Device {
  const offsetMs = Math.floor((index * everyMs) / devices);
  return { key: `sensor-${String(index).padStart(4, "0")}`, kind: KINDS[index % KINDS.length]!, offsetMs, shift: 0, silentUntil: 0 };
}

/** What one reading brings to the log: itself, and what goes wrong with it. */
function send(options: SensorOptions, dice: Dice, device: Device, round: number, time: number, everyMs: number): SensorLine[] {
  const fault = options.disorder === false ? "none" : dice.weighted(SHARES)!;
  const { kind, key } = device;
  if (fault === "silence") device.silentUntil = time + dice.between(4, 10) * everyMs;
  const size = 0.2 * Math.abs(kind.base) + 10 * kind.noise;
  if (fault === "shift") device.shift += dice.chance(0.5) ? size : -size;
  const value = rounded(valueAt(options, dice, device, time) + (fault === "spike" ? (dice.chance(0.5) ? 3 : -3) * size : 0));
  const id = `${key}-${round}`;
  const event = eventOf(id, key, time, { deviceId: key, value, unit: kind.unit });
  const arrival = time + dice.between(0, JITTER_MS);
  const line = { key, text: JSON.stringify(event), arrival };
  const odd = (oddFault: SensorFault, other: object | string, behindMs = 0): SensorLine => ({
    key,
    text: typeof other === "string" ? other : JSON.stringify(other),
    arrival: arrival + behindMs,
    fault: oddFault,
  });
  switch (fault) {
    case "spike":
    case "shift":
      return [{ ...line, fault }];
    case "other-unit":
      return [odd(fault, { ...event, data: { ...event.data, value: rounded(value * 1.8 + 32), unit: "[degF]" } })];
    case "duplicate":
      return [line, odd(fault, event, dice.between(SECOND_MS, 20 * MINUTE_MS))];
    case "other-content":
      return [line, odd(fault, { ...event, data: { ...event.data, value: rounded(value + 1) } }, dice.between(SECOND_MS, 20 * MINUTE_MS))];
    case "behind":
      return [odd(fault, event, dice.between(MINUTE_MS, 4 * MINUTE_MS))];
    case "late":
      return [odd(fault, event, dice.between(20 * MINUTE_MS, 60 * MINUTE_MS))];
    case "poison":
      return [odd(fault, line.text.slice(0, 60)), line];
    case "wrong-type":
      return [odd(fault, { ...event, id: `${id}-text`, data: { ...event.data, value: String(value) } }), line];
    case "untyped": {
      const { type: _type, ...untyped } = event;
      return [odd(fault, { ...untyped, id: `${id}-untyped` }), line];
    }
    default:
      return [line];
  }
}

/** Arithmetic that is exact everywhere: a parabola for the day, twelve dice for the noise. */
function valueAt({ start }: SensorOptions, dice: Dice, { kind, shift }: Device, time: number): number {
  const day = (time - Math.floor(time / DAY_MS) * DAY_MS) / DAY_MS;
  let noise = -6;
  for (let i = 0; i < 12; i++) noise += dice.between(0, 1_000) / 1_000;
  return kind.base + kind.daily * 4 * day * (1 - day) + (kind.drift * (time - start)) / DAY_MS + kind.noise * noise + shift;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function eventOf(id: string, key: string, time: number, data: object) {
  return { specversion: "1.0", id, source: "/sensors", type: "reading", subject: key, time: formatInstant(time), data };
}
