/**
 * Operators: cells that act by themselves when time has come. What an operator keeps lies in its slot and entries, as
 * that of any cell; beside it has one alarm on its clock, and it calls the actor's handler of its own name with what
 * it fires: `on.<cell>(ctx, fired)`. So rollback, bounds, migration and replay are those of cells and timers, and the
 * fold knows nothing of windows, joins or patterns.
 *
 * Two words carry all of them. *Reached* is how far time has come on the operator's clock: what ends at or before it is
 * over (W >= end in event time, P >= end in processing time). The *alarm* rings once `reached` has come to its time, in
 * the order of all timers; an entry that brings time far on lets everything between ring in its order.
 *
 * An alarm is a timer of the actor under the cell's name. When the handler fails at what is fired, the dead letter names
 * that timer, and the operator rings once more: what it fires is then told one by one, and what the handler fails at again
 * is a finding, `tidemark.quality` with the rule `passed-over`. So it goes on, and nothing else is lost with it.
 */
import type { Clock } from "../clock.ts";
import { HandlerError } from "../handler-error.ts";

/** A handle whose operator fires F. Carries the type; there is no such field at run time. */
export interface Fires<F> {
  readonly fires?: F;
}

/** What an operator sees of the unit and the shard that it works in. */
export interface OperatorHost {
  /** Of what is in hand, on the operator's clock: `ctx.now`, or the processing time. */
  readonly time: number;
  /** Everything that ends at or before it is over; minus infinity before the first event. */
  readonly reached: number;
  /** Of the job: how far behind the watermark an event still comes. 0 on the processing clock. */
  readonly allowedLatenessMs: number;
  /** Whether the actor has a handler of the cell's name. */
  readonly heard: boolean;
  /** It, or its handler, has failed at this alarm: it is to get over that. */
  readonly passingOver: boolean;
  /** Id of the event in hand, or of the one that armed the alarm. */
  readonly cause: string;
  /** When it rings; `undefined` when it is not set. */
  readonly alarm: number | undefined;
  /** An operator sets it for later than it is reached; when it rings it has been taken off. */
  setAlarm(at: number | undefined): void;
  /** Calls the handler of the cell's name with what `make` gives. `time` becomes its `ctx.now`, `cause` that of its outputs. */
  fire(make: () => unknown, time: number, cause?: string): void;
  /** Tells `tidemark.late` that the event in hand came too late for this operator; `reason`: for what, by default a `window`. */
  tellLate(reason?: string): void;
  /** Counts it instead. */
  countLate(): void;
  /** Emits `tidemark.quality`: a finding that stops nothing. `cause`: id of the event with which it came about. */
  tellQuality(rule: string, detail: object, cause?: string): void;
}

/** Whether what ends at `end` is over, and no alarm is still to come for it. */
export function isOver(host: OperatorHost, end: number): boolean {
  return end <= host.reached && !(host.alarm !== undefined && host.alarm <= end);
}

/** Sets the alarm to `at` if it would ring later or not at all. */
export function wakeBy(host: OperatorHost, at: number): void {
  if (host.alarm === undefined || at < host.alarm) host.setAlarm(at);
}

/** The time in which an alarm stands in the index of timers: one on the event clock fires when W > t, so behind t + 1 - 1. */
export function timerTime(clock: Clock, alarm: number): number {
  return clock === "event" ? alarm - 1 : alarm;
}

/** How far time has come when a timer of the clock fires at `time`. */
export function reachedAt(clock: Clock, time: number): number {
  return clock === "event" ? time + 1 : time;
}

/** For cells that are no operators, and for reading: it does nothing and knows no time. */
export const NO_OPERATOR: OperatorHost = readingHost(undefined);

/** For queries: an operator can be read, as far as time has come on its clock. */
export function readingHost(time: number | undefined): OperatorHost {
  const refuse = (): never => {
    throw new HandlerError("READ_ONLY", "A query changes nothing. Publish an event whose handler does.");
  };
  const reached = time ?? Number.NEGATIVE_INFINITY;
  const none = { heard: false, passingOver: false, cause: "", alarm: undefined, allowedLatenessMs: 0 };
  const refused = { setAlarm: refuse, fire: refuse, tellLate: refuse, countLate: refuse, tellQuality: refuse };
  return { ...none, ...refused, time: reached, reached };
}
