/** The oracle's calendar arithmetic, which asks `Intl` alone, agrees with Temporal in zones whose clocks change in odd ways. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Temporal } from "temporal-polyfill";
import { afterWorkingDays, shift } from "./oracle/zone.ts";

// Half an hour of change, midnight changes, a skipped day, none at all.
const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Beirut", "Pacific/Apia", "UTC"];
const DURATIONS = ["P1D", "P30D", "P1M", "P1Y", "P1Y2M3W4DT5H6M7S", "PT36H", "PT0.5S", "P2W", "P1MT1H"];

test("durations behind and before an instant", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: Date.UTC(2005, 0), max: Date.UTC(2030, 0) }),
      fc.constantFrom(...ZONES),
      fc.constantFrom(...DURATIONS),
      fc.boolean(),
      (instant, zone, duration, isAhead) => {
        const local = Temporal.Instant.fromEpochMilliseconds(instant).toZonedDateTimeISO(zone);
        const expected = isAhead ? local.add(duration) : local.subtract(duration);
        assert.equal(shift(instant, duration, zone, isAhead ? 1 : -1), expected.epochMilliseconds);
      },
    ),
    { numRuns: 5_000, seed: 1 },
  );
});

test("a local time that is skipped or doubled is read with the offset before the change", () => {
  const due = (start: string): string => new Date(shift(Date.parse(start), "P1D", "Europe/Berlin", 1)).toISOString();
  assert.equal(due("2026-03-28T02:30:00+01:00"), "2026-03-29T01:30:00.000Z");
  assert.equal(due("2026-10-24T02:30:00+02:00"), "2026-10-25T00:30:00.000Z");
});

test("working days leave out weekends and holidays, and end with the calendar", () => {
  const calendar = { timeZone: "Europe/Berlin", weekend: [6, 7], holidays: ["2026-12-25"], from: "2026-01-01", until: "2026-12-31" };
  const due = (start: string, days: string): string | undefined => {
    const at = afterWorkingDays(Date.parse(start), days, calendar);
    return at === undefined ? undefined : new Date(at).toISOString();
  };
  assert.equal(due("2026-12-23T23:30:00Z", "P1D"), "2026-12-27T23:30:00.000Z");
  assert.equal(due("2026-12-24T10:00:00Z", "P4D"), "2026-12-31T10:00:00.000Z");
  assert.equal(due("2026-12-24T10:00:00Z", "P5D"), undefined);
});
