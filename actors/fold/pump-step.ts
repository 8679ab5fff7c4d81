/**
 * One entry of a pump: which of its events were taken before, what of them moves the source's clock, and, behind the
 * last event, what the entry says of its source. From there on a pumped event goes the way of every other.
 */
import { slotOf, writeKey } from "../model/key.ts";
import type { LogEntry } from "./entry.ts";
import { type Envelope, type Item, type Refused, readItems } from "./envelope.ts";
import type { Primitives } from "./primitives.ts";
import { PUMP_ERROR, type PumpLink, readPumpLink, readSourcePlace, SOURCE_POSITION } from "./pump-entry.ts";
import { NO_SLOT, type PumpState } from "./pump-state.ts";
import type { SubjectKind } from "./subject.ts";

type PumpSubject = Extract<SubjectKind, { kind: "pump" }>;
type Verdict = "new" | "repeated" | { readonly code: string; readonly reason: string };

export class PumpStep {
  readonly #state: PumpState;
  #subject: PumpSubject | undefined;
  #link: PumpLink | undefined;

  constructor(state: PumpState) {
    this.#state = state;
  }

  /** False when the entry is none of a pump's, whatever its subject says. */
  open(entry: LogEntry, subject: PumpSubject): boolean {
    this.#link = readPumpLink(entry.headers);
    this.#subject = subject;
    if (this.#link !== undefined) this.#state.open(subject.pump, subject.source, this.#link);
    return this.#link !== undefined;
  }

  close(): void {
    this.#subject = undefined;
    this.#link = undefined;
  }

  /** Of an event of the open entry, before anything else is asked about it. */
  judge(item: Item, event: Envelope | Refused): Verdict {
    if (this.#subject === undefined) return "new";
    const { pump, source } = this.#subject;
    const value = "refused" in item ? {} : (item.value as Readonly<Record<string, unknown>> | null);
    const place = readSourcePlace(value?.[SOURCE_POSITION], source);
    if (place === undefined) return { code: "bad-pump-entry", reason: "an event does not say where it stands in its source" };
    const token = event.subject === undefined ? undefined : writeKey(event.subject);
    if (!this.#state.take(token === undefined ? NO_SLOT : slotOf(token), pump, source, place)) return "repeated";
    const error = value?.[PUMP_ERROR];
    return typeof error === "string" ? { code: "pump-key", reason: error } : "new";
  }

  /** A valid event. False when the log is fed by no pump: then it moves the watermark itself. */
  seen(time: number): boolean {
    // A source that has a clock of its own does not go by the times of its events.
    if (this.#subject !== undefined && this.#link?.time !== undefined) this.#state.seen(this.#subject.pump, this.#subject.source, time);
    return this.#state.fed;
  }

  /** Behind the last event of the open entry. */
  finish(): void {
    this.#state.close(this.#subject!.pump, this.#subject!.source, this.#link!);
  }
}

/** Events of an entry; none when it only tells of its source. Their sizes were within the bound in the source, and a key may be longer. */
export function readPumped(entry: LogEntry, primitives: Primitives): Item[] {
  if (entry.payload.length === 0) return [];
  return readItems(entry, primitives).map((item) => ("refused" in item ? item : { value: item.value }));
}
