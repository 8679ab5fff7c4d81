/**
 * Calendar arithmetic for the oracle, on nothing but what `Intl.DateTimeFormat` says about an instant: offsets are found by asking,
 * working days by walking day by day. Slow and plain on purpose.
 */

const DAY = 86_400_000;
const formats = new Map<string, Intl.DateTimeFormat>();
const offsets = new Map<string, number>();

export interface WorkingDays {
  readonly timeZone: string;
  readonly weekend: readonly number[];
  readonly holidays: readonly string[];
  readonly from: string;
  readonly until: string;
}

interface Duration {
  readonly months: number;
  readonly days: number;
  readonly exactMs: number;
}

/** `instant` moved by an ISO 8601 duration: years, months, weeks and days on the local calendar, the rest as exact time. */
export function shift(instant: number, duration: string, timeZone: string, sign: 1 | -1): number {
  const { months, days, exactMs } = readDuration(duration);
  if (months === 0 && days === 0) return instant + sign * exactMs;
  const moved = localDate(localOf(instant, timeZone), sign * months) + sign * days * DAY;
  return instantOf(moved, timeZone) + sign * exactMs;
}

/** The n-th working day behind the local day of `start`, at its local time; nothing where the calendar does not say what a day is. */
export function afterWorkingDays(start: number, duration: string, calendar: WorkingDays): number | undefined {
  const { days: wanted } = readDuration(duration);
  let local = localOf(start, calendar.timeZone);
  for (let counted = 0; counted < wanted; ) {
    local += DAY;
    const date = new Date(local).toISOString().slice(0, 10);
    if (date < calendar.from || date > calendar.until) return undefined;
    const weekday = new Date(local).getUTCDay() || 7;
    if (!calendar.weekend.includes(weekday) && !calendar.holidays.includes(date)) counted++;
  }
  return wanted === 0 ? start : instantOf(local, calendar.timeZone);
}

function readDuration(text: string): Duration {
  const match = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$/.exec(text);
  if (match === null) throw new TypeError(`the oracle cannot read the duration ${text}`);
  const [years, months, weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return {
    months: years! * 12 + months!,
    days: weeks! * 7 + days!,
    exactMs: hours! * 3_600_000 + minutes! * 60_000 + Math.round(seconds! * 1_000),
  };
}

/** Months on, the day kept or the month's last. A local time is written as the instant at which UTC would show it. */
function localDate(local: number, months: number): number {
  const date = new Date(local);
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1);
  const last = new Date(Date.UTC(new Date(first).getUTCFullYear(), new Date(first).getUTCMonth() + 1, 0)).getUTCDate();
  return first + (Math.min(date.getUTCDate(), last) - 1) * DAY + (local - Math.floor(local / DAY) * DAY);
}

function localOf(instant: number, timeZone: string): number {
  return instant + offsetAt(instant, timeZone);
}

/** The instant of a local time; of a doubled one the first, and of a skipped one that which the offset before the change gives. */
function instantOf(local: number, timeZone: string): number {
  const before = offsetAt(local - DAY, timeZone);
  const behind = offsetAt(local + DAY, timeZone);
  if (offsetAt(local - before, timeZone) === before) return local - before;
  if (offsetAt(local - behind, timeZone) === behind) return local - behind;
  return local - before;
}

function offsetAt(instant: number, timeZone: string): number {
  const second = Math.floor(instant / 1_000) * 1_000;
  const known = offsets.get(`${timeZone} ${second}`);
  if (known !== undefined) return known;
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(timeZone).formatToParts(second)) parts[type] = Number(value);
  const offset = Date.UTC(parts.year!, parts.month! - 1, parts.day!, parts.hour!, parts.minute!, parts.second!) - second;
  offsets.set(`${timeZone} ${second}`, offset);
  return offset;
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  let format = formats.get(timeZone);
  if (format === undefined) {
    const digits = "2-digit";
    format = new Intl.DateTimeFormat("en-GB", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: digits,
      day: digits,
      hour: digits,
      minute: digits,
      second: digits,
    });
    formats.set(timeZone, format);
  }
  return format;
}
