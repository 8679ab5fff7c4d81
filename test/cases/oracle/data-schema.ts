/** What the table "Events in" allows as data, type by type. A `?` marks what may be absent. */
import { parseInstant } from "../../../actors/model/time.ts";

const FIELDS: Readonly<Record<string, string>> = {
  CaseOpened: "category:text priority:priority riskCategory?:text jurisdiction?:text",
  CaseStatusChanged: "fromStatus:text toStatus:text reason?:text",
  CaseAssigned:
    "assignmentId:text assigneeId:text teamId:text assigneeType:text primary?:flag assignedFrom?:instant assignedUntil?:instant",
  CaseUnassigned: "assignmentId:text assignedUntil?:instant",
  SlaClockStarted: "slaId:text policyId:text policyVersion?:version clockStart?:instant dueAt?:instant",
  SlaClockPaused: "slaId:text pausedAt?:instant reason?:text",
  SlaClockResumed: "slaId:text resumedAt?:instant",
  SlaClockCompleted: "slaId:text completedAt?:instant",
  EvidenceRequested: "evidenceId:text dueAt?:instant",
  EvidenceReceived: "evidenceId:text",
  EvidenceDelayed: "evidenceId:text newDueAt?:instant",
  InvestigationStarted: "investigationId?:text outcome?:text",
  InvestigationCompleted: "investigationId?:text outcome?:text",
  EscalationRequested: "escalationId?:text reason?:text toQueue?:text approvedBy?:text",
  CaseEscalated: "escalationId?:text reason?:text toQueue?:text approvedBy?:text",
  EscalationRejected: "escalationId?:text reason?:text toQueue?:text approvedBy?:text",
  DecisionProposed: "decisionId?:text outcome?:text approvedBy?:text",
  DecisionApproved: "decisionId?:text outcome?:text approvedBy?:text",
  AppealFiled: "appealId?:text outcome?:text",
  AppealDecided: "appealId?:text outcome?:text",
  CaseClosed: "reason?:text outcome?:text",
  CaseReopened: "reason?:text outcome?:text",
  EventCorrected: "correctedEventId:text correction:anything reason:text",
};

const PRIORITIES = ["low", "normal", "high", "critical"];

const KINDS: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  flag: (value) => typeof value === "boolean",
  version: (value) => (typeof value === "number" ? Number.isSafeInteger(value) && value >= 1 : /^[1-9]\d{0,8}$/.test(String(value))),
  instant: (value) => typeof value === "string" && parseInstant(value) !== undefined,
  priority: (value) => PRIORITIES.includes(value as string),
  anything: (value) => value !== undefined,
};

/** The data field that gives an event's effective time, by type. */
const EFFECTIVE: Readonly<Record<string, string>> = {
  SlaClockStarted: "clockStart",
  SlaClockPaused: "pausedAt",
  SlaClockResumed: "resumedAt",
  SlaClockCompleted: "completedAt",
  CaseAssigned: "assignedFrom",
  CaseUnassigned: "assignedUntil",
};

export type EventData = Readonly<Record<string, unknown>>;

export function isDataOf(type: string, data: unknown): data is EventData {
  if (!Object.hasOwn(FIELDS, type) || typeof data !== "object" || data === null || Array.isArray(data)) return false;
  return FIELDS[type]!.split(" ").every((field) => {
    const [, name, optional, kind] = /^(\w+)(\??):(\w+)$/.exec(field)!;
    const value = (data as EventData)[name!];
    return (value === undefined && optional === "?") || KINDS[kind!]!(value);
  });
}

/** The field of the data where the type has one and it is there, else `effectivetime`, else `time`. */
export function effectiveTimeOf(type: string, data: EventData, effectivetime: number | undefined, time: number): number {
  const stated = data[EFFECTIVE[type] ?? ""];
  return (typeof stated === "string" ? parseInstant(stated) : undefined) ?? effectivetime ?? time;
}
