/** Alerts, dormancy and escalation candidates (rules 18 to 21). */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { suite, test } from "node:test";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { day, iso, Office, RULES, T0 } from "./office.ts";

/** Without anything that weighs. */
const plain = { riskCategory: undefined, jurisdiction: undefined };
const candidates = (office: Office) =>
  office.told("case.escalation-candidate").map(({ reasonCode, riskScore, detectedAt }) => [reasonCode, riskScore, detectedAt]);
const quiet = async (office: Office) => {
  await office.opened(plain);
  await office.assigned({ assignedFrom: iso(T0) });
};

suite("an alert", () => {
  test("has the five parts of its key as its idempotency key, and its id is a hash of them", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await office.passed(day(5));
    const alert = office.outputs("case.alert").find(({ data }) => data.alertType === "sla-breached");
    const key = "c1|sla-breached|due-passed:s|1|2026-01-10T09:00:00%2E000Z";
    assert.equal(alert?.idempotencyKey, key);
    assert.equal(alert?.data.alertId, createHash("sha256").update(key).digest("hex").slice(0, 32));
    assert.deepEqual([alert?.data.severity, alert?.data.policyVersion, alert?.data.detectedAt], ["high", 1, iso(day(5))]);
  });

  test("is emitted once for its key: a repeat is suppressed and counted", async () => {
    const office = await Office.open();
    await office.opened(plain);
    await office.send("SlaClockPaused", { slaId: "none", pausedAt: iso(day(1)) });
    await office.send("SlaClockPaused", { slaId: "none", pausedAt: iso(day(1)) });
    await office.send("SlaClockPaused", { slaId: "none", pausedAt: iso(day(2)) });
    assert.deepEqual([office.codes().length, office.alerts("inconsistent-state").length, office.kit.counts.alertsSuppressed], [3, 2, 1]);
  });
});

suite("a case without activity", () => {
  test("is dormant when the watermark has passed its patience, once", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.passed(day(30) - 1);
    assert.deepEqual(office.alerts(), []);
    await office.passed(day(30));
    await office.passed(day(99));
    assert.deepEqual(
      office.alerts().map(({ alertType, severity, effectiveTime, reasonCode }) => [alertType, severity, effectiveTime, reasonCode]),
      [["dormant-case", "low", iso(day(30)), "no-activity"]],
    );
  });

  test("is dormant again behind later activity", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("EvidenceRequested", { evidenceId: "e" }, { time: day(40) });
    await office.passed(day(70));
    assert.deepEqual(
      office.alerts().map(({ effectiveTime }) => effectiveTime),
      [iso(day(30)), iso(day(70))],
    );
  });

  test("whose next event lies behind the patience is dormant although the watermark was not there", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("EvidenceRequested", { evidenceId: "e" }, { time: day(30) + 60_000 });
    assert.deepEqual(office.alerts(), []);
    await office.passed(day(30) + 120_000);
    assert.equal(office.alerts("dormant-case").length, 1);
  });

  test("is not dormant when it was closed, nor for an event that was refused", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("SlaClockPaused", { slaId: "none" }, { time: day(20) });
    await office.send("CaseClosed", {}, { time: day(29) });
    await office.passed(day(89));
    assert.deepEqual(office.alerts("dormant-case"), []);
  });

  test("is not dormant for the time between a closing and a reopening", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("CaseClosed", {}, { time: day(1) });
    await office.send("CaseReopened", {}, { time: day(60) });
    await office.passed(day(90));
    assert.deepEqual(
      office.alerts("dormant-case").map(({ effectiveTime }) => effectiveTime),
      [iso(day(90))],
    );
  });
});

