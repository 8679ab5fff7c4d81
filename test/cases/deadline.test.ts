import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import {
  addDuration,
  addWorkingDays,
  isDate,
  isDuration,
  isTimeZone,
  subtractDuration,
  type WorkingCalendar,
  weekdayOf,
  wholeDays,
} from "../../actors/cases/deadline.ts";
import { workingCalendars } from "../../actors/cases/make-calendars.ts";
import { formatInstant, INSTANT_MAX, INSTANT_MIN, parseInstant } from "../../actors/model/time.ts";
import { installGuards } from "../../runtime/shard/guards.ts";
import { naiveAdd, naiveWorkingDays, type Span } from "./deadline-oracle.ts";

const ROME = "Europe/Rome";
const at = (text: string): number => parseInstant(text)!;
const calendarOf = (id: string): WorkingCalendar => workingCalendars(2005, 2035).find((record) => record.id === id)!.data;
const ITALY = calendarOf("it");
const ENGLAND = calendarOf("gb-eng");

/** What is added, and where it ends; in Rome the clock goes forward at 02:00 on 29 March 2026 and back at 03:00 on 25 October. */
const ADDITIONS: Readonly<Record<string, readonly [from: string, duration: string, to: string, zone?: string]>> = {
  "sixty days over the change to summer time": ["2026-02-15T10:00:00+01:00", "P60D", "2026-04-16T10:00:00+02:00"],
  "sixty days from just before that change": ["2026-03-29T01:59:59.999+01:00", "P60D", "2026-05-28T01:59:59.999+02:00"],
  "sixty days from just behind it": ["2026-03-29T03:00:00+02:00", "P60D", "2026-05-28T03:00:00+02:00"],
  "sixty days over the change to winter time": ["2026-09-01T10:00:00+02:00", "P60D", "2026-10-31T10:00:00+01:00"],
  "sixty days from just before that one": ["2026-10-25T01:59:59.999+02:00", "P60D", "2026-12-24T01:59:59.999+01:00"],
  "sixty days from just behind that one": ["2026-10-25T03:00:00+01:00", "P60D", "2026-12-24T03:00:00+01:00"],
  "sixty days where clocks never change": ["2026-02-15T10:00:00+05:45", "P60D", "2026-04-16T10:00:00+05:45", "Asia/Kathmandu"],
  "an end in the hour that is skipped": ["2026-01-28T02:30:00+01:00", "P60D", "2026-03-29T03:30:00+02:00"],
  "an end in the hour that is doubled": ["2026-08-26T02:30:00+02:00", "P60D", "2026-10-25T02:30:00+02:00"],
  "a text in the hour that is skipped": ["2026-03-29T02:30:00+01:00", "P1D", "2026-03-30T03:30:00+02:00"],
  "a day from the doubled hour's first pass": ["2026-10-25T02:30:00+02:00", "P1D", "2026-10-26T02:30:00+01:00"],
  "a day from its second pass": ["2026-10-25T02:30:00+01:00", "P1D", "2026-10-26T02:30:00+01:00"],
  "an hour from its first pass": ["2026-10-25T02:30:00+02:00", "PT1H", "2026-10-25T02:30:00+01:00"],
  "an hour from its second pass": ["2026-10-25T02:30:00+01:00", "PT1H", "2026-10-25T03:30:00+01:00"],
  "a day and an hour into the skipped hour": ["2026-03-28T02:30:00+01:00", "P1DT1H", "2026-03-29T04:30:00+02:00"],
  "twenty-four hours over a change are no day": ["2026-03-28T12:00:00+01:00", "PT24H", "2026-03-29T13:00:00+02:00"],
  "a month from the 31st": ["2026-01-31T12:00:00+01:00", "P1M", "2026-02-28T12:00:00+01:00"],
  "a month from the 31st in a leap year": ["2024-01-31T12:00:00+01:00", "P1M", "2024-02-29T12:00:00+01:00"],
  "a month from the 31st to a month of 30": ["2026-05-31T12:00:00+02:00", "P1M", "2026-06-30T12:00:00+02:00"],
  "a month and a day from the 31st": ["2026-01-31T12:00:00+01:00", "P1M1D", "2026-03-01T12:00:00+01:00"],
  "a month from what is the 31st only here": ["2026-01-30T23:30:00Z", "P1M", "2026-02-27T23:30:00Z"],
  "a year from a leap day": ["2024-02-29T12:00:00+01:00", "P1Y", "2025-02-28T12:00:00+01:00"],
  "four years from a leap day": ["2024-02-29T12:00:00+01:00", "P4Y", "2028-02-29T12:00:00+01:00"],
  "every unit at once": ["2026-01-31T12:00:00+01:00", "P1Y1M1W1DT1H1M1S", "2027-03-08T13:01:01+01:00"],
  "a day that a whole country skipped": ["2011-12-29T10:00:00-10:00", "P1D", "2011-12-31T10:00:00+14:00", "Pacific/Apia"],
  "a change of half an hour": ["2026-04-04T12:00:00+11:00", "P1D", "2026-04-05T12:00:00+10:30", "Australia/Lord_Howe"],
};

