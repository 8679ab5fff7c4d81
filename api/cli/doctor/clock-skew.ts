/** How far another clock is from this one, when a question was asked in between two looks at ours. Pure. */
import { type Check, fail, ok, warn } from "./check.ts";

export interface ClockReading {
  /** Ours, before the question was asked and after its answer came. */
  readonly before: number;
  readonly after: number;
  /** Theirs: at some moment in between it showed a time from `theirs` up to `theirs + resolutionMs`. */
  readonly theirs: number;
  readonly resolutionMs: number;
}

const WARN_MS = 500;
const FAIL_MS = 5_000;

/** Least skew that explains the reading: 0 as long as both clocks may agree. Positive: theirs is ahead. */
export function leastSkewMs({ before, after, theirs, resolutionMs }: ClockReading): number {
  if (theirs > after) return theirs - after;
  if (theirs + resolutionMs < before) return theirs + resolutionMs - before;
  return 0;
}

/** Processing time is the log's, which is the server's: a clock that is off moves timers and what is too far ahead. */
export function checkClock(name: string, whose: string, reading: ClockReading): Check {
  const skew = leastSkewMs(reading);
  const found =
    skew === 0 ? `${whose} and this machine agree` : `${whose} is ${Math.abs(skew)} ms ${skew > 0 ? "ahead of" : "behind"} this machine`;
  const mend = "Let both machines take their time from NTP; times of events are compared with the server's clock.";
  if (Math.abs(skew) >= FAIL_MS) return fail(name, found, mend);
  return Math.abs(skew) >= WARN_MS ? warn(name, found, mend) : ok(name, found);
}
