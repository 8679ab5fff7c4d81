import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { weekdayOf } from "../../actors/cases/deadline.ts";
import { easterOf, workingCalendars } from "../../actors/cases/make-calendars.ts";
import { DAY_MS, formatDay, parseInstant } from "../../actors/model/time.ts";
import { readTable } from "./reference-files.ts";

const CALENDARS = workingCalendars(2005, 2035);

function holidays(id: string, year: number): string[] {
  const { data } = CALENDARS.find((record) => record.id === id)!;
  return data.holidays.filter((date) => date.startsWith(`${year}-`)).map((date) => date.slice(5));
}

function weekdayOfDate(date: string): number {
  return weekdayOf(parseInstant(`${date}T00:00:00Z`)! / DAY_MS);
}

test("Easter is on the days on which it was held, the earliest and the latest that can be among them", () => {
  const held = [
    ...["1818-03-22", "1943-04-25", "1954-04-18", "1981-04-19", "2000-04-23", "2008-03-23", "2011-04-24", "2016-03-27"],
    ...["2019-04-21", "2020-04-12", "2021-04-04", "2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05"],
    ...["2027-03-28", "2038-04-25"],
  ];
  assert.deepEqual(
    held.map((date) => formatDay(easterOf(Number(date.slice(0, 4))) * DAY_MS)),
    held,
  );
});

suite("bank holidays of England are those that were published for", () => {
  const published: Readonly<Record<number, string>> = {
    2011: "01-03 04-22 04-25 04-29 05-02 05-30 08-29 12-26 12-27",
    2012: "01-02 04-06 04-09 05-07 06-04 06-05 08-27 12-25 12-26",
    2020: "01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-28",
    2021: "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28",
    2022: "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27",
    2023: "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26",
    2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
  };
  for (const [year, dates] of Object.entries(published)) {
    test(year, () => assert.equal(holidays("gb-eng", Number(year)).join(" "), dates));
  }

  test("any year: eight or more, none on a weekend", () => {
    const all = CALENDARS.find(({ id }) => id === "gb-eng")!.data.holidays;
    assert.deepEqual(
      all.filter((date) => weekdayOfDate(date) > 5),
      [],
    );
    for (let year = 2005; year <= 2035; year++) assert.ok(holidays("gb-eng", year).length >= 8, String(year));
  });
});

suite("holidays of Italy", () => {
  test("are the twelve of the law", () => {
    const fixed = "01-01 01-06 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26".split(" ");
    assert.deepEqual(holidays("it", 2025), [...fixed, "04-20", "04-21"].sort());
  });

  test("had one more in 2011, when Easter Monday was Liberation Day", () => {
    assert.equal(holidays("it", 2011).join(" "), "01-01 01-06 03-17 04-24 04-25 05-01 06-02 08-15 11-01 12-08 12-25 12-26");
  });

  test("have San Francesco from 2026 on", () => {
    assert.deepEqual(
      [2025, 2026, 2035].map((year) => holidays("it", year).includes("10-04")),
      [false, true, true],
    );
  });
});

suite("holidays of the Netherlands", () => {
  test("are those of the law on terms, the King's birthday on Saturday where it is a Sunday", () => {
    assert.equal(holidays("nl", 2014).join(" "), "01-01 04-18 04-21 04-26 05-05 05-29 06-09 12-25 12-26");
    assert.equal(holidays("nl", 2025).join(" "), "01-01 04-18 04-21 04-26 05-05 05-29 06-09 12-25 12-26");
    assert.equal(holidays("nl", 2026).join(" "), "01-01 04-03 04-06 04-27 05-05 05-14 05-25 12-25 12-26");
  });

  test("had the Queen's birthday until 2013, and one fewer where Ascension is Liberation Day", () => {
    assert.deepEqual(
      [2006, 2012, 2013].map((year) => holidays("nl", year)[3]),
      ["04-29", "04-30", "04-30"],
    );
    assert.equal(holidays("nl", 2016).join(" "), "01-01 03-25 03-28 04-27 05-05 05-16 12-25 12-26");
  });
});

test("the calendars that are checked in are what the rules make", () => {
  assert.equal(readTable("calendar"), CALENDARS.map((record) => `${JSON.stringify(record)}\n`).join(""));
});

test("a calendar covers whole years, in order, and its next version the years that it is given", () => {
  const [italy] = workingCalendars(2030, 2031, 2);
  assert.equal(italy!.version, 2);
  assert.equal(italy!.effectiveFrom, "2030-01-01T00:00:00Z");
  const { timeZone, weekend, from, until } = italy!.data;
  assert.deepEqual(
    { timeZone, weekend, from, until },
    { timeZone: "Europe/Rome", weekend: [6, 7], from: "2030-01-01", until: "2031-12-31" },
  );
  for (const { data } of CALENDARS) assert.deepEqual(data.holidays, [...new Set(data.holidays)].sort());
});

test("years whose holidays are not known, or are none, are refused", () => {
  for (const [first, last] of [
    [2004, 2010],
    [2005, 2100],
    [2010, 2009],
    [2010.5, 2012],
    [Number.NaN, 2012],
  ] as const)
    assert.throws(() => workingCalendars(first, last), /give a first and a last year/);
});
