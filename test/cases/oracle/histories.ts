/** Histories of a few events, each with every output that the rules give for it, written by hand. */
import { at, DAY, History, HOUR } from "./history.ts";

const due = 4 * HOUR;
const near = 3 * HOUR;

function lifecycle(): History {
  return new History()
    .opened()
    .event("e1", "CaseStatusChanged", 10, { fromStatus: "new", toStatus: "review" })
    .audit("case.transition")
    .state({ status: "review" })
    .event("e2", "CaseStatusChanged", 20, { fromStatus: "review", toStatus: "new" })
    .inconsistency("e2", "CaseStatusChanged", "transition-not-allowed", false, 20)
    .event("e3", "CaseStatusChanged", 30, { fromStatus: "new", toStatus: "done" })
    .inconsistency("e3", "CaseStatusChanged", "from-mismatch", true, 30)
    .audit("case.transition")
    .state({ status: "done" })
    .event("e4", "CaseClosed", 40)
    .state()
    .event("e5", "CaseAssigned", 50, { assignmentId: "a", assigneeId: "ann", teamId: "north", assigneeType: "officer" })
    .inconsistency("e5", "CaseAssigned", "not-open", false, 50)
    .event("e6", "CaseReopened", 60)
    .audit("case.transition")
    .state({ status: "new" })
    .event("e7", "CaseReopened", 70)
    .inconsistency("e7", "CaseReopened", "already-open", false, 70);
}

function unknownCases(): History {
  const history = new History()
    .event("e0", "EvidenceReceived", 0, { evidenceId: "v" })
    .inconsistency("e0", "EvidenceReceived", "case-unknown", false, 0, 0)
    .event("e1", "CaseOpened", 1, { category: "novel", priority: "low" })
    .out("tidemark.quality", { rule: "unknown-category" })
    .audit("case.transition")
    .state({ status: "open", priority: "low" });
  return history
    .event("e2", "CaseStatusChanged", 2, { fromStatus: "open", toStatus: "anything" }, { sequence: null })
    .audit("case.transition")
    .state({ status: "anything" })
    .event("e3", "CaseClosed", 3, {}, { sequence: 2 })
    .audit("case.transition")
    .state({ status: "closed" });
}

function breach(): History {
  return new History()
    .opened()
    .started()
    .watermark(near)
    .watermark(due)
    .passed("near-breach", due, near)
    .watermark(due + 1)
    .passed("breached", due, due);
}

function completedInTime(): History {
  return new History()
    .opened()
    .started()
    .event("e2", "SlaClockCompleted", due + 20, { slaId: "sla", completedAt: at(due) })
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .correction("sla-breached", { was: "breached", wouldBe: "completed", reason: "" })
    .state({ currentSlaDueAt: null })
    .event("e3", "SlaClockCompleted", due + 21, { slaId: "sla" })
    .inconsistency("e3", "SlaClockCompleted", "already-completed", false, due + 21)
    .event("e4", "SlaClockPaused", due + 22, { slaId: "other" })
    .inconsistency("e4", "SlaClockPaused", "sla-unknown", false, due + 22)
    .watermark(DAY);
}

function completedTooLate(): History {
  return new History()
    .opened()
    .started()
    .event("e2", "SlaClockCompleted", due + 4, { slaId: "sla" })
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .state({ currentSlaDueAt: null, slaBreached: true })
    .watermark(DAY);
}

function pausedOverDue(): History {
  return new History()
    .opened()
    .started()
    .event("e2", "SlaClockPaused", due, { slaId: "sla", pausedAt: at(due) })
    .passed("near-breach", due, near)
    .state()
    .event("e3", "SlaClockPaused", due + 10, { slaId: "sla" })
    .inconsistency("e3", "SlaClockPaused", "already-paused", false, due + 10)
    .event("e4", "SlaClockResumed", due + 60, { slaId: "sla" })
    .passed("breached", due, due + 60)
    .state({ slaBreached: true })
    .event("e5", "SlaClockResumed", due + 70, { slaId: "sla" })
    .inconsistency("e5", "SlaClockResumed", "not-paused", false, due + 70)
    .watermark(DAY);
}

