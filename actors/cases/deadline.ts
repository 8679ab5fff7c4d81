/**
 * Deadlines: calendar arithmetic in a time zone, and the working days of a calendar. Everything here is computed from
 * its arguments and the time zones of the engine. What is kept between calls is parsed text and the days of a
 * calendar: it saves time and does not show.
 *
 * Source: RFC 5545 section 3.3.5 for local times that a clock change skips or doubles; Temporal calls it "compatible".
 */
import { Temporal } from "temporal-polyfill";
import { DAY_MS, INSTANT_MAX, INSTANT_MIN, parseInstant } from "../model/time.ts";

/** The working days of a place, as the table `calendar` has them. It must not change once it was used. */
export interface WorkingCalendar {
  /** IANA. */
  readonly timeZone: string;
  /** ISO weekdays: 1 is Monday, 7 Sunday. */
  readonly weekend: readonly number[];
  /** `YYYY-MM-DD`, in any order. */
  readonly holidays: readonly string[];
  /** The first day that the calendar knows, and the last one. */
  readonly from: string;
  readonly until: string;
}

const DURATION =
  /^P(?=\d|T\d)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,10})S)?)?$/;
const WHOLE_DAYS = /^P(\d+)([DW])$/;
const DATE = /^\d{4}-\d{2}-\d{2}$/;
const ZONE = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/;
/** No zone that IANA names is longer. */
const ZONE_CHARS_MAX = 64;
/** A hundred years of the Gregorian calendar, on average. */
const DURATION_DAYS_MAX = 36_525;
const NANOSECONDS_PER_MS = 1_000_000;
/** Parsing takes about as long as half of an addition, and a job knows a few dozen durations. */
const PARSED_MAX = 1_000;

const parsed = new Map<string, Temporal.Duration>();
const compiled = new WeakMap<WorkingCalendar, CompiledCalendar>();

/** Days are counted from 1970-01-01. */
interface CompiledCalendar {
  readonly from: number;
  readonly until: number;
  readonly weekend: ReadonlySet<number>;
  readonly holidays: ReadonlySet<number>;
}

/**
 * The instant a duration behind another: years, months, weeks and days on the local calendar, a day that the month does
 * not have becoming its last, then hours, minutes and seconds as exact time. A local time that a clock change skips or
 * doubles is read with the offset before the change. What would lie behind the year 9999 is its last millisecond.
 * Throws RangeError for what {@link isDuration} or {@link isTimeZone} refuses.
 */
export function addDuration(instantMs: number, isoDuration: string, timeZone: string): number {
  return bounded(zonedAt(instantMs, timeZone).add(durationOf(isoDuration)).epochMilliseconds);
}

/** The instant a duration before another, as {@link addDuration}: first the days on the calendar, then the exact time. */
export function subtractDuration(instantMs: number, isoDuration: string, timeZone: string): number {
  return bounded(zonedAt(instantMs, timeZone).subtract(durationOf(isoDuration)).epochMilliseconds);
}

/**
 * The n-th working day behind the local day of an instant, at the same local time; the day itself never counts.
 * `undefined` when the calendar does not know one of these days, that of the instant among them.
 * Throws RangeError for less than one day or a part of one.
 */
export function addWorkingDays(instantMs: number, days: number, calendar: WorkingCalendar): number | undefined {
  if (!Number.isSafeInteger(days) || days < 1) throw new RangeError(`${days} working days: the number is whole and at least 1.`);
  const { from, until, weekend, holidays } = compiledOf(calendar);
  const zoned = zonedAt(instantMs, calendar.timeZone);
  const start = Math.floor((instantMs + zoned.offsetNanoseconds / NANOSECONDS_PER_MS) / DAY_MS);
  if (start < from) return undefined;
  let day = start;
  for (let left = days; left > 0; ) {
    day++;
    if (day > until) return undefined;
    if (!weekend.has(weekdayOf(day)) && !holidays.has(day)) left--;
  }
  return bounded(zoned.add({ days: day - start }).epochMilliseconds);
}

/** An ISO 8601 duration of whole years down to seconds, longer than none and at most a hundred years: `P60D`, `P1Y6M`, `PT4H`. */
export function isDuration(text: string): boolean {
  return parsed.has(text) || parse(text) !== undefined;
}

/** The days of a duration that is `P<n>D` or `P<n>W`; `undefined` of any other. */
export function wholeDays(text: string): number | undefined {
  const match = WHOLE_DAYS.exec(text);
  if (match === null || !isDuration(text)) return undefined;
  return Number(match[1]) * (match[2] === "W" ? 7 : 1);
}

/** A time zone of IANA that the engine knows, such as `Europe/Rome` or `UTC`; an offset is none. */
export function isTimeZone(text: string): boolean {
  if (text.length > ZONE_CHARS_MAX || !ZONE.test(text)) return false;
  try {
    zonedAt(0, text);
    return true;
  } catch {
    return false;
  }
}

/** A day of the calendar as `YYYY-MM-DD`. */
export function isDate(text: string): boolean {
  return dayOf(text) !== undefined;
}

/** The ISO weekday of a day counted from 1970-01-01: 1 is Monday, 7 Sunday. */
export function weekdayOf(day: number): number {
  // 1970-01-01 was a Thursday.
  return ((((day + 3) % 7) + 7) % 7) + 1;
}

function zonedAt(instantMs: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(timeZone);
}

/** An instant behind the last one that has a text could not be told of, and would be no time for a timer. */
function bounded(instantMs: number): number {
  return Math.min(Math.max(instantMs, INSTANT_MIN), INSTANT_MAX);
}

function durationOf(text: string): Temporal.Duration {
  const duration = parsed.get(text) ?? parse(text);
  if (duration === undefined) throw new RangeError(`"${text}" is no duration.`);
  return duration;
}

function parse(text: string): Temporal.Duration | undefined {
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  const [years, months, weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0)) as Parts;
  const length = years * 365.25 + months * 30.4375 + weeks * 7 + days + hours / 24 + minutes / 1_440 + seconds / 86_400;
  if (length === 0 || length > DURATION_DAYS_MAX) return undefined;
  const duration = new Temporal.Duration(years, months, weeks, days, hours, minutes, seconds);
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(text, duration);
  return duration;
}

type Parts = [number, number, number, number, number, number, number];

function compiledOf(calendar: WorkingCalendar): CompiledCalendar {
  const known = compiled.get(calendar);
  if (known !== undefined) return known;
  const made = {
    from: knownDay(calendar.from),
    until: knownDay(calendar.until),
    weekend: new Set(calendar.weekend),
    holidays: new Set(calendar.holidays.map(knownDay)),
  };
  compiled.set(calendar, made);
  return made;
}

function knownDay(text: string): number {
  const day = dayOf(text);
  if (day === undefined) throw new RangeError(`"${text}" is no date.`);
  return day;
}

function dayOf(text: string): number | undefined {
  const midnight = DATE.test(text) ? parseInstant(`${text}T00:00:00Z`) : undefined;
  return midnight === undefined ? undefined : midnight / DAY_MS;
}