suite("a duration that is added:", () => {
  for (const [situation, [from, duration, to, zone = ROME]] of Object.entries(ADDITIONS)) {
    test(situation, () => assert.equal(formatInstant(addDuration(at(from), duration, zone)), formatInstant(at(to))));
  }

  test("over the end of year 9999 ends with it", () => {
    assert.equal(addDuration(INSTANT_MAX, "P100Y", ROME), INSTANT_MAX);
    assert.equal(subtractDuration(INSTANT_MIN, "P100Y", ROME), INSTANT_MIN);
  });
});

suite("a duration that is subtracted:", () => {
  const cases: Readonly<Record<string, readonly [string, string, string]>> = {
    "days over a change": ["2026-04-16T10:00:00+02:00", "P60D", "2026-02-15T10:00:00+01:00"],
    "a month from the 31st": ["2026-03-31T12:00:00+02:00", "P1M", "2026-02-28T12:00:00+01:00"],
    "into the hour that is skipped": ["2026-03-30T02:30:00+02:00", "P1D", "2026-03-29T03:30:00+02:00"],
    "into the hour that is doubled": ["2026-10-26T02:30:00+01:00", "P1D", "2026-10-25T02:30:00+02:00"],
    "days before hours": ["2026-03-30T12:00:00+02:00", "P1DT12H", "2026-03-28T23:00:00+01:00"],
  };
  for (const [situation, [from, duration, to]] of Object.entries(cases)) {
    test(situation, () => assert.equal(formatInstant(subtractDuration(at(from), duration, ROME)), formatInstant(at(to))));
  }
});

suite("working days:", () => {
  const cases: Readonly<Record<string, readonly [string, number, WorkingCalendar, string | undefined]>> = {
    "the next one": ["2026-07-01T10:00:00+02:00", 1, ITALY, "2026-07-02T10:00:00+02:00"],
    "over a weekend": ["2026-07-03T10:00:00+02:00", 1, ITALY, "2026-07-06T10:00:00+02:00"],
    "from a Saturday, before a bank holiday": ["2026-08-29T10:00:00+01:00", 1, ENGLAND, "2026-09-01T10:00:00+01:00"],
    "from the same Saturday where Monday is none": ["2026-08-29T10:00:00+02:00", 1, ITALY, "2026-08-31T10:00:00+02:00"],
    "from a holiday": ["2026-06-02T10:00:00+02:00", 1, ITALY, "2026-06-03T10:00:00+02:00"],
    "over Easter in England, Good Friday and Monday": ["2026-04-02T10:00:00+01:00", 1, ENGLAND, "2026-04-07T10:00:00+01:00"],
    "over Easter in Italy, Monday only": ["2026-04-02T10:00:00+02:00", 2, ITALY, "2026-04-07T10:00:00+02:00"],
    "over Christmas with a substitute day": ["2026-12-24T10:00:00Z", 1, ENGLAND, "2026-12-29T10:00:00Z"],
    "over the new year in England": ["2026-12-24T10:00:00Z", 5, ENGLAND, "2027-01-05T10:00:00Z"],
    "over the new year in Italy": ["2026-12-30T10:00:00+01:00", 3, ITALY, "2027-01-05T10:00:00+01:00"],
    "over Epiphany in Italy": ["2026-12-30T10:00:00+01:00", 4, ITALY, "2027-01-07T10:00:00+01:00"],
    "from a Friday in London that is Saturday in Rome": ["2026-07-03T22:30:00Z", 1, ITALY, "2026-07-05T22:30:00Z"],
    "from the same Friday in London": ["2026-07-03T22:30:00Z", 1, ENGLAND, "2026-07-06T22:30:00Z"],
    "over a change of the clocks": ["2026-03-27T10:00:00+01:00", 1, ITALY, "2026-03-30T10:00:00+02:00"],
    "into an hour that is skipped": ["2026-03-28T02:30:00+01:00", 1, { ...ITALY, weekend: [] }, "2026-03-29T03:30:00+02:00"],
    "two hundred and fifty": ["2025-12-31T12:00:00Z", 253, ENGLAND, "2026-12-31T12:00:00Z"],
    "up to the calendar's last day": ["2035-12-28T10:00:00Z", 1, ENGLAND, "2035-12-31T10:00:00Z"],
    "one behind the calendar's last day": ["2035-12-28T10:00:00Z", 2, ENGLAND, undefined],
    "from behind its last day": ["2036-01-01T10:00:00Z", 1, ENGLAND, undefined],
    "from its first day": ["2005-01-01T00:00:00Z", 1, ENGLAND, "2005-01-04T00:00:00Z"],
    "from before its first day": ["2004-12-31T23:59:59.999Z", 1, ENGLAND, undefined],
  };
  for (const [situation, [from, days, calendar, to]] of Object.entries(cases)) {
    test(situation, () => {
      const due = addWorkingDays(at(from), days, calendar);
      assert.equal(due === undefined ? due : formatInstant(due), to === undefined ? to : formatInstant(at(to)));
    });
  }

  test("holidays are taken in any order", () => {
    const shuffled = { ...ITALY, holidays: ITALY.holidays.toReversed() };
    assert.equal(addWorkingDays(at("2026-12-30T10:00:00Z"), 4, shuffled), addWorkingDays(at("2026-12-30T10:00:00Z"), 4, ITALY));
  });

  test("none, a part of one, or a calendar of no dates is a mistake", () => {
    for (const days of [0, -1, 1.5, Number.NaN]) assert.throws(() => addWorkingDays(0, days, ITALY), /working days/);
    assert.throws(() => addWorkingDays(0, 1, { ...ITALY, holidays: ["2026-02-30"] }), /no date/);
  });
});

