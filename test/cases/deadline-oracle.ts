/**
 * Deadlines once more, as naively as can be: months are counted one by one, days are walked one by one, and what a local time
 * means is tried out with the clock of `Intl.DateTimeFormat`. It shares nothing with what it judges.
 */
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";

export interface Span {
  readonly years: number;
  readonly months: number;
  readonly weeks: number;
  readonly days: number;
  readonly hours: number;
  readonly minutes: number;
  readonly seconds: number;
}

interface Calendar {
  readonly timeZone: string;
  readonly weekend: readonly number[];
  readonly holidays: readonly string[];
  readonly from: string;
  readonly until: string;
}

interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

const MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const clocks = new Map<string, Intl.DateTimeFormat>();

export function naiveAdd(instant: number, span: Span, timeZone: string, sign: 1 | -1): number {
  const exact = span.hours * HOUR_MS + span.minutes * MINUTE_MS + span.seconds * SECOND_MS;
  if (span.years + span.months + span.weeks + span.days === 0) return instant + sign * exact;
  const { date, timeMs } = splitLocal(wallClock(instant, timeZone));
  let { year, month } = date;
  for (let i = 0; i < span.years * 12 + span.months; i++) {
    month += sign;
    if (month === 13) [year, month] = [year + 1, 1];
    if (month === 0) [year, month] = [year - 1, 12];
  }
  let walked: CivilDate = { year, month, day: Math.min(date.day, lastDayOf(year, month)) };
  for (let i = 0; i < span.weeks * 7 + span.days; i++) walked = sign === 1 ? nextDay(walked) : previousDay(walked);
  return instantOf(walked, timeMs, timeZone) + sign * exact;
}

export function naiveWorkingDays(instant: number, days: number, calendar: Calendar): number | undefined {
  const { date, timeMs } = splitLocal(wallClock(instant, calendar.timeZone));
  let walked = date;
  if (!covers(calendar, walked)) return undefined;
  for (let counted = 0; counted < days; ) {
    walked = nextDay(walked);
    if (!covers(calendar, walked)) return undefined;
    const weekday = new Date(Date.UTC(walked.year, walked.month - 1, walked.day)).getUTCDay() || 7;
    if (!calendar.weekend.includes(weekday) && !calendar.holidays.includes(textOf(walked))) counted++;
  }
  return instantOf(walked, timeMs, calendar.timeZone);
}

function covers({ from, until }: Calendar, date: CivilDate): boolean {
  return textOf(date) >= from && textOf(date) <= until;
}

/** The earliest instant at which the clock shows it; where it is skipped, what the clock before the change would have called so. */
function instantOf(date: CivilDate, timeMs: number, timeZone: string): number {
  const local = Date.UTC(date.year, date.month - 1, date.day) + timeMs;
  const offsets = new Set<number>();
  for (let hours = -36; hours <= 36; hours += 4) offsets.add(offsetAt(local + hours * HOUR_MS, timeZone));
  const shown = [...offsets].map((offset) => local - offset).filter((instant) => wallClock(instant, timeZone) === local);
  if (shown.length > 0) return Math.min(...shown);
  return local - offsetAt(local - Math.max(...offsets), timeZone);
}

function offsetAt(instant: number, timeZone: string): number {
  return wallClock(instant, timeZone) - instant;
}

/** What a clock on the wall shows, written as an instant in UTC. */
function wallClock(instant: number, timeZone: string): number {
  let clock = clocks.get(timeZone);
  if (clock === undefined) {
    const field = "numeric";
    const fields = { year: field, month: field, day: field, hour: field, minute: field, second: field } as const;
    clock = new Intl.DateTimeFormat("en-GB", { calendar: "gregory", hourCycle: "h23", timeZone, ...fields });
    clocks.set(timeZone, clock);
  }
  const shown = new Map(clock.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  const part = (type: Intl.DateTimeFormatPartTypes): number => shown.get(type)!;
  const second = Date.UTC(part("year"), part("month") - 1, part("day"), part("hour"), part("minute"), part("second"));
  return second + (((instant % SECOND_MS) + SECOND_MS) % SECOND_MS);
}

function splitLocal(local: number): { readonly date: CivilDate; readonly timeMs: number } {
  const shown = new Date(local);
  const date = { year: shown.getUTCFullYear(), month: shown.getUTCMonth() + 1, day: shown.getUTCDate() };
  return { date, timeMs: ((local % DAY_MS) + DAY_MS) % DAY_MS };
}

function nextDay({ year, month, day }: CivilDate): CivilDate {
  if (day < lastDayOf(year, month)) return { year, month, day: day + 1 };
  return month === 12 ? { year: year + 1, month: 1, day: 1 } : { year, month: month + 1, day: 1 };
}

function previousDay({ year, month, day }: CivilDate): CivilDate {
  if (day > 1) return { year, month, day: day - 1 };
  return month === 1 ? { year: year - 1, month: 12, day: 31 } : { year, month: month - 1, day: lastDayOf(year, month - 1) };
}

function lastDayOf(year: number, month: number): number {
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  return month === 2 && leap ? 29 : MONTH_DAYS[month - 1]!;
}

function textOf({ year, month, day }: CivilDate): string {
  return `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
}
