/**
 * Makes working calendars by the rules of three places, as records of the table `calendar`: the same years always
 * give the same records. `reference/README.md` says how to run it.
 *
 * Sources. Italy: legge 27 May 1949 n. 260 as amended, last by legge 8 October 2025 n. 151; d.l. 22 February 2011 n. 5.
 * England: Banking and Financial Dealings Act 1971 and the royal proclamations under it, as listed by gov.uk.
 * Netherlands: Algemene termijnenwet article 3, which is what terms in law go by: Good Friday and each 5 May are in it.
 * Days that a decree names for one year and region are not.
 */
import { DAY_MS, formatDay } from "../model/time.ts";
import { type WorkingCalendar, weekdayOf } from "./deadline.ts";

/** The exceptions below begin here. */
const FIRST_YEAR = 2005;
const LAST_YEAR = 2099;
const MONDAY = 1;
const SATURDAY = 6;
const SUNDAY = 7;

/** England: holidays that were moved, and days that were holidays once. */
const MOVED: Readonly<Record<string, string>> = {
  "2012-05-28": "2012-06-04",
  "2020-05-04": "2020-05-08",
  "2022-05-30": "2022-06-02",
};
const ONCE_IN_ENGLAND = ["2011-04-29", "2012-06-05", "2022-06-03", "2022-09-19", "2023-05-08"];
const ONCE_IN_ITALY = ["2011-03-17"];

interface Place {
  readonly id: string;
  readonly timeZone: string;
  readonly holidays: (year: number) => readonly number[];
  readonly moved?: Readonly<Record<string, string>>;
  readonly once?: readonly string[];
}

const PLACES: readonly Place[] = [
  { id: "it", timeZone: "Europe/Rome", holidays: italian, once: ONCE_IN_ITALY },
  { id: "gb-eng", timeZone: "Europe/London", holidays: english, moved: MOVED, once: ONCE_IN_ENGLAND },
  { id: "nl", timeZone: "Europe/Amsterdam", holidays: dutch },
];

export interface CalendarRecord {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: WorkingCalendar;
}

/** One record a place, of whole years, both included. Throws RangeError for years whose holidays are not known here. */
export function workingCalendars(firstYear: number, lastYear: number, version = 1): CalendarRecord[] {
  const areYears = Number.isInteger(firstYear) && Number.isInteger(lastYear) && firstYear <= lastYear;
  if (!areYears || firstYear < FIRST_YEAR || lastYear > LAST_YEAR)
    throw new RangeError(`${firstYear} to ${lastYear}: give a first and a last year, ${FIRST_YEAR} to ${LAST_YEAR}.`);
  const years = Array.from({ length: lastYear - firstYear + 1 }, (_, i) => firstYear + i);
  return PLACES.map((place) => ({
    id: place.id,
    version,
    effectiveFrom: `${firstYear}-01-01T00:00:00Z`,
    data: {
      timeZone: place.timeZone,
      weekend: [SATURDAY, SUNDAY],
      from: `${firstYear}-01-01`,
      until: `${lastYear}-12-31`,
      holidays: years.flatMap((year) => holidaysOf(place, year)),
    },
  }));
}

/** Easter Sunday, in days from 1970-01-01. Source: the anonymous Gregorian computus, Nature, 20 April 1876; Meeus, Astronomical Algorithms, chapter 8. */
export function easterOf(year: number): number {
  const a = year % 19;
  const b = Math.floor(year / 100);
  const c = year % 100;
  const d = Math.floor(b / 4);
  const e = b % 4;
  const f = Math.floor((b + 8) / 25);
  const g = Math.floor((b - f + 1) / 3);
  const h = (19 * a + b - d - g + 15) % 30;
  const i = Math.floor(c / 4);
  const k = c % 4;
  const l = (32 + 2 * e + 2 * i - h - k) % 7;
  const m = Math.floor((a + 11 * h + 22 * l) / 451);
  const n = h + l - 7 * m + 114;
  return day(year, Math.floor(n / 31), (n % 31) + 1);
}

/** Two holidays may fall on one day. */
function holidaysOf({ holidays, moved = {}, once = [] }: Place, year: number): string[] {
  const dates = holidays(year).map((each) => formatDay(each * DAY_MS));
  const held = [...dates.map((date) => moved[date] ?? date), ...once.filter((date) => date.startsWith(`${year}-`))];
  return [...new Set(held)].sort();
}

function italian(year: number): number[] {
  const easter = easterOf(year);
  return [
    day(year, 1, 1),
    day(year, 1, 6),
    easter,
    easter + 1,
    day(year, 4, 25),
    day(year, 5, 1),
    day(year, 6, 2),
    day(year, 8, 15),
    ...(year >= 2026 ? [day(year, 10, 4)] : []),
    day(year, 11, 1),
    day(year, 12, 8),
    day(year, 12, 25),
    day(year, 12, 26),
  ];
}

function english(year: number): number[] {
  const easter = easterOf(year);
  const newYear = day(year, 1, 1);
  return [
    // The next Monday stands for one on a weekend.
    newYear + (weekdayOf(newYear) === SATURDAY ? 2 : weekdayOf(newYear) === SUNDAY ? 1 : 0),
    easter - 2,
    easter + 1,
    mondayFrom(day(year, 5, 1)),
    mondayFrom(day(year, 5, 25)),
    mondayFrom(day(year, 8, 25)),
    // Two days behind: what stands for Christmas Day on a Sunday is Tuesday, for Monday is Boxing Day.
    ...[day(year, 12, 25), day(year, 12, 26)].map((each) => (weekdayOf(each) >= SATURDAY ? each + 2 : each)),
  ];
}

function dutch(year: number): number[] {
  const easter = easterOf(year);
  const birthday = year >= 2014 ? day(year, 4, 27) : day(year, 4, 30);
  return [
    day(year, 1, 1),
    easter - 2,
    easter + 1,
    // Of the King, before 2014 of the Queen; held on Saturday when it is a Sunday.
    weekdayOf(birthday) === SUNDAY ? birthday - 1 : birthday,
    day(year, 5, 5),
    easter + 39,
    easter + 50,
    day(year, 12, 25),
    day(year, 12, 26),
  ];
}

function mondayFrom(first: number): number {
  return first + ((MONDAY - weekdayOf(first) + 7) % 7);
}

function day(year: number, month: number, date: number): number {
  return Date.UTC(year, month - 1, date) / DAY_MS;
}
