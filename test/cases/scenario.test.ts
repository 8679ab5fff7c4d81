/** Section 23 of the source, and what it lists: output ids, transitions, timers, watermark, side outputs, duplicates, replay. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enforcementCase } from "../../actors/cases/cases.ts";
import { HOUR_MS } from "../../actors/model/time.ts";
import { day, iso, Office, T0 } from "./office.ts";

async function scenario(options: Parameters<typeof Office.open>[0] = {}): Promise<Office> {
  const office = await Office.open(options);
  await office.opened({}, { id: "opened", sequence: "1" });
  await office.send("SlaClockStarted", { slaId: "s", policyId: "strict", clockStart: iso(T0) }, { id: "started", sequence: "2" });
  const assigned = { assignmentId: "a1", assigneeId: "ann", teamId: "north", assigneeType: "officer", assignedFrom: iso(T0 + HOUR_MS) };
  await office.send("CaseAssigned", assigned, { time: T0 + HOUR_MS, id: "assigned", sequence: "3" });
  assert.deepEqual(
    office.kit
      .timers(enforcementCase, "c1")
      .map(({ name, at }) => [name, at])
      .filter(([name]) => name === "overdue"),
    [["overdue", day(5)]],
  );
  assert.deepEqual(office.told("case.sla-breached"), []);
  await office.kit.advanceWatermark(day(5) + 1_000);
  await office.send("CaseAssigned", assigned, { time: T0 + HOUR_MS, id: "assigned", sequence: "3" });
  await office.send("DecisionApproved", { decisionId: "d1", outcome: "upheld" }, { time: day(4), id: "decided", sequence: "4" });
  return office;
}

test("the scenario of section 23", async () => {
  const office = await scenario();
  office.assertQuiet();

  const states = office.outputs("case.current-state");
  assert.deepEqual(
    states.map(({ data }) => [data.lastEventId, data.status, data.activeAssigneeId, data.slaBreached, data.lastAggregateSequence]),
    [
      ["opened", "open", null, false, 1],
      ["started", "open", null, false, 2],
      ["assigned", "open", "ann", false, 3],
      ["decided", "open", "ann", true, 4],
    ],
  );
  assert.equal(states[1]?.data.currentSlaDueAt, iso(day(5)));

  assert.deepEqual(
    office.told("case.assignment-changed").map(({ assignmentId, assignedFrom, officerName }) => [assignmentId, assignedFrom, officerName]),
    [["a1", iso(T0 + HOUR_MS), "Ann Ash"]],
  );
  assert.equal(office.kit.counts.duplicate, 1);

  const [breach, ...more] = office.outputs("case.sla-breached");
  assert.deepEqual(more, []);
  assert.deepEqual(breach?.data, {
    caseId: "c1",
    slaId: "s",
    dueAt: iso(day(5)),
    detectedAt: iso(day(5)),
    processingDetectedAt: iso(office.kit.now),
    policyId: "strict",
    policyVersion: 1,
    inputEventIds: ["started"],
  });
  assert.equal(breach?.time, day(5));
  const alert = office.outputs("case.alert").find(({ data }) => data.alertType === "sla-breached");

  // More than a day behind the watermark: late, and yet not silently so.
  assert.deepEqual(
    office.told("tidemark.quality").map(({ rule, eventId }) => [rule, eventId]),
    [["late-event", "decided"]],
  );
  assert.deepEqual(office.told("case.correction-required"), [
    {
      caseId: "c1",
      eventId: "decided",
      affectedOutputIds: [breach?.id, alert?.id],
      alertIds: [alert?.data.alertId],
      reason: "decision-before-due",
      was: "breached",
      wouldBe: "decided",
      inputEventIds: ["decided", "started"],
    },
  ]);

  const transitions = office.told("tidemark.audit").filter(({ what }) => what === "case.transition");
  assert.deepEqual(
    transitions.map(({ detail }) => [(detail as { from: unknown }).from, (detail as { to: unknown }).to]),
    [[null, "open"]],
  );
  assert.deepEqual(
    office
      .outputs()
      .map(({ id }, i) => [id, `cases.0.${i + 1}`])
      .filter(([id, expected]) => id !== expected),
    [],
  );
});

test("the scenario of section 23 is the same in a replay, and when the shard crashes between every two events", async () => {
  const office = await scenario();
  assert.deepEqual((await scenario({ crashBetweenEvents: true })).outputs(), office.outputs());
  await office.kit.verifyReplay(new URL("../../actors/cases/cases.ts", import.meta.url));
});
