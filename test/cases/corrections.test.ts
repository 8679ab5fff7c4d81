/** What comes late, and what was wrong (rules 22 to 25). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, HOUR_MS } from "../../actors/model/time.ts";
import { day, iso, Office, RULES, T0 } from "./office.ts";

const required = (office: Office) =>
  office.told("case.correction-required").map(({ eventId, reason, was, wouldBe }) => [eventId, reason, was, wouldBe]);
const alertOf = (office: Office, type: string) => office.outputs("case.alert").find(({ data }) => data.alertType === type)!;

async function breached(policy: "decide" | "strict" = "strict"): Promise<Office> {
  const office = await Office.open();
  await office.withClock(policy);
  await office.assigned({ assignedFrom: iso(T0) });
  await office.passed(day(5));
  assert.equal(office.told("case.sla-breached").length, 1);
  return office;
}

suite("an event that would have changed an alert", () => {
  test("a completion before the due time: the alert stands, the state is updated, a correction is asked for", async () => {
    const office = await breached();
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(5)) }, { time: day(5), id: "done" });
    const breach = office.outputs("case.sla-breached")[0]!;
    const alert = alertOf(office, "sla-breached");
    assert.deepEqual(office.told("case.correction-required"), [
      {
        caseId: "c1",
        eventId: "done",
        affectedOutputIds: [breach.id, alert.id],
        alertIds: [alert.data.alertId],
        reason: "clock-completed-before",
        was: "breached",
        wouldBe: "completed",
        inputEventIds: ["done", "e2"],
      },
    ]);
    const state = office.told("case.current-state").at(-1);
    assert.deepEqual([state?.slaBreached, state?.currentSlaDueAt], [false, null]);
    assert.equal(office.alerts("sla-breached").length, 1);
  });

  test("one of several alerts: they are named together, by the gravest", async () => {
    const office = await breached("decide");
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(3)) }, { time: day(5), id: "done" });
    const [correction] = office.told("case.correction-required");
    assert.equal((correction!.alertIds as string[]).length, 3, "the near breach, the breach, and the candidate that the near breach made");
    assert.deepEqual(required(office), [["done", "clock-completed-before", "breached", "completed"]]);
  });

  test("a pause before the due time, and its end: the clock runs on to its new due time", async () => {
    const office = await breached("decide");
    await office.send("SlaClockPaused", { slaId: "s", pausedAt: iso(day(4)) }, { time: day(5), id: "pause" });
    await office.send("SlaClockResumed", { slaId: "s", resumedAt: iso(day(6)) }, { time: day(6) });
    assert.deepEqual(required(office), [["pause", "clock-paused-before", "breached", "paused"]]);
    assert.equal(office.told("case.current-state").at(-1)?.currentSlaDueAt, iso(day(7)));
    await office.passed(day(7));
    assert.deepEqual(
      office.told("case.sla-breached").map(({ dueAt }) => dueAt),
      [iso(day(5)), iso(day(7))],
    );
  });

  test("a closing before the due time", async () => {
    const office = await breached();
    await office.send("CaseClosed", {}, { time: day(5), effectiveTime: day(4), id: "closed" });
    assert.deepEqual(required(office), [["closed", "clock-completed-before", "breached", "completed"]]);
  });

  test("a decision before the due time completes nothing, and is told of", async () => {
    const office = await breached();
    await office.send("DecisionApproved", {}, { time: day(5), effectiveTime: day(4), id: "decided" });
    assert.deepEqual(required(office), [["decided", "decision-before-due", "breached", "decided"]]);
    assert.equal(office.told("case.current-state").at(-1)?.slaBreached, true);
  });

  test("a decision behind the due time, and one that is in time, are told of by nobody", async () => {
    const office = await breached();
    await office.send("DecisionApproved", {}, { time: day(6) });
    assert.deepEqual(required(office), []);
    const timely = await Office.open();
    await timely.withClock("strict");
    await timely.send("DecisionApproved", {}, { time: day(4) });
    await timely.passed(day(5));
    assert.deepEqual([required(timely), timely.told("case.sla-breached").length], [[], 1]);
  });

  test("activity in a silence that was dormant", async () => {
    const office = await Office.open();
    await office.opened({ riskCategory: undefined });
    await office.assigned({ assignedFrom: iso(T0) });
    await office.passed(day(30));
    await office.send("EvidenceRequested", { evidenceId: "e" }, { time: day(29), id: "late" });
    assert.deepEqual(required(office), [["late", "activity-before", "dormant", "active"]]);
    await office.passed(day(59));
    assert.deepEqual(
      office.alerts("dormant-case").map(({ effectiveTime }) => effectiveTime),
      [iso(day(30)), iso(day(59))],
    );
  });

  test("an assignment that takes a candidate's factor away", async () => {
    const office = await Office.open();
    await office.opened();
    await office.passed(T0 + HOUR_MS);
    assert.equal(office.told("case.escalation-candidate").length, 1);
    await office.assigned({ assignedFrom: iso(T0) }, { time: T0 + 1, id: "had" });
    assert.deepEqual(required(office), [["had", "factors-changed", "candidate", "no-candidate"]]);
  });

  test("a clock that becomes known late and was near before: its near breach moves the candidate, without any event behind it", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 55 }, 2);
    await office.opened({ riskCategory: undefined }, { effectiveTime: T0 - 20 * DAY_MS });
    const start = (slaId: string, days: number, id: string) =>
      office.send("SlaClockStarted", { slaId, policyId: "decide", clockStart: iso(T0 - days * DAY_MS) }, { id });
    await start("a", 10, "first");
    await start("b", 11, "second");
    await office.passed(T0);
    const candidate = office.told("case.escalation-candidate");
    assert.deepEqual(
      candidate.map(({ detectedAt }) => detectedAt),
      [iso(T0 - 6 * DAY_MS), iso(T0 - 7 * DAY_MS)],
    );
    assert.deepEqual(required(office), [["second", "factors-changed", "candidate", "no-candidate"]]);
  });

  test("asks once for each alert and reason", async () => {
    const office = await breached();
    for (const id of ["d1", "d2"]) await office.send("DecisionApproved", {}, { time: day(5), effectiveTime: day(4), id });
    assert.deepEqual(required(office), [["d1", "decision-before-due", "breached", "decided"]]);
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(4)) }, { time: day(5), id: "done" });
    assert.deepEqual(required(office)[1], ["done", "clock-completed-before", "breached", "completed"]);
  });

  test("and does not change one that it leaves alone", async () => {
    const office = await breached();
    await office.assigned({ assignmentId: "a2", assignedFrom: iso(day(2)) }, { time: day(4) });
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(6)) }, { time: day(6) });
    assert.deepEqual(required(office), []);
  });
});

test("a late event is applied, and told of", async () => {
  const office = await Office.open();
  await office.opened();
  await office.passed(day(10));
  await office.send("EvidenceRequested", { evidenceId: "e" }, { time: day(8), id: "late" });
  assert.equal(office.told("case.current-state").at(-1)?.lastEventId, "late");
  assert.deepEqual(
    office.told("tidemark.quality").map(({ rule, eventId }) => [rule, eventId]),
    [["late-event", "late"]],
  );
});

suite("a correction", () => {
  test("of an event names what rests on it, and patches nothing", async () => {
    const office = await breached();
    await office.send("EventCorrected", { correctedEventId: "e2", correction: { dueAt: iso(day(9)) }, reason: "typo" }, { id: "fix" });
    const breach = office.outputs("case.sla-breached")[0]!;
    const alert = alertOf(office, "sla-breached");
    assert.deepEqual(office.told("case.correction-impact"), [
      {
        caseId: "c1",
        eventId: "fix",
        affectedOutputIds: [breach.id, alert.id],
        alertIds: [alert.data.alertId],
        reason: "typo",
        inputEventIds: ["e2", "fix"],
        correctedEventId: "e2",
        correctedEventType: "SlaClockStarted",
        correction: { dueAt: iso(day(9)) },
        restatementRequired: true,
      },
    ]);
    assert.equal(office.told("tidemark.audit").at(-1)?.what, "case.correction");
    assert.equal(office.told("case.current-state").at(-1)?.slaBreached, false, "the state is as before the breach was told");
  });

  test("of an event that the case has not had goes to quarantine, and may come again", async () => {
    const office = await Office.open();
    await office.opened();
    const fix = { correctedEventId: "target", correction: "x", reason: "typo" };
    await office.send("EventCorrected", fix, { id: "fix" });
    assert.equal(office.kit.quarantined()[0]?.data.code, "correction-target-unknown");
    await office.send("EvidenceRequested", { evidenceId: "e" }, { id: "target" });
    await office.send("EventCorrected", fix, { id: "fix" });
    assert.equal(office.told("case.correction-impact").length, 1);
  });

  test("that comes before its target, behind a gap, waits for it", async () => {
    const office = await Office.open();
    await office.opened({}, { sequence: "1" });
    await office.send("EventCorrected", { correctedEventId: "target", correction: 1, reason: "x" }, { sequence: "3", id: "fix" });
    await office.send("EvidenceRequested", { evidenceId: "e" }, { sequence: "2", id: "target" });
    assert.equal(office.told("case.correction-impact")[0]?.correctedEventId, "target");
  });

  test("whose target never comes is a finding when its turn has come", async () => {
    const office = await Office.open();
    await office.opened({}, { sequence: "1" });
    await office.send("EventCorrected", { correctedEventId: "target", correction: 1, reason: "x" }, { sequence: "3" });
    await office.passed(day(1));
    assert.deepEqual(office.codes(), ["sequence-gap"]);
    assert.equal(office.told("tidemark.quality").at(-1)?.rule, "correction-target-unknown");
  });
});

test("a correction may have so many characters of JSON, and no more", async () => {
  const office = await Office.open();
  const openedBy = await office.opened();
  const correct = (chars: number) =>
    office.send("EventCorrected", { correctedEventId: openedBy, correction: "x".repeat(chars - 2), reason: "typo" });
  await assert.rejects(correct(16_385), /must be at most 16384 characters of JSON/);
  await correct(16_384);
  assert.equal(office.told("case.correction-impact").length, 1);
});
