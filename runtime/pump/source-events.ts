/**
 * What one entry of a source holds for a pump: the events that its streams take, each with the key that the pump's
 * function gives it, written as they will stand in the target log. A function of the entry alone.
 *
 * What is no event of the source (unreadable, misplaced) stays there: the source's own jobs quarantine it. What is one
 * and cannot get a key goes on with the reason, for the target to quarantine.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type Envelope, type Item, readEnvelope, readItems } from "../../actors/fold/envelope.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import { readJournalEntry } from "../../actors/fold/journal.ts";
import { jsonText } from "../../actors/fold/json-text.ts";
import { PUMP_ERROR, SOURCE_POSITION } from "../../actors/fold/pump-entry.ts";
import { readSubject, type SubjectKind } from "../../actors/fold/subject.ts";
import { newestData } from "../../actors/fold/upcast.ts";
import { readKey, SLOTS, slotOf, writeKey } from "../../actors/model/key.ts";
import { formatPosition, parsePosition } from "../../actors/model/position.ts";
import type { Repartition } from "../../actors/model/repartition.ts";
import type { Stream } from "../../actors/model/stream.ts";
import { TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";

/** One event of a source entry that is sound and stands where it belongs. */
export interface SourceEvent {
  readonly index: number;
  readonly time: number;
  /** What goes into the target log; absent when the pump does not take the event. */
  readonly pumped?: PumpedText;
}

interface PumpedText {
  /** Of the new key; the slot `SLOTS` stands for no key. */
  readonly slot: number;
  readonly text: string;
}

export interface SourceOptions {
  readonly pump: Repartition;
  readonly partition: number;
  readonly partitions: number;
  /** An event further ahead of its log time moves no clock of the source. */
  readonly maxAheadMs: number;
  readonly guard: Guard;
}

const ERROR_MAX_CHARS = 512;

export class SourceEvents {
  readonly #options: SourceOptions;
  readonly #streams: ReadonlyMap<string, Stream<unknown>>;

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#streams = new Map(options.pump.streams.map((stream) => [stream.type, stream]));
  }

  /** Events in their order; nothing of what is no event, and of outputs none that was made of the entry `behind` or an earlier one. */
  read(entry: LogEntry, behind = 0): SourceEvent[] {
    const { source } = this.#options.pump;
    const subject = source.kind === "log" ? readSubject(source.log, this.#options.partition, entry.subject) : undefined;
    if (subject !== undefined && subject.kind !== "event" && subject.kind !== "batch" && subject.kind !== "pump") return [];
    if (entry.payload.length === 0 && subject?.kind === "pump") return [];
    return readItems(entry, primitives).flatMap((item, index) => {
      const passed = behind > 0 && madeOf(item) <= behind;
      return passed ? [] : (this.#event(item, index, entry, subject) ?? []);
    });
  }

  /** The watermark that a source log's control journal names in this entry. */
  watermark(entry: LogEntry): number | undefined {
    const { source } = this.#options.pump;
    if (source.kind !== "log" || readSubject(source.log, this.#options.partition, entry.subject).kind !== "control") return undefined;
    const journal = readJournalEntry(primitives.decodeUtf8(entry.payload) ?? "");
    return journal?.kind === "watermark" ? journal.time : undefined;
  }

  #event(item: Item, index: number, entry: LogEntry, subject: SubjectKind | undefined): SourceEvent | undefined {
    const event = readEnvelope(item);
    if (!event.ok || event.time > entry.logTime + this.#options.maxAheadMs) return undefined;
    const key = this.#keyThere(event, subject);
    if (key === undefined) return undefined;
    const stream = this.#streams.get(event.type);
    if (stream === undefined) return { index, time: event.time };
    const value = (item as { readonly value: object }).value as Readonly<Record<string, unknown>>;
    // Written before the app's function sees it: whatever that does to the event, this is what came.
    const { subject: _subject, [SOURCE_POSITION]: _position, [PUMP_ERROR]: _error, ...rest } = value;
    const text = jsonText({ ...rest, [SOURCE_POSITION]: formatPosition(this.#options.partition, entry.sequence, index) });
    const given = this.#keyFor(event, key, stream);
    if (given === undefined) return { index, time: event.time };
    const slot = "error" in given ? SLOTS : slotOf(given.token);
    const attribute = "error" in given ? { [PUMP_ERROR]: given.error } : { subject: given.key };
    return { index, time: event.time, pumped: { slot, text: `${text.slice(0, -1)},${JSON.stringify(attribute).slice(1)}` } };
  }

  /** The event's key in the source; `undefined` when it stands where it does not belong. */
  #keyThere(event: Envelope, subject: SubjectKind | undefined): string | undefined {
    const { partition, partitions } = this.#options;
    // Outputs without a valid key have none; they are of a job, so nothing about their place is in doubt.
    if (subject === undefined) return event.subject ?? "";
    const token = subject.kind === "event" ? subject.token : event.subject === undefined ? undefined : writeKey(event.subject);
    const key = token === undefined ? undefined : readKey(token);
    if (key === undefined || slotOf(token!) % partitions !== partition) return undefined;
    if (subject.kind === "event" && subject.slot !== slotOf(token!)) return undefined;
    return event.subject === undefined || event.subject === key ? key : undefined;
  }

  #keyFor(
    event: Envelope,
    key: string,
    stream: Stream<unknown>,
  ): { readonly key: string; readonly token: string } | { readonly error: string } | undefined {
    const { guard, pump } = this.#options;
    const { id, source, type, time } = event;
    let given: unknown;
    guard.enter();
    try {
      // As the target's handlers will see it. What is written is what came.
      const newest = newestData(stream, event);
      if ("code" in newest) return { error: bounded(newest.reason) };
      given = pump.key({ id, source, type, key, time, data: newest.data as never });
    } catch (error) {
      return { error: bounded(`the key function threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`) };
    } finally {
      guard.leave();
    }
    if (given === undefined) return undefined;
    const token = typeof given === "string" ? writeKey(given) : undefined;
    if (token === undefined) return { error: "the key function gave no key: it is no text, empty, over-long, or not well-formed" };
    return { key: given as string, token };
  }
}

/** Number of the first output that was made of an entry behind `entry`; the one behind the last when there is none yet. Entries never fall. */
export async function firstMadeBehind(source: Pick<PartitionLog, "stream" | "bounds" | "firstOn">, entry: number): Promise<number> {
  const { firstSequence, lastSequence } = await source.bounds();
  let low = firstSequence;
  let high = lastSequence + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const output = await source.firstOn(">", middle);
    const [item] = output === undefined ? [] : readItems(output, primitives);
    if (item === undefined || madeOf(item) > entry) high = middle;
    else low = middle + 1;
  }
  // Nobody knows what those before it were made of.
  if (low === firstSequence && firstSequence > 1)
    throw new TidemarkError("LOG_TRIMMED", `${source.stream} begins at ${firstSequence}, with what was made behind entry ${entry}.`);
  return low;
}

/** Sequence of the log's entry that an output was made of. */
function madeOf(item: Item): number {
  const { position } = ("refused" in item ? {} : item.value) as { readonly position?: unknown };
  return (typeof position === "string" ? parsePosition(position)?.sequence : undefined) ?? 0;
}

function bounded(text: string): string {
  return text.slice(0, ERROR_MAX_CHARS).toWellFormed();
}