function extendedByPause(): History {
  const history = new History()
    .opened()
    .started("extended", 1)
    .event("e2", "SlaClockPaused", near + 30, { slaId: "sla" })
    .passed("near-breach", due, near, "extended", 1)
    .state()
    .event("e3", "SlaClockResumed", near + 30 + 90, { slaId: "sla" })
    .state({ currentSlaDueAt: at(due + 90) });
  // The near breach of the new due time is not before the resume that gave it.
  return history
    .watermark(due + 91)
    .passed("near-breach", due + 90, near + 120, "extended", 1)
    .passed("breached", due + 90, due + 90, "extended", 1);
}

function pausedLate(): History {
  return new History()
    .opened()
    .started("extended", 1)
    .watermark(due + 30)
    .passed("near-breach", due, near, "extended", 1)
    .passed("breached", due, due, "extended", 1)
    .event("e2", "SlaClockPaused", due + 40, { slaId: "sla", pausedAt: at(10) })
    .correction("sla-near-breach", { was: "near-breach", wouldBe: "paused" })
    .correction("sla-breached", { was: "breached", wouldBe: "paused" })
    .state()
    .event("e3", "SlaClockResumed", due + 41, { slaId: "sla", resumedAt: at(130) })
    .state({ currentSlaDueAt: at(due + 120) })
    .watermark(due + 121)
    .passed("near-breach", due + 120, near + 120, "extended", 1)
    .passed("breached", due + 120, due + 120, "extended", 1);
}

function workingDays(): History {
  const friday = Date.UTC(2026, 2, 27, 9);
  const history = new History().opened();
  history.event("e1", "SlaClockStarted", 0, { slaId: "sla", policyId: "two-days", clockStart: new Date(friday).toISOString() });
  // Monday is a holiday, and the clocks changed on Sunday.
  const dueAt = "2026-04-01T08:00:00.000Z";
  history.out("case.sla-started", {
    slaId: "sla",
    policyId: "two-days",
    policyVersion: 1,
    clockStart: "2026-03-27T09:00:00.000Z",
    dueAt,
    nearBreachAt: null,
    calendar: "office",
    calendarVersion: 6,
  });
  return history
    .state({ currentSlaDueAt: dueAt })
    .event("e2", "SlaClockStarted", 5, { slaId: "far", policyId: "two-days", clockStart: "2026-04-29T08:00:00Z" })
    .out("tidemark.quarantine", { code: "unknown-reference", position: "0:3.0" })
    .event("e2", "SlaClockStarted", 6, { slaId: "sla", policyId: "four-hours" }, { sequence: 2 })
    .inconsistency("e2", "SlaClockStarted", "sla-already-started", false, 6);
}

function gaps(): History {
  return new History()
    .opened()
    .event("e3", "EvidenceReceived", 3, { evidenceId: "v" }, { sequence: 3 })
    .event("e2", "EvidenceReceived", 2, { evidenceId: "v" }, { sequence: 2 })
    .event("e1", "EvidenceReceived", 1, { evidenceId: "v" }, { sequence: 1 })
    .state()
    .state({}, { id: "e2", sequence: 2 })
    .state({}, { id: "e3", sequence: 3 })
    .event("e7", "EvidenceReceived", 7, { evidenceId: "v" }, { sequence: 7 })
    .event("e5", "EvidenceReceived", 9, { evidenceId: "v" }, { sequence: 5 })
    .event("x5", "EvidenceReceived", 10, { evidenceId: "v" }, { sequence: 5 })
    .inconsistency("x5", "EvidenceReceived", "sequence-conflict", false, 10)
    .watermark(7)
    .watermark(8)
    .inconsistency("e5", "EvidenceReceived", "sequence-gap", true, 9)
    .state({}, { id: "e5", sequence: 5 })
    .inconsistency("e7", "EvidenceReceived", "sequence-gap", true, 7)
    .state({}, { id: "e7", sequence: 7 })
    .event("e6", "EvidenceReceived", 9, { evidenceId: "v" }, { sequence: 6 })
    .inconsistency("e6", "EvidenceReceived", "sequence-conflict", false, 9);
}

