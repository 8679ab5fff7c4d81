/**
 * Instants and durations. An instant is whole milliseconds since 1970-01-01T00:00:00Z; its text is RFC 3339,
 * written in UTC with milliseconds. Digits below a millisecond are cut off. Nothing here reads a clock.
 */

export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** 0000-01-01T00:00:00.000Z: the earliest instant that has an RFC 3339 text. */
export const INSTANT_MIN = -62_167_219_200_000;
/** 9999-12-31T23:59:59.999Z: the last one. */
export const INSTANT_MAX = 253_402_300_799_999;

const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
const DURATION = /^(0|[1-9]\d{0,8})(ms|s|m|h|d)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS };

/** Parses an RFC 3339 date-time (RFC 3339 section 5.6, no leap second); `undefined` when the text is none. */
export function parseInstant(text: string): number | undefined {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 2);
  const day = digits(text, 8, 2);
  const hour = digits(text, 11, 2);
  const minute = digits(text, 14, 2);
  const second = digits(text, 17, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return undefined;
  if (text[4] !== "-" || text[7] !== "-" || text[13] !== ":" || text[16] !== ":") return undefined;
  const separator = text[10];
  if (separator !== "T" && separator !== "t" && separator !== " ") return undefined;
  let at = 19;
  let milliseconds = 0;
  if (text[at] === ".") {
    const start = ++at;
    while (isDigit(text.charCodeAt(at))) {
      if (at - start < 3) milliseconds = milliseconds * 10 + text.charCodeAt(at) - 48;
      at++;
    }
    if (at === start) return undefined;
    for (let have = at - start; have < 3; have++) milliseconds *= 10;
  }
  const offset = offsetMs(text, at);
  if (offset === undefined) return undefined;
  const local = daysFromCivil(year, month, day) * DAY_MS + hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + milliseconds;
  // An offset may carry a text of those years out of them.
  const instant = local - offset;
  return instant >= INSTANT_MIN && instant <= INSTANT_MAX ? instant : undefined;
}

/** Writes an instant as `YYYY-MM-DDTHH:MM:SS.mmmZ`. */
export function formatInstant(instant: number): string {
  const day = Math.floor(instant / DAY_MS);
  const ms = instant - day * DAY_MS;
  return `${formatDay(instant)}T${pad(Math.floor(ms / HOUR_MS), 2)}:${pad(Math.floor(ms / MINUTE_MS) % 60, 2)}:${pad(Math.floor(ms / SECOND_MS) % 60, 2)}.${pad(ms % SECOND_MS, 3)}Z`;
}

/** The UTC day of an instant as `YYYY-MM-DD`. */
export function formatDay(instant: number): string {
  // Days to civil date, Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
  const z = Math.floor(instant / DAY_MS) + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** Parses `500ms`, `10s`, `5m`, `24h`, `30d` to milliseconds; a number is milliseconds already. Throws on anything else. */
export function durationMs(text: string | number, what = "duration"): number {
  if (typeof text === "number") {
    if (Number.isSafeInteger(text) && text >= 0) return text;
  } else {
    const match = DURATION.exec(text);
    if (match !== null) return Number(match[1]) * UNIT_MS[match[2]!]!;
  }
  throw new TypeError(
    `${what}: "${text}" is no duration. Write whole milliseconds or a number with a unit, like 500ms, 10s, 5m, 24h or 30d.`,
  );
}

function offsetMs(text: string, at: number): number | undefined {
  const sign = text[at];
  if (sign === "Z" || sign === "z") return text.length === at + 1 ? 0 : undefined;
  if ((sign !== "+" && sign !== "-") || text.length !== at + 6 || text[at + 3] !== ":") return undefined;
  const hours = digits(text, at + 1, 2);
  const minutes = digits(text, at + 4, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined;
  return (sign === "+" ? 1 : -1) * (hours * HOUR_MS + minutes * MINUTE_MS);
}

function digits(text: string, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const code = text.charCodeAt(i);
    if (!isDigit(code)) return -1;
    value = value * 10 + code - 48;
  }
  return value;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function daysIn(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : DAYS_IN_MONTH[month - 1]!;
}

function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
