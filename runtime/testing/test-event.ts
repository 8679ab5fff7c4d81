/**
 * Events as a test gives them, written as CloudEvents. What production would quarantine is refused here with what is
 * wrong: in a test it is a slip of the pen. `sendRaw` is the way to send it all the same.
 */
import { EVENT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { type Envelope, readEnvelope } from "../../actors/fold/envelope.ts";
import { newestData } from "../../actors/fold/upcast.ts";
import type { Job } from "../../actors/model/job.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import type { Stream } from "../../actors/model/stream.ts";
import { durationMs, formatInstant, INSTANT_MAX, INSTANT_MIN, parseInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../errors.ts";

/** Whole milliseconds since 1970, or an RFC 3339 text such as `2026-03-01T12:00:00Z`. */
export type Instant = number | string;

export interface EventOptions {
  /** Event time. Default: the test's clock. */
  readonly time?: Instant;
  /** Default: a new one for each event, `e1`, `e2`, … */
  readonly id?: string;
  /** Default `/test`. */
  readonly source?: string;
  /** The source's own sequence for the key. */
  readonly sequence?: number | string;
  readonly effectiveTime?: Instant;
}

export interface WrittenEvent {
  readonly token: string;
  readonly slot: number;
  readonly text: string;
}

/** Who takes the events: a job, or a pump of one. */
export interface EventTaker {
  /** As messages begin: `Job "meter"`. */
  readonly title: string;
  readonly streams: readonly (Stream<unknown> & { readonly name: string })[];
  readonly maxAheadMs: number;
}

export function takerOf({ name, actors, settings }: Job): EventTaker {
  return { title: `Job "${name}"`, streams: actors.flatMap(({ streams }) => streams), maxAheadMs: settings.maxAheadMs };
}

export class EventWriter {
  readonly #taker: EventTaker;
  #count = 0;

  constructor(taker: EventTaker) {
    this.#taker = taker;
  }

  /** Throws TEST_INPUT, KEY_INVALID or EVENT_TOO_LARGE. `now`: the test's clock. */
  write(stream: string | Stream<unknown>, key: string, data: unknown, options: EventOptions, now: number): WrittenEvent {
    const { type } = typeof stream === "string" ? this.#named(stream) : stream;
    const time = options.time === undefined ? now : instantOf(options.time, "time");
    const { sequence, effectiveTime } = options;
    const text = textOf({
      specversion: "1.0",
      id: options.id ?? this.#newId(),
      source: options.source ?? "/test",
      type,
      subject: key,
      time: formatInstant(time),
      ...(sequence === undefined ? {} : { sequence }),
      ...(effectiveTime === undefined ? {} : { effectivetime: formatInstant(instantOf(effectiveTime, "effectiveTime")) }),
      data: data ?? null,
    });
    const where = placeOf(key);
    if (Buffer.byteLength(text) > EVENT_MAX_BYTES)
      throw new TidemarkError("EVENT_TOO_LARGE", `An event of type "${type}" for the key "${key}".`);
    // Read back as the fold will: undefined fields are gone, dates are texts.
    const event = readEnvelope({ value: JSON.parse(text) });
    if (!event.ok) throw invalid(`${type}: ${event.reason} (${event.code})`);
    this.#check(event);
    const { maxAheadMs } = this.#taker;
    if (time > now + maxAheadMs) {
      throw invalid(
        `${type}: time ${formatInstant(time)} is more than maxAhead (${maxAheadMs} ms) after the test's clock, ${formatInstant(now)}. Move the clock with advanceClockTo, or begin there with the option "start"`,
      );
    }
    return { ...where, text };
  }

  #newId(): string {
    return `e${++this.#count}`;
  }

  #named(name: string): { readonly type: string } {
    const { streams, title } = this.#taker;
    const types = new Set(streams.filter((stream) => stream.name === name).map(({ type }) => type));
    const [type] = types;
    if (type === undefined) {
      const names = new Set(streams.map((stream) => stream.name));
      throw invalid(`${title} has no stream "${name}"; it has ${[...names].map((known) => `"${known}"`).join(", ")}`);
    }
    if (types.size > 1)
      throw invalid(`"${name}" names streams of several types: ${[...types].join(", ")}. Give the stream itself instead of its name`);
    return { type };
  }

  #check(event: Envelope): void {
    const { type } = event;
    const streams = this.#taker.streams.filter((stream) => stream.type === type);
    if (streams.length === 0) throw invalid(`${this.#taker.title} takes no events of type "${type}"`);
    for (const stream of streams) {
      const newest = newestData(stream, event);
      if ("code" in newest) throw invalid(`${type}: ${newest.reason}. To see it quarantined, use sendRaw`);
    }
  }
}

/** Token and slot of a key. Throws KEY_INVALID. */
export function placeOf(key: string): { readonly token: string; readonly slot: number } {
  const token = writeKey(key);
  if (token === undefined) throw new TidemarkError("KEY_INVALID", `"${key}".`);
  return { token, slot: slotOf(token) };
}

/** Throws TEST_INPUT. */
export function instantOf(given: Instant, what: string): number {
  const time = typeof given === "string" ? parseInstant(given) : given;
  if (time !== undefined && Number.isSafeInteger(time) && time >= INSTANT_MIN && time <= INSTANT_MAX) return time;
  throw invalid(`${what}: ${given} is no instant. Give whole milliseconds, or a text such as 2026-03-01T12:00:00Z`);
}

/** Throws TEST_INPUT. */
export function spanOf(given: string | number, what: string): number {
  try {
    return durationMs(given, what);
  } catch (error) {
    throw invalid((error as Error).message.replace(/\.$/, ""));
  }
}

export function invalid(detail: string): TidemarkError {
  return new TidemarkError("TEST_INPUT", `${detail}.`);
}

function textOf(event: object): string {
  try {
    return JSON.stringify(event);
  } catch (error) {
    throw invalid(`data cannot be written as JSON: ${(error as Error).message}`);
  }
}
