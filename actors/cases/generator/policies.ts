/**
 * When a clock of the generator's cases is due. It is worked out by hand and not by what the job uses, so that a fault
 * of the one does not hide in the other. It knows no holidays: a due time by working days is the earliest that can be.
 */
import { DAY_MS, HOUR_MS } from "../../model/time.ts";

export interface Policy {
  /** Days on the local calendar. */
  readonly days?: number;
  /** Working days, Monday to Friday. */
  readonly workingDays?: number;
  readonly hours?: number;
  /** Where it is absent, no clock of the policy is ever paused. */
  readonly pauseExtends?: boolean;
}

/** Their zones are Europe/Rome and Europe/Amsterdam, which keep the same time. */
export const POLICIES: Readonly<Record<string, Policy>> = {
  "enforcement-decision": { days: 90, pauseExtends: true },
  "enforcement-response": { workingDays: 10 },
  "fine-payment": { days: 60, pauseExtends: false },
  "fine-appeal": { days: 60, pauseExtends: true },
  "permit-decision": { days: 56, pauseExtends: true },
  "permit-check": { workingDays: 10 },
  "incident-response": { hours: 4 },
  "incident-resolution": { hours: 72, pauseExtends: true },
};

export function dueOf({ days, workingDays, hours }: Policy, start: number): number {
  if (hours !== undefined) return start + hours * HOUR_MS;
  const local = start + offsetMs(start);
  let due = local + (days ?? 0) * DAY_MS;
  for (let left = workingDays ?? 0; left > 0; ) {
    due += DAY_MS;
    if (!isWeekend(due)) left--;
  }
  // Two hours before, no change that the local time itself meets has happened: a skipped or doubled one takes the offset before it.
  return due - offsetMs(due - 2 * HOUR_MS);
}

export function isWeekend(instant: number): boolean {
  return weekday(instant) % 6 === 0;
}

/** The offset of central European time: an hour, two from the last Sunday of March to that of October, each 01:00 UTC. */
function offsetMs(instant: number): number {
  const year = new Date(instant).getUTCFullYear();
  const summer = lastSunday(year, 2) + HOUR_MS <= instant && instant < lastSunday(year, 9) + HOUR_MS;
  return summer ? 2 * HOUR_MS : HOUR_MS;
}

/** Of a month of 31 days. */
function lastSunday(year: number, month: number): number {
  const last = Date.UTC(year, month, 31);
  return last - weekday(last) * DAY_MS;
}

/** 0 is Sunday. */
function weekday(instant: number): number {
  return (Math.floor(instant / DAY_MS) + 4) % 7;
}