function duplicatesAndPoison(): History {
  return new History()
    .opened()
    .again()
    .again({ data: { category: "plain", priority: "low" } })
    .out("tidemark.duplicate-conflict", { eventId: "opened", firstPosition: "0:1.0" })
    .text("{")
    .out("tidemark.quarantine", { code: "not-json", position: "0:4.0" })
    .event("e1", "CaseStatusChanged", 600, { fromStatus: "new" })
    .out("tidemark.quarantine", { code: "schema", position: "0:5.0" })
    .event("e1", "CaseStatusChanged", 1, { fromStatus: "new", toStatus: "review" }, { sequence: 1 })
    .audit("case.transition")
    .state({ status: "review" });
}

function assignments(): History {
  const who = { assigneeId: "ann", teamId: "north" };
  const assigned = (id: string, from: number, until: number | null, more = {}) => ({
    ...{ assignmentId: id, ...who, assigneeType: "officer", primary: true, officerName: "Ann Lee" },
    ...{ assignedFrom: at(from), assignedUntil: until === null ? null : at(until), ...more },
  });
  const closed = (id: string, from: number, until: number, reason: string, primary = true) => ({
    ...{ assignmentId: id, ...who, primary, assignedFrom: at(from), assignedUntil: at(until), reason },
  });
  const data = (assignmentId: string, more = {}) => ({ assignmentId, ...who, assigneeType: "officer", ...more });
  return new History()
    .opened()
    .event("e1", "CaseAssigned", 10, data("a"))
    .out("case.assignment-changed", assigned("a", 10, null))
    .state({ activeAssigneeId: "ann", activeTeamId: "north" })
    .event("e2", "CaseAssigned", 20, data("b", { assignedUntil: at(60) }))
    .out("case.assignment-interval-closed", closed("a", 10, 20, "superseded"))
    .out("case.assignment-changed", assigned("b", 20, 60))
    .state()
    .event("e3", "CaseAssigned", 21, data("c", { assignedFrom: at(15) }))
    .inconsistency("e3", "CaseAssigned", "overlapping-primary", false, 15)
    .event("e4", "CaseAssigned", 30, data("d", { primary: false }))
    .out("case.assignment-changed", assigned("d", 30, null, { primary: false }))
    .state()
    .watermark(60)
    .out("case.assignment-interval-closed", closed("b", 20, 60, "ended"))
    .event("e4b", "CaseAssigned", 61, data("d", { primary: false, assignedFrom: at(29) }))
    .out("case.assignment-interval-closed", closed("d", 30, 30, "superseded", false))
    .out("case.assignment-changed", assigned("d", 29, null, { primary: false }))
    .state({ activeAssigneeId: null, activeTeamId: null })
    .event("e5", "CaseUnassigned", 62, { assignmentId: "d", assignedUntil: at(61) })
    .out("case.assignment-interval-closed", closed("d", 29, 61, "unassigned", false))
    .state({ activeAssigneeId: null, activeTeamId: null })
    .event("e6", "CaseUnassigned", 63, { assignmentId: "d" })
    .inconsistency("e6", "CaseUnassigned", "assignment-unknown", false, 63)
    .event("e7", "CaseAssigned", 64, data("e"))
    .out("case.assignment-changed", assigned("e", 64, null))
    .state({ activeAssigneeId: "ann", activeTeamId: "north" })
    .event("e8", "CaseClosed", 70)
    .out("case.assignment-interval-closed", closed("e", 64, 70, "case-closed"))
    .audit("case.transition")
    .state({ activeAssigneeId: null, activeTeamId: null, status: "closed" });
}

function dormancy(): History {
  return new History()
    .opened({ category: "scored" })
    .watermark(10 * DAY)
    .watermark(10 * DAY + 1)
    .alert("dormant-case", "no-activity", 7, 10 * DAY)
    .event("e1", "EvidenceReceived", 10 * DAY, { evidenceId: "v" })
    .correction("dormant-case", {})
    .state()
    .watermark(20 * DAY + 1)
    .alert("dormant-case", "no-activity", 7, 20 * DAY);
}

const candidate = (history: History, minute: number, riskScore: number, reasonCode: string): History =>
  history
    .out("case.escalation-candidate", { reasonCode, policyVersion: 7, riskScore, detectedAt: at(minute) })
    .alert("escalation-candidate", reasonCode, 7, minute);

