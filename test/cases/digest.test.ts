import assert from "node:assert/strict";
import { test } from "node:test";
import { CaseDigest } from "../../actors/cases/digest.ts";
import { day, iso, Office } from "./office.ts";

test("what came of the cases is said in words, the last of each kind by name", async () => {
  const office = await Office.open();
  await office.withClock("strict");
  await office.opened({ priority: "low" }, { key: "c2" });
  await office.passed(day(5));
  await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(4)) }, { time: day(5), id: "told-late" });
  const digest = new CaseDigest();
  for (const { key, time, ...output } of office.outputs()) digest.add({ ...output, subject: key!, time: iso(time) });
  assert.deepEqual(digest.lines(), [
    "2 cases: 2 open",
    "1 deadline was missed and 0 came near; 0 times a case fell silent",
    "2 times a case was (in 2 cases) put forward for escalation, for an officer to decide",
    "0 reports contradict what the case can have done; 1 alert would be another by what came later",
    'c1 missed its deadline "s": it was due 2026-01-10 09:00 UTC by strict, version 1',
    "c1 should be looked at by fraud-desk: high risk, unassigned (score 50, 2026-01-05 09:00 UTC)",
    "c2 should be looked at by fraud-desk: high risk, unassigned (score 50, 2026-01-05 09:00 UTC)",
    "c1 was reported as breached; by told-late, which came later, it would be completed",
  ]);
});

test("without cases nothing is said", () => {
  const digest = new CaseDigest();
  digest.add({ type: "meter.daily-total", subject: "d", time: iso(0), data: {} });
  assert.deepEqual(digest.lines(), []);
});
