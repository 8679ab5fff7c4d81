import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { SnapshotReason } from "../../runtime/snapshots/manifest.ts";
import { type KeptSnapshot, LAST_KEPT, outdated } from "../../runtime/snapshots/retention.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NOW = Date.UTC(2026, 10, 27, 12);
const KEEP_MS = 30 * DAY_MS;

const at = (ageMs: number, reason: SnapshotReason = "schedule"): KeptSnapshot => ({
  id: `s${NOW - ageMs}${reason}`,
  takenAt: NOW - ageMs,
  reason,
});
const kept = (snapshots: readonly KeptSnapshot[]): KeptSnapshot[] => {
  const gone = new Set(outdated(snapshots, NOW, KEEP_MS));
  return snapshots.filter(({ id }) => !gone.has(id));
};

suite("of a snapshot each minute for forty days are kept", () => {
  const minutes = Array.from({ length: 40 * 24 * 60 }, (_, i) => at(i * MINUTE_MS));
  const left = kept(minutes);

  test("the last three, one for each hour of a day and one for each day of the time set", () => {
    // The first hour and the first day begin now and have one alone: the last snapshot, at noon.
    const hours = Array.from({ length: 24 }, (_, i) => NOW - i * HOUR_MS - MINUTE_MS);
    assert.deepEqual(left.slice(0, 3), minutes.slice(0, 3));
    for (const hour of hours)
      assert(
        left.some(({ takenAt }) => takenAt === hour),
        new Date(hour).toISOString(),
      );
    for (let day = 1; day < 30; day++) {
      const end = NOW - 12 * HOUR_MS - (day - 1) * DAY_MS - MINUTE_MS;
      assert(
        left.some(({ takenAt }) => takenAt === end),
        new Date(end).toISOString(),
      );
    }
  });

  test("and no others: some sixty", () => {
    assert(left.length >= 3 + 23 + 29 && left.length <= 3 + 25 + 31, String(left.length));
    assert(left.every(({ takenAt }) => takenAt >= NOW - KEEP_MS));
  });
});

test("one at an epoch, and what a generation stands on, are kept for ever; one that was asked for as long as the daily ones", () => {
  // Those of the schedule are the oldest of their day.
  const old = (["epoch", "generation", "request", "schedule"] as const).flatMap((reason, i) => [
    at(29.4 * DAY_MS + i, reason),
    at(400 * DAY_MS + i, reason),
  ]);
  const fresh = [at(1), at(2), at(3)];
  const reasons = kept([...old, ...fresh]).flatMap(({ reason, takenAt }) =>
    takenAt < NOW - DAY_MS ? [`${reason} ${takenAt > NOW - KEEP_MS}`] : [],
  );
  assert.deepEqual(reasons.sort(), ["epoch false", "epoch true", "generation false", "generation true", "request true"]);
});

const aSnapshot = fc.record({
  age: fc.integer({ min: 0, max: 60 * DAY_MS }),
  reason: fc.constantFrom<SnapshotReason>("schedule", "schedule", "schedule", "request", "epoch", "generation"),
});

test("whatever there is, the last three stay, and clearing again clears nothing more", () => {
  fc.assert(
    fc.property(fc.uniqueArray(aSnapshot, { selector: ({ age }) => age, maxLength: 60 }), (drawn) => {
      const snapshots = drawn.map(({ age, reason }) => at(age, reason));
      const left = kept(snapshots);
      const newest = [...snapshots].sort((a, b) => b.takenAt - a.takenAt).slice(0, LAST_KEPT);
      for (const one of newest) assert(left.includes(one));
      assert.deepEqual(outdated(left, NOW, KEEP_MS), []);
    }),
  );
});