function candidates(): History {
  const history = new History().opened({ category: "scored", priority: "high" }).watermark(1);
  candidate(history, 0, 50, "high-priority+unassigned");
  history
    .event("e1", "CaseAssigned", 30, {
      assignmentId: "a",
      assigneeId: "bob",
      teamId: "south",
      assigneeType: "officer",
      assignedFrom: at(0),
    })
    .out("case.assignment-changed", {
      ...{ assignmentId: "a", assigneeId: "bob", teamId: "south", assigneeType: "officer", primary: true },
      ...{ assignedFrom: at(0), assignedUntil: null, officerName: null },
    })
    .correction("escalation-candidate", {})
    .state({ activeAssigneeId: "bob", activeTeamId: "south" })
    .event("e2", "EvidenceDelayed", 40, { evidenceId: "v" })
    .state()
    .event("e3", "CaseEscalated", 45, { escalationId: "x" })
    .state()
    .event("e4", "EvidenceDelayed", 50, { evidenceId: "v" })
    .state()
    .event("e5", "EscalationRejected", 60, { escalationId: "x" })
    .state()
    .watermark(61);
  return candidate(history, 60, 100, "evidence-delay+high-priority+rejected-escalation");
}

function decisions(): History {
  return new History()
    .opened()
    .started()
    .watermark(due + 10)
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .event("e2", "DecisionApproved", due + 11, { decisionId: "d" }, { effectivetime: at(due) })
    .correction("sla-breached", { reason: "decision-before-due" })
    .state({ slaBreached: true });
}

function corrections(): History {
  const data = { correctedEventId: "opened", correction: { priority: "low" }, reason: "typing error" };
  const history = new History().opened().event("e1", "EventCorrected", 5, { ...data, correctedEventId: "nobody" });
  history.out("tidemark.quarantine", { code: "correction-target-unknown", position: "0:2.0" });
  history.event("e1", "EventCorrected", 6, data, { sequence: 1 }).out("case.correction-impact", {
    ...{ eventId: "e1", correctedEventType: "CaseOpened", ...data },
    ...{ alertIds: [], affectedOutputIds: [], restatementRequired: false, inputEventIds: ["e1", "opened"] },
  });
  return history
    .event("e3", "EventCorrected", 7, { ...data, correctedEventId: "nobody" }, { sequence: 3 })
    .watermark(8)
    .inconsistency("e3", "EventCorrected", "sequence-gap", false, 7)
    .out("tidemark.quality", { rule: "correction-target-unknown" });
}

function retention(): History {
  return new History()
    .opened({ category: "scored" })
    .event("e1", "CaseClosed", 10)
    .audit("case.transition")
    .state({ status: "closed" })
    .watermark(31 * DAY + 10)
    .watermark(31 * DAY + 11)
    .audit("case.retention")
    .event("e2", "EvidenceReceived", 31 * DAY + 20, { evidenceId: "v" }, { sequence: null })
    .inconsistency("e2", "EvidenceReceived", "case-unknown", false, 31 * DAY + 20, 0);
}

function late(): History {
  return new History()
    .opened()
    .event("e1", "EvidenceReceived", 3 * DAY, { evidenceId: "v" })
    .state()
    .event("e2", "EvidenceReceived", 10, { evidenceId: "v" })
    .out("tidemark.quality", { rule: "late-event" })
    .state()
    .event("e3", "EvidenceReceived", 60 * DAY, { evidenceId: "v" })
    .state()
    .event("e4", "EvidenceReceived", 11, { evidenceId: "v" })
    .out("tidemark.late", { eventId: "e4", reason: "undecidable" });
}

export const HISTORIES: Readonly<Record<string, () => History>> = {
  "a case goes through its lifecycle": lifecycle,
  "a case nobody opened, and one of a category nobody knows": unknownCases,
  "a clock runs out": breach,
  "a completion in time is told too late": completedInTime,
  "a completion behind the due time": completedTooLate,
  "a clock is paused over its due time": pausedOverDue,
  "a pause moves the due time": extendedByPause,
  "a pause before the breach comes behind it": pausedLate,
  "working days with a holiday and a clock change": workingDays,
  "gaps close, and gaps lapse": gaps,
  "duplicates, a conflict and poison": duplicatesAndPoison,
  "assignments follow each other": assignments,
  "a case falls dormant, and did not": dormancy,
  "candidates come, and one should not have": candidates,
  "a decision before the breach comes behind it": decisions,
  "corrections of what is known, unknown, and did not come": corrections,
  "a closed case is removed": retention,
  "events come late, and too late to tell": late,
};