suite("what is a duration, a zone, a date", () => {
  test("durations are ISO 8601, longer than none, at most a hundred years", () => {
    for (const text of ["P60D", "P1Y2M3W4DT5H6M7S", "PT4H", "PT90M", "P2W", "P0DT1S", "P100Y", "P1200M", "P36525D", "P05D"])
      assert.ok(isDuration(text), text);
    const none = [
      "",
      "P",
      "PT",
      "P1DT",
      "P0D",
      "PT0S",
      "-P1D",
      "P-1D",
      "+P1D",
      "p1d",
      "P1.5D",
      "PT0.5H",
      "1D",
      "P1H",
      "PT1D",
      " P1D",
      "P1D\n",
    ];
    for (const text of [...none, "P101Y", "P100Y1D", "P36526D", "P1D1M", "P99999999999D", `P${"1".repeat(5_000)}D`])
      assert.ok(!isDuration(text), text);
    assert.throws(() => addDuration(0, "P0D", "UTC"), /no duration/);
  });

  test("whole days are a number of days or of weeks", () => {
    assert.deepEqual(["P1D", "P10D", "P2W", "P1M", "PT24H", "P1DT0H", "P1W1D", "P0D", "P40000D"].map(wholeDays), [
      1,
      10,
      14,
      ...Array(6).fill(undefined),
    ]);
  });

  test("zones are IANA's", () => {
    for (const zone of ["Europe/Rome", "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "America/Port-au-Prince"])
      assert.ok(isTimeZone(zone), zone);
    for (const zone of ["", "Z", "+02:00", "-03", "Rome", "Europe/Atlantis", "2026-01-01T00:00Z[Europe/Rome]", "T12", "a".repeat(5_000)])
      assert.ok(!isTimeZone(zone), zone);
    assert.throws(() => addDuration(0, "P1D", "Europe/Atlantis"), RangeError);
  });

  test("dates are days that there are", () => {
    for (const date of ["2026-02-28", "2024-02-29", "0000-01-01", "9999-12-31"]) assert.ok(isDate(date), date);
    for (const date of ["2026-02-29", "2026-13-01", "2026-1-1", "2026-01-01T00:00:00Z", "20260101", ""]) assert.ok(!isDate(date), date);
  });

  test("weekdays are counted from Monday, before 1970 too", () => {
    assert.deepEqual([-4, -3, 0, 2, 3, 4].map(weekdayOf), [7, 1, 4, 6, 7, 1]);
  });
});

test("more durations than are kept are still right", () => {
  for (let minutes = 1; minutes <= 2_500; minutes++) assert.equal(addDuration(0, `PT${minutes}M`, "UTC"), minutes * 60_000);
  assert.equal(addDuration(0, "PT1M", "UTC"), 60_000);
});

test("a handler may call all of it: no clock is read, also when a zone is met for the first time", () => {
  const guard = installGuards();
  const all = (): unknown[] => [
    addDuration(at("2026-01-31T12:00:00Z"), "P1M7DT3H", "Asia/Tokyo"),
    subtractDuration(at("2026-03-31T12:00:00Z"), "P1M", "America/Chicago"),
    addWorkingDays(at("2026-12-24T10:00:00Z"), 30, { ...ENGLAND, timeZone: "Pacific/Auckland" }),
    isTimeZone("Africa/Nairobi"),
    isTimeZone("Africa/Nowhere"),
    isDuration("P11M"),
  ];
  guard.enter();
  let guarded: unknown[];
  try {
    assert.throws(() => Date.now(), /not allowed in a handler/);
    guarded = all();
  } finally {
    guard.leave();
  }
  assert.deepEqual(guarded, all());
});

/** With summer time of an hour, of half, of two, below zero, at midnight and never, and with a day that was skipped. */
const ZONES = [
  ...["Europe/Rome", "Europe/London", "Europe/Amsterdam", "America/New_York", "America/St_Johns", "America/Sao_Paulo"],
  ...["Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll", "Asia/Gaza", "UTC"],
];
const zone = fc.constantFrom(...ZONES);
const anInstant = fc.integer({ min: at("1990-01-01T00:00:00Z"), max: at("2045-01-01T00:00:00Z") });
/** Around the hours at which Europe changes its clocks. */
const nearChange = fc
  .tuple(fc.constantFrom("2024-03-31", "2025-10-26", "2026-03-29", "2026-10-25"), fc.integer({ min: -7_200_000, max: 14_400_000 }))
  .map(([date, ms]) => at(`${date}T00:00:00Z`) + ms);
const instant = fc.oneof(anInstant, nearChange);
const upTo = (max: number) => fc.oneof(fc.constant(0), fc.integer({ min: 0, max }));
const parts = { years: upTo(20), months: upTo(30), weeks: upTo(20), days: upTo(400) };
const span = fc.record({ ...parts, hours: upTo(100), minutes: upTo(200), seconds: upTo(5_000) }).filter((each) => textOf(each) !== "P");

suite("against the naive oracle", () => {
  test("any duration, forwards and backwards, in zones of every kind", () => {
    fc.assert(
      fc.property(instant, span, zone, (from, each, timeZone) => {
        assert.equal(addDuration(from, textOf(each), timeZone), naiveAdd(from, each, timeZone, 1));
        assert.equal(subtractDuration(from, textOf(each), timeZone), naiveAdd(from, each, timeZone, -1));
      }),
      { numRuns: 1_500 },
    );
  });

  test("any number of working days of any calendar", () => {
    const start = at("2024-01-01T00:00:00Z");
    const dates = fc.integer({ min: 0, max: 1_200 }).map((days) => formatInstant(start + days * 86_400_000).slice(0, 10));
    const calendar = fc.record({
      timeZone: zone,
      weekend: fc.uniqueArray(fc.integer({ min: 1, max: 7 }), { maxLength: 6 }),
      holidays: fc.array(dates, { maxLength: 60 }),
      from: fc.constantFrom("2023-06-01", "2024-03-31", "2025-01-01"),
      until: fc.constantFrom("2026-03-29", "2027-12-31"),
    });
    const from = fc.oneof(fc.integer({ min: start, max: at("2027-01-01T00:00:00Z") }), nearChange);
    fc.assert(
      fc.property(from, fc.integer({ min: 1, max: 90 }), calendar, (instant, days, each) => {
        assert.equal(addWorkingDays(instant, days, each), naiveWorkingDays(instant, days, each));
      }),
      { numRuns: 500 },
    );
  });
});

function textOf({ years, months, weeks, days, hours, minutes, seconds }: Span): string {
  const part = (count: number, unit: string): string => (count === 0 ? "" : `${count}${unit}`);
  const time = part(hours, "H") + part(minutes, "M") + part(seconds, "S");
  return `P${part(years, "Y")}${part(months, "M")}${part(weeks, "W")}${part(days, "D")}${time === "" ? "" : `T${time}`}`;
}