suite("an escalation candidate", () => {
  test("is the instant at which the factors reach the threshold, told when the watermark has passed it", async () => {
    const office = await Office.open();
    await office.opened({ riskCategory: "fraud" });
    assert.deepEqual(candidates(office), []);
    await office.passed(T0 + 1);
    assert.deepEqual(office.told("case.escalation-candidate"), [
      {
        caseId: "c1",
        reasonCode: "high-risk+unassigned",
        policyVersion: 1,
        riskScore: 50,
        inputEventIds: ["e1"],
        detectedAt: iso(T0),
        recommendedQueue: "fraud-desk",
      },
    ]);
    const [alert] = office.alerts("escalation-candidate");
    assert.deepEqual([alert?.severity, alert?.reasonCode, alert?.effectiveTime], ["high", "high-risk+unassigned", iso(T0)]);
    assert.equal(office.told("case.current-state").at(-1)?.status, "open");
  });

  test("is none while the score stays below, and a new one each time that it comes over", async () => {
    const office = await Office.open();
    await office.opened({ ...plain, priority: "critical" });
    await office.assigned({ assignedFrom: iso(T0) });
    await office.send("EvidenceDelayed", { evidenceId: "e" }, { time: day(1) });
    await office.send("EvidenceDelayed", { evidenceId: "e" }, { time: day(2) });
    await office.passed(day(3));
    assert.deepEqual(candidates(office), [], "20 + 20 for a repeated delay");
    await office.send("CaseUnassigned", { assignmentId: "a1", assignedUntil: iso(day(4)) }, { time: day(4) });
    await office.assigned({ assignmentId: "a2", assignedFrom: iso(day(5)) }, { time: day(5) });
    await office.send("CaseUnassigned", { assignmentId: "a2", assignedUntil: iso(day(6)) }, { time: day(6) });
    await office.passed(day(7));
    const code = "evidence-delay+high-priority+unassigned";
    assert.deepEqual(candidates(office), [
      [code, 65, iso(day(4))],
      [code, 65, iso(day(6))],
    ]);
  });

  test("of a near breach, a dormant case, a rejected escalation: each weighs as its rules say", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 30 }, 2);
    await office.opened(plain);
    await office.assigned({ assignedFrom: iso(T0) });
    await office.send("SlaClockStarted", { slaId: "s", policyId: "decide", clockStart: iso(T0) });
    await office.passed(day(4) + 1);
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(4) + HOUR_MS) }, { time: day(4) + HOUR_MS });
    await office.send("EscalationRejected", {}, { time: day(5) });
    await office.passed(day(6));
    assert.deepEqual(candidates(office), [
      ["near-breach", 30, iso(day(4))],
      ["rejected-escalation", 30, iso(day(5))],
    ]);
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 40 }, 3);
    await office.passed(day(40));
    assert.deepEqual(candidates(office)[2], ["dormant+rejected-escalation", 40, iso(day(35))]);
  });

  test("is judged by who had the case then, not by who has it when the watermark gets there", async () => {
    const office = await Office.open();
    await office.opened({ riskCategory: "fraud" });
    await office.assigned({ assignedFrom: iso(T0 + HOUR_MS) }, { time: T0 + HOUR_MS });
    await office.passed(T0 + 2 * HOUR_MS);
    assert.deepEqual(candidates(office), [["high-risk+unassigned", 50, iso(T0)]]);
  });

  test("is none for a case that is escalated, until that is rejected", async () => {
    const office = await Office.open();
    await office.opened({ ...plain, priority: "high" });
    await office.assigned({ assignedFrom: iso(T0) });
    await office.send("CaseEscalated", { approvedBy: "eve" }, { time: day(1) });
    await office.send("CaseUnassigned", { assignmentId: "a1", assignedUntil: iso(day(2)) }, { time: day(2) });
    await office.passed(day(3));
    assert.deepEqual(candidates(office), []);
    await office.send("EscalationRejected", {}, { time: day(4) });
    await office.passed(day(5));
    assert.deepEqual(candidates(office), [["high-priority+rejected-escalation+unassigned", 75, iso(day(4))]]);
  });

  test("goes to the queue of its category where neither risk nor jurisdiction names one", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 25 }, 2);
    await office.opened({ riskCategory: "other" });
    await office.passed(T0 + 1);
    assert.equal(office.told("case.escalation-candidate")[0]?.recommendedQueue, "enforcement-escalation");
  });
});

suite("dormancy, where it meets a closing or other rules", () => {
  const dormant = (office: Office) => office.alerts("dormant-case").map(({ effectiveTime }) => effectiveTime);

  test("a case that is reopened at the instant of its closing is dormant when nothing follows", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("CaseClosed", {}, { time: day(10) });
    await office.send("CaseReopened", {}, { time: day(10) });
    await office.passed(day(40));
    assert.deepEqual(dormant(office), [iso(day(40))]);
  });

  test("a case whose reopening becomes known late was dormant, if it was quiet", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, dormantAfter: "P20D" }, 2);
    await quiet(office);
    await office.send("CaseClosed", {}, { time: day(10) });
    await office.passed(day(31));
    assert.deepEqual(dormant(office), []);
    await office.send("CaseReopened", {}, { time: day(10) });
    assert.deepEqual(dormant(office), [iso(day(30))]);
  });

  test("a dormancy that was told of is not told again when the case is reopened", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("CaseClosed", {}, { time: day(50) });
    await office.send("CaseReopened", {}, { time: day(51) });
    await office.passed(day(60));
    assert.deepEqual([dormant(office), office.kit.counts.alertsSuppressed], [[iso(day(30))], 0]);
  });

  test("a case that was closed behind its dormancy was dormant", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.send("CaseClosed", {}, { time: day(30) + 120_000 });
    assert.deepEqual(dormant(office), []);
    await office.passed(day(31));
    assert.deepEqual(dormant(office), [iso(day(30))]);
  });

  test("a closing that was effective by then asks for a correction", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.passed(day(31));
    await office.send("CaseClosed", {}, { time: day(32), effectiveTime: day(20), id: "closed" });
    assert.deepEqual(
      office.told("case.correction-required").map(({ eventId, was, wouldBe }) => [eventId, was, wouldBe]),
      [["closed", "dormant", "closed"]],
    );
  });

  test("rules with more patience, put before it is over, count", async () => {
    const office = await Office.open();
    await quiet(office);
    await office.put("rules", "enforcement", { ...RULES, dormantAfter: "P60D" }, 2);
    await office.passed(day(59));
    assert.deepEqual(dormant(office), []);
    await office.passed(day(60));
    assert.deepEqual(dormant(office), [iso(day(60))]);
  });
});

