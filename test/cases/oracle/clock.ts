/**
 * Rules 9 to 14 as one question: given everything that is known of a clock, where are its breach and its near breaches?
 * The answer knows nothing of what was told before; the walk compares.
 */
import type { ClockTerms } from "./records.ts";
import { shift } from "./zone.ts";

export interface Pause {
  readonly from: number;
  until: number | undefined;
}

export interface Clock {
  readonly slaId: string;
  readonly terms: ClockTerms;
  readonly start: number;
  /** In the order in which they were applied. */
  readonly pauses: Pause[];
  completedAt: number | undefined;
}

export interface Passing {
  readonly dueAt: number;
  /** The instant of the breach or near breach, so its `detectedAt`. */
  readonly at: number;
  /** Whether it comes without waiting for the watermark. */
  readonly atOnce: boolean;
}

interface DueTime {
  readonly dueAt: number;
  /** Since when it holds: the start of the clock, or the resume that gave it. */
  readonly since: number;
  /** The pause whose resume moved it on; nothing for the last one. */
  readonly movedBy: Pause | undefined;
}

/** Due times in the order in which they held. */
function dueTimes(clock: Clock): DueTime[] {
  const found: DueTime[] = [];
  let dueAt = clock.terms.dueAt;
  let since = clock.start;
  for (const pause of clock.terms.policy.pauseExtends ? clock.pauses : []) {
    if (pause.until === undefined) break;
    found.push({ dueAt, since, movedBy: pause });
    dueAt += pause.until - pause.from;
    since = pause.until;
  }
  return [...found, { dueAt, since, movedBy: undefined }];
}

export function dueAtOf(clock: Clock): number {
  return dueTimes(clock).at(-1)!.dueAt;
}

export function nearBreachAt(clock: Clock, dueAt: number, since = clock.start): number | undefined {
  const { nearBreach, timeZone } = clock.terms.policy;
  return nearBreach === undefined ? undefined : Math.max(shift(dueAt, nearBreach, timeZone, -1), since);
}

/** The breach, as if nobody had been told of one. */
export function breachOf(clock: Clock): Passing | undefined {
  for (const due of dueTimes(clock)) {
    const at = passedAt(clock, due.dueAt, due);
    if (at !== undefined) return { dueAt: due.dueAt, at, atOnce: isAtOnce(clock, due.dueAt, at) };
  }
  return undefined;
}

export function nearBreachesOf(clock: Clock): Passing[] {
  const dues = dueTimes(clock);
  const breach = breachOf(clock);
  // A breached clock has no near breach any more.
  const until = dues.findIndex(({ dueAt }) => dueAt === breach?.dueAt);
  return dues.slice(0, until === -1 ? dues.length : until + 1).flatMap((due) => {
    const near = nearBreachAt(clock, due.dueAt, due.since);
    const at = near === undefined ? undefined : passedAt(clock, near, due);
    if (near === undefined || at === undefined) return [];
    // At or behind the due time there is the breach alone.
    return at >= due.dueAt ? [] : [{ dueAt: due.dueAt, at, atOnce: isAtOnce(clock, near, at) }];
  });
}

/** Where the clock ran through `instant` while it was its due time, or came out of a pause behind it; nothing where it did neither. */
function passedAt(clock: Clock, instant: number, { movedBy }: DueTime): number | undefined {
  // A due time that a resume moved held until that pause began.
  if (movedBy !== undefined && movedBy.from <= instant) return undefined;
  let at = instant;
  for (let pause = covering(clock.pauses, at); pause !== undefined; pause = covering(clock.pauses, at)) {
    if (clock.terms.policy.pauseExtends || pause.until === undefined) return undefined;
    at = pause.until;
  }
  return clock.completedAt !== undefined && clock.completedAt <= at ? undefined : at;
}

function covering(pauses: readonly Pause[], at: number): Pause | undefined {
  return pauses.find(({ from, until }) => from <= at && (until === undefined || at < until));
}

function isAtOnce(clock: Clock, instant: number, at: number): boolean {
  if (at > instant) return true;
  return (clock.completedAt !== undefined && clock.completedAt > at) || clock.pauses.some(({ from }) => from > at);
}
