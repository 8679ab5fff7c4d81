/** More histories by hand: what comes held, behind, at once, or changes what was told. */
import { at, DAY, History, HOUR } from "./history.ts";

const due = 4 * HOUR;
const near = 3 * HOUR;

function heldOverBreach(): History {
  return new History()
    .opened()
    .started()
    .event("e3", "SlaClockCompleted", due + 30, { slaId: "sla", completedAt: at(due - 1) }, { sequence: 3 })
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .event("e2", "EvidenceReceived", due, { evidenceId: "v" }, { sequence: 2 })
    .state({ slaBreached: true })
    .correction("sla-breached", { eventId: "e3", was: "breached", wouldBe: "completed" })
    .state({ slaBreached: false, currentSlaDueAt: null }, { id: "e3", sequence: 3 })
    .watermark(DAY);
}

function startedBehind(): History {
  const history = new History()
    .opened()
    .watermark(due + 10)
    .started();
  return history
    .watermark(due + 10)
    .passed("near-breach", due, near)
    .passed("breached", due, due);
}

function namedVersion(): History {
  return new History()
    .opened()
    .event("started", "SlaClockStarted", 10, { slaId: "sla", policyId: "four-hours", policyVersion: 2, clockStart: at(5) })
    .out("case.sla-started", {
      ...{ slaId: "sla", policyId: "four-hours", policyVersion: 2, clockStart: at(5), dueAt: at(5 + 9 * HOUR) },
      ...{ nearBreachAt: at(5 + 8 * HOUR), calendar: null, calendarVersion: null },
    })
    .state({ currentSlaDueAt: at(5 + 9 * HOUR) })
    .event("e2", "SlaClockStarted", 11, { slaId: "other", policyId: "four-hours", policyVersion: 9 })
    .out("tidemark.quarantine", { code: "unknown-reference", position: "0:3.0" })
    .watermark(DAY)
    .passed("near-breach", 5 + 9 * HOUR, 5 + 8 * HOUR, "four-hours", 2)
    .passed("breached", 5 + 9 * HOUR, 5 + 9 * HOUR, "four-hours", 2);
}

function closedBeforeBreach(): History {
  return new History()
    .opened()
    .started()
    .event("e2", "CaseClosed", due + 30, {}, { effectivetime: at(due - 10) })
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .correction("sla-breached", { was: "breached", wouldBe: "completed" })
    .audit("case.transition")
    .state({ status: "closed", currentSlaDueAt: null });
}

function closedBehindDue(): History {
  return new History()
    .opened()
    .started()
    .event("e2", "CaseClosed", due + 3)
    .passed("near-breach", due, near)
    .passed("breached", due, due)
    .audit("case.transition")
    .state({ status: "closed", currentSlaDueAt: null, slaBreached: true });
}

function everyFactor(): History {
  const dueAt = 12 * DAY;
  const reasonCode = "dormant+high-risk+near-breach+unassigned";
  return new History()
    .opened({ category: "scored", riskCategory: "grave" })
    .event("started", "SlaClockStarted", 0, { slaId: "sla", policyId: "four-hours", dueAt: at(dueAt) })
    .out("case.sla-started", {
      ...{ slaId: "sla", policyId: "four-hours", policyVersion: 3, clockStart: at(0), dueAt: at(dueAt), nearBreachAt: at(dueAt - HOUR) },
      ...{ calendar: null, calendarVersion: null },
    })
    .state({ currentSlaDueAt: at(dueAt) })
    .watermark(dueAt)
    .alert("dormant-case", "no-activity", 7, 10 * DAY)
    .passed("near-breach", dueAt, dueAt - HOUR)
    .out("case.escalation-candidate", { reasonCode, policyVersion: 7, riskScore: 55, detectedAt: at(dueAt - HOUR) })
    .alert("escalation-candidate", reasonCode, 7, dueAt - HOUR)
    .event("e2", "SlaClockPaused", dueAt + 1, { slaId: "sla", pausedAt: at(dueAt - 90) })
    .correction("sla-near-breach", { was: "near-breach", wouldBe: "paused" })
    .correction("escalation-candidate", {})
    .state();
}

function otherReason(): History {
  const reasonCode = "high-priority+unassigned";
  return new History()
    .opened({ category: "scored", priority: "critical" })
    .watermark(1)
    .out("case.escalation-candidate", { reasonCode, policyVersion: 7, riskScore: 50, detectedAt: at(0) })
    .alert("escalation-candidate", reasonCode, 7, 0)
    .event("e1", "EscalationRejected", 30, { escalationId: "x" }, { effectivetime: at(0) })
    .correction("escalation-candidate", {})
    .state()
    .watermark(HOUR);
}

function sameTwice(): History {
  return new History()
    .opened()
    .event("e1", "CaseReopened", 5)
    .inconsistency("e1", "CaseReopened", "already-open", false, 5)
    .event("e2", "CaseReopened", 5)
    .inconsistent("e2", "CaseReopened", "already-open", false, 5)
    .event("e4", "EvidenceReceived", 6, { evidenceId: "v" }, { sequence: 4 })
    .event("e0", "EvidenceReceived", 7, { evidenceId: "v" }, { sequence: null })
    .state({ lastAggregateSequence: 2 });
}

function correctedAlerts(): History {
  const history = new History()
    .opened()
    .started()
    .watermark(due + 1);
  history.passed("near-breach", due, near).passed("breached", due, due);
  const alerts = history.outputs.filter(({ type }) => type === "case.alert");
  const data = { correctedEventId: "opened", correction: { time: "later" }, reason: "typing error" };
  return history.event("e2", "EventCorrected", due + 2, data).out("case.correction-impact", {
    ...{ eventId: "e2", correctedEventType: "CaseOpened", ...data },
    ...{ alertIds: alerts.map((alert) => alert.data.alertId), affectedOutputIds: alerts.map(({ id }) => id) },
    ...{ restatementRequired: true, inputEventIds: ["e2", "opened"] },
  });
}

function lapsedAtBreach(): History {
  return new History()
    .opened()
    .started()
    .event("e3", "SlaClockCompleted", due - 2, { slaId: "sla" }, { sequence: 3 })
    .passed("near-breach", due, near)
    .watermark(DAY)
    .inconsistency("e3", "SlaClockCompleted", "sequence-gap", true, due - 2)
    .state({ currentSlaDueAt: null });
}

export const HISTORIES_OF_DOUBT: Readonly<Record<string, () => History>> = {
  "a completion is held until behind the breach": heldOverBreach,
  "a clock starts when it has run out": startedBehind,
  "an event names a version": namedVersion,
  "a case was closed before the breach": closedBeforeBreach,
  "a case is closed behind the due time": closedBehindDue,
  "a near breach makes a candidate and is taken away": everyFactor,
  "a candidate stands for another reason": otherReason,
  "an inconsistency comes twice": sameTwice,
  "an event is corrected that alerts rest on": correctedAlerts,
  "a gap lapses before the breach": lapsedAtBreach,
};