/** A clock `t` that is near its breach is paused and resumed so often, a minute each. */
async function pauses(office: Office, times: number): Promise<void> {
  for (let n = 0; n < times; n++) {
    const at = day(1) + 2 * HOUR_MS + n * 60_000;
    await office.send("SlaClockPaused", { slaId: "t", pausedAt: iso(at) }, { time: at });
    await office.send("SlaClockResumed", { slaId: "t", resumedAt: iso(at + 1_000) }, { time: at + 1_000 });
  }
}
const STOPS = { duration: "P5D", timeZone: "UTC", pauseExtends: false, nearBreach: "P4D" };

test("what held before the case was opened, or could not, is no factor", async () => {
  const office = await Office.open();
  await office.opened();
  await office.assigned({ assignedFrom: iso(T0) });
  await office.send("SlaClockStarted", { slaId: "s", policyId: "decide", clockStart: iso(day(-10)) });
  await office.passed(day(1));
  assert.equal(office.told("case.sla-breached").length, 1);
  assert.deepEqual(candidates(office), []);
});

test("an assignment that was over before the opening leaves the case unassigned from there", async () => {
  const office = await Office.open();
  await office.opened();
  await office.assigned({ assignedFrom: iso(day(-10)), assignedUntil: iso(day(-5)) });
  await office.passed(day(1));
  assert.deepEqual(candidates(office), [["high-risk+unassigned", 50, iso(T0)]]);
});

test("instants that one entry passes are judged in their order: what is behind a closing among them is none", async () => {
  const office = await Office.open();
  const minute = (n: number) => T0 + n * MINUTE_MS;
  await office.put("slaPolicy", "minutes", { duration: "PT2M", timeZone: "UTC", pauseExtends: true, nearBreach: "PT1M" });
  await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 80 }, 2);
  await office.opened({ priority: "high" }, { sequence: "1" });
  await office.assigned({ assignedFrom: iso(T0), assignedUntil: iso(minute(4)) }, { sequence: "2" });
  await office.send("SlaClockStarted", { slaId: "s", policyId: "minutes" }, { sequence: "3" });
  await office.send("CaseClosed", {}, { sequence: "5", time: minute(3) });
  assert.deepEqual(office.told("case.sla-near-breach"), []);
  await office.passed(day(1));
  assert.equal(office.told("case.sla-near-breach").length, 1);
  assert.deepEqual([candidates(office), office.told("case.correction-required")], [[], []]);
});

suite("a candidate that was told of", () => {
  test("stands when other rules are put for its time", async () => {
    const office = await Office.open();
    await office.opened({ priority: "high" });
    await office.passed(day(1));
    assert.equal(candidates(office).length, 1);
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 500 }, 2);
    await office.send("EvidenceDelayed", { evidenceId: "e" }, { time: day(2) });
    await office.send("EvidenceDelayed", { evidenceId: "e" }, { time: day(2) });
    await office.passed(day(3));
    assert.deepEqual([candidates(office).length, office.told("case.correction-required")], [1, []]);
  });

  test("is told of once, however often the score has come over the threshold", async () => {
    const office = await Office.open();
    await office.put("slaPolicy", "stops", STOPS);
    await office.opened();
    await office.assigned({ assignedFrom: iso(T0) });
    await office.send("SlaClockStarted", { slaId: "s", policyId: "stops", dueAt: iso(day(900)) });
    await office.send("SlaClockStarted", { slaId: "t", policyId: "stops" });
    await office.passed(day(1) + HOUR_MS);
    const cycles = 230;
    await pauses(office, cycles);
    await office.passed(day(2));
    const instants = candidates(office).map(([, , at]) => at);
    assert.deepEqual([instants.length, new Set(instants).size], [cycles + 1, cycles + 1]);
    assert((office.state()?.candidates.length ?? 0) <= 100 && (office.state()?.factors.length ?? 0) <= 200);
    // Behind what is forgotten nothing is asked again.
    await office.send("CaseUnassigned", { assignmentId: "a1", assignedUntil: iso(day(1) + HOUR_MS) }, { time: day(2) });
    await office.passed(day(3));
    assert.equal(new Set(candidates(office).map(([, , at]) => at)).size, candidates(office).length);
    office.assertQuiet();
  });

  test("stands when what it rested on has been forgotten", async () => {
    const office = await Office.open();
    await office.put("slaPolicy", "stops", STOPS);
    await office.put("rules", "enforcement", { ...RULES, escalationThreshold: 500 }, 2, iso(day(1)));
    await office.opened();
    await office.assigned({ assignedFrom: iso(T0 + HOUR_MS) });
    await office.send("SlaClockStarted", { slaId: "t", policyId: "stops" });
    await office.passed(day(1) + HOUR_MS);
    await pauses(office, 230);
    assert.deepEqual([candidates(office).map(([, , at]) => at), office.told("case.correction-required")], [[iso(T0)], []]);
  });
});
