/** Opening, statuses, closing, reopening, retention (rules 5 to 8, 26). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { enforcementCase } from "../../actors/cases/cases.ts";
import { day, iso, LIFECYCLE, Office, RULES, T0 } from "./office.ts";

const statusOf = (office: Office) => office.told("case.current-state").at(-1)?.status;
const audits = (office: Office, what: string) =>
  office
    .told("tidemark.audit")
    .filter((audit) => audit.what === what)
    .map(({ detail }) => detail as Record<string, unknown>);
const change = (office: Office, fromStatus: string, toStatus: string) => office.send("CaseStatusChanged", { fromStatus, toStatus });

suite("a case", () => {
  test("that is opened has the lifecycle's initial status, and its transitions are audited", async () => {
    const office = await Office.open();
    await office.opened();
    await change(office, "open", "working");
    assert.equal(statusOf(office), "working");
    assert.deepEqual(
      audits(office, "case.transition").map(({ from, to, lifecycleVersion }) => [from, to, lifecycleVersion]),
      [
        [null, "open", 1],
        ["open", "working", 1],
      ],
    );
  });

  test("of an unknown category is tracked without a lifecycle, and that is a finding", async () => {
    const office = await Office.open();
    await office.opened({ category: "mystery" });
    await change(office, "open", "anything");
    assert.equal(statusOf(office), "anything");
    await office.send("CaseClosed", {});
    assert.equal(statusOf(office), "closed");
    assert.deepEqual(office.told("tidemark.quality")[0], { rule: "unknown-category", detail: { category: "mystery" }, eventId: "e1" });
    assert.deepEqual(office.codes(), []);
  });

  test("without optional data, or with references that lead nowhere, gives findings", async () => {
    const office = await Office.open();
    await office.send("CaseOpened", { category: "enforcement", priority: "low", jurisdiction: "atlantis" });
    assert.deepEqual(
      office.told("tidemark.quality").map(({ rule, detail }) => [rule, detail]),
      [
        ["missing-optional-data", { field: "riskCategory" }],
        ["unknown-reference", { field: "jurisdiction", id: "atlantis" }],
      ],
    );
  });

  test("that is closed completes its clocks and ends its assignments at the closing's effective time", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.assigned({ assignedFrom: iso(T0) });
    await office.send("CaseClosed", { outcome: "done" }, { time: day(2), effectiveTime: day(1) });
    assert.equal(statusOf(office), "closed");
    assert.deepEqual(
      office.told("case.assignment-interval-closed").map(({ assignedUntil, reason }) => [assignedUntil, reason]),
      [[iso(day(1)), "case-closed"]],
    );
    const state = office.told("case.current-state").at(-1);
    assert.deepEqual([state?.currentSlaDueAt, state?.activeAssigneeId], [null, null]);
    await office.passed(day(60));
    assert.deepEqual(office.alerts(), []);
  });

  test("that is closed has completed its clocks: they cannot be completed again", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.send("CaseClosed", {}, { time: day(1) });
    await office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(day(1)) });
    assert.deepEqual(office.codes(), ["already-completed"]);
  });

  test("that is closed keeps a status that is terminal", async () => {
    const office = await Office.open();
    await office.opened();
    await change(office, "open", "working");
    await change(office, "working", "decided");
    await office.send("CaseClosed", {});
    assert.equal(statusOf(office), "decided");
  });

  test("that is reopened begins with the initial status again", async () => {
    const office = await Office.open();
    await office.opened();
    await office.send("CaseClosed", {});
    await office.send("CaseReopened", {});
    assert.equal(statusOf(office), "open");
    await change(office, "open", "working");
    assert.deepEqual(office.codes(), []);
  });
});

suite("an inconsistency", () => {
  test("from-mismatch: the status is another one, and the event is applied only if the lifecycle allows the change", async () => {
    const office = await Office.open();
    await office.opened();
    await change(office, "decided", "working");
    assert.equal(statusOf(office), "working");
    await change(office, "decided", "closed");
    assert.equal(statusOf(office), "working");
    assert.deepEqual(
      office.told("case.inconsistency").map(({ code, applied }) => [code, applied]),
      [
        ["from-mismatch", true],
        ["from-mismatch", false],
      ],
    );
  });

  test("transition-not-allowed: the lifecycle does not have the change", async () => {
    const office = await Office.open();
    await office.opened();
    await change(office, "open", "decided");
    assert.equal(statusOf(office), "open");
    assert.deepEqual(office.codes(), ["transition-not-allowed"]);
    const [told] = office.told("case.inconsistency");
    const [alert] = office.outputs("case.alert");
    assert.deepEqual([told?.policyVersion, told?.effectiveTime, told?.eventType], [1, iso(T0), "CaseStatusChanged"]);
    assert.deepEqual(
      [alert?.data.alertType, alert?.data.severity, alert?.data.reasonCode],
      ["inconsistent-state", "medium", "transition-not-allowed"],
    );
  });

  test("already-open: opened twice, or reopened while it is open", async () => {
    const office = await Office.open();
    await office.opened();
    await office.opened({ priority: "high" });
    await office.send("CaseReopened", {});
    assert.deepEqual(office.codes(), ["already-open", "already-open"]);
    assert.equal(office.told("case.current-state").length, 1);
  });

  test("not-open: what only an open case can have, behind its closing", async () => {
    const office = await Office.open();
    await office.opened();
    await office.send("CaseClosed", {});
    await office.send("CaseClosed", {});
    await change(office, "closed", "open");
    await office.assigned();
    await office.send("SlaClockStarted", { slaId: "s", policyId: "decide" });
    await office.send("EvidenceRequested", { evidenceId: "e" });
    await office.send("InvestigationStarted", {});
    await office.send("EscalationRequested", {});
    await office.send("CaseEscalated", {});
    assert.deepEqual(
      office.codes(),
      Array.from({ length: 8 }, () => "not-open"),
    );
    await office.send("AppealFiled", { appealId: "a" });
    await office.send("EvidenceReceived", { evidenceId: "e" });
    assert.equal(office.codes().length, 8);
    assert.equal(office.told("case.current-state").length, 4);
  });

  test("case-unknown: nobody has opened the case; nothing is kept of it but that it was told of", async () => {
    const office = await Office.open();
    await office.assigned();
    await office.send("CaseClosed", {});
    assert.deepEqual(office.codes(), ["case-unknown", "case-unknown"]);
    assert.equal(office.alerts("inconsistent-state").length, 1, "the second is of the same instant");
    assert.equal(office.state()?.strays.length, 1);
    await office.passed(day(40));
    assert.equal(office.state(), undefined);
  });
});

suite("case.current-state", () => {
  test("comes once for each event that was applied, with the sequence that a sink goes by", async () => {
    const office = await Office.open();
    await office.opened({}, { sequence: "1" });
    await change(office, "open", "decided");
    await office.assigned({}, { sequence: "2", id: "assigned" });
    const [, state, ...more] = office.outputs("case.current-state");
    assert.deepEqual(more, []);
    assert.deepEqual(state?.data, {
      caseId: "c1",
      status: "open",
      priority: "normal",
      activeAssigneeId: "ann",
      activeTeamId: "north",
      slaBreached: false,
      currentSlaDueAt: null,
      lastEventId: "assigned",
      lastAggregateSequence: 2,
      updatedAt: iso(T0),
    });
    assert.equal(state?.idempotencyKey, "c1|2");
  });

  test("does not come for a correction, nor for a timer", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await office.passed(day(5));
    await office.send("EventCorrected", { correctedEventId: "e1", correction: {}, reason: "typo" });
    assert.equal(office.told("case.sla-breached").length, 1);
    assert.equal(office.told("case.current-state").length, 2);
  });
});

test("a change of the lifecycle or the rules is audited with the first event that goes by it", async () => {
  const office = await Office.open();
  await office.opened();
  await office.put("lifecycle", "enforcement", { ...LIFECYCLE, transitions: { open: ["decided"] } }, 2);
  await office.put("rules", "enforcement", { ...RULES, evidenceDelays: 3 }, 2, iso(day(2)));
  await change(office, "open", "decided");
  await office.send("AppealFiled", {}, { time: day(2) });
  assert.deepEqual(
    audits(office, "case.rule-change").map(({ from, to }) => [from, to]),
    [
      [
        { lifecycle: 1, rules: 1 },
        { lifecycle: 2, rules: 1 },
      ],
      [
        { lifecycle: 2, rules: 1 },
        { lifecycle: 2, rules: 2 },
      ],
    ],
  );
});

suite("a closed case", () => {
  test("is gone from state after its retention, and says so", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.assigned();
    await office.send("CaseClosed", {}, { time: day(1) });
    await office.passed(day(91) - 1);
    assert.equal((office.state()!.file as { status: string }).status, "closed");
    await office.passed(day(91));
    assert.deepEqual(audits(office, "case.retention"), [
      { caseId: "c1", category: "enforcement", closedAt: iso(day(1)), removedAt: iso(day(91)) },
    ]);
    assert.equal(office.kit.actor(enforcementCase, "c1"), undefined, "not even a row");
    await office.send("CaseReopened", {}, { time: day(92) });
    assert.deepEqual(office.codes(), ["case-unknown"]);
  });

  test("that is reopened in time stays", async () => {
    const office = await Office.open();
    await office.opened();
    await office.send("CaseClosed", {}, { time: day(1) });
    await office.send("CaseReopened", {}, { time: day(2) });
    await office.passed(day(200));
    assert.deepEqual(audits(office, "case.retention"), []);
    assert.equal((office.state()!.file as { status: string }).status, "open");
  });
});

suite("a case whose retention is over", () => {
  const removed = (office: Office) => audits(office, "case.retention").length;

  test("stays while an event of it is held, and goes when that has had its time", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, retentionAfterClose: "P1D" }, 2);
    await office.opened({}, { id: "s1", sequence: "1" });
    await office.send("CaseClosed", {}, { id: "s2", sequence: "2" });
    await office.send("CaseReopened", {}, { id: "s4", sequence: "4", time: day(1) + 60_000 });
    await office.passed(day(1) + 1);
    assert.equal(removed(office), 0);
    await office.passed(day(1) + 120_000);
    assert.equal(office.told("case.current-state").at(-1)?.lastEventId, "s4");
    await office.passed(day(9));
    assert.deepEqual([removed(office), statusOf(office)], [0, "open"]);
    await office.send("CaseClosed", {}, { id: "s5", sequence: "5", time: day(9) });
    await office.send("EvidenceReceived", { evidenceId: "e" }, { id: "s7", sequence: "7", time: day(10) + 60_000 });
    await office.passed(day(10) + 1);
    assert.equal(removed(office), 0);
    await office.passed(day(10) + 120_000);
    assert.deepEqual([removed(office), office.state()?.file], [1, undefined]);
  });

  test("is not told again what was told of it before it was there", async () => {
    const office = await Office.open();
    await office.put("rules", "enforcement", { ...RULES, retentionAfterClose: "P1D" }, 2);
    const unassign = (time: number) => office.send("CaseUnassigned", { assignmentId: "a", assignedUntil: iso(T0) }, { time });
    await unassign(T0);
    await office.opened();
    await office.send("CaseClosed", {});
    await office.passed(day(2));
    assert.equal(removed(office), 1);
    await unassign(day(3));
    assert.deepEqual(office.codes(), ["case-unknown", "case-unknown"]);
    assert.equal(office.alerts("inconsistent-state").length, 1);
  });
});

test("a status that has the name of a property is a status like others", async () => {
  const office = await Office.open();
  await office.put(
    "lifecycle",
    "enforcement",
    { statuses: ["constructor", "closed"], transitions: {}, initial: "constructor", terminal: ["closed"] },
    2,
  );
  await office.opened();
  await change(office, "constructor", "closed");
  assert.deepEqual(office.codes(), ["transition-not-allowed"]);
  office.assertQuiet();
});
