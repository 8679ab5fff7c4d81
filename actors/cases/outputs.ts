/** What the `cases` job derives. Instants are RFC 3339; what there is none of is null. */
import { Type } from "typebox";
import { output } from "../model/stream.ts";

const Text = Type.String();
const OrNull = Type.Union([Type.String(), Type.Null()]);
const Ids = Type.Array(Type.String());
const version = Type.Integer();

const Breach = Type.Object({
  caseId: Text,
  slaId: Text,
  dueAt: Text,
  detectedAt: Text,
  processingDetectedAt: Text,
  policyId: Text,
  policyVersion: version,
  inputEventIds: Ids,
});
const assignment = {
  caseId: Text,
  assignmentId: Text,
  assigneeId: Text,
  teamId: Text,
  primary: Type.Boolean(),
  assignedFrom: Text,
  assignedUntil: OrNull,
  inputEventIds: Ids,
};
const correction = { caseId: Text, eventId: Text, affectedOutputIds: Ids, alertIds: Ids, reason: Text, inputEventIds: Ids };

export const AlertType = Type.Union([
  Type.Literal("sla-breached"),
  Type.Literal("sla-near-breach"),
  Type.Literal("dormant-case"),
  Type.Literal("inconsistent-state"),
  Type.Literal("escalation-candidate"),
]);

export const outputs = {
  currentState: output("case.current-state", {
    schema: Type.Object({
      caseId: Text,
      status: Text,
      priority: Text,
      activeAssigneeId: OrNull,
      activeTeamId: OrNull,
      slaBreached: Type.Boolean(),
      currentSlaDueAt: OrNull,
      lastEventId: Text,
      lastAggregateSequence: Type.Union([Type.Integer(), Type.Null()]),
      updatedAt: Text,
    }),
  }),
  assignmentChanged: output("case.assignment-changed", {
    schema: Type.Object({ ...assignment, assigneeType: Text, officerName: OrNull }),
  }),
  intervalClosed: output("case.assignment-interval-closed", { schema: Type.Object({ ...assignment, reason: Text }) }),
  slaStarted: output("case.sla-started", {
    schema: Type.Object({
      caseId: Text,
      slaId: Text,
      policyId: Text,
      policyVersion: version,
      clockStart: Text,
      dueAt: Text,
      nearBreachAt: OrNull,
      calendar: OrNull,
      calendarVersion: Type.Union([Type.Integer(), Type.Null()]),
      inputEventIds: Ids,
    }),
  }),
  nearBreach: output("case.sla-near-breach", { schema: Breach }),
  breached: output("case.sla-breached", { schema: Breach }),
  candidate: output("case.escalation-candidate", {
    schema: Type.Object({
      caseId: Text,
      reasonCode: Text,
      policyVersion: version,
      riskScore: Type.Number(),
      inputEventIds: Ids,
      detectedAt: Text,
      recommendedQueue: Text,
    }),
  }),
  alert: output("case.alert", {
    schema: Type.Object({
      alertId: Text,
      caseId: Text,
      alertType: AlertType,
      severity: Text,
      reasonCode: Text,
      policyVersion: version,
      inputEventIds: Ids,
      effectiveTime: Text,
      detectedAt: Text,
    }),
  }),
  inconsistency: output("case.inconsistency", {
    schema: Type.Object({
      caseId: Text,
      code: Text,
      applied: Type.Boolean(),
      eventId: Text,
      eventType: Text,
      detail: Text,
      policyVersion: version,
      inputEventIds: Ids,
      effectiveTime: Text,
    }),
  }),
  correctionRequired: output("case.correction-required", { schema: Type.Object({ ...correction, was: Text, wouldBe: Text }) }),
  correctionImpact: output("case.correction-impact", {
    schema: Type.Object({
      ...correction,
      correctedEventId: Text,
      correctedEventType: Text,
      correction: Type.Unknown(),
      restatementRequired: Type.Boolean(),
    }),
  }),
};
