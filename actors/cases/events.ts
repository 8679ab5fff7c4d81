/** What the `cases` log carries: event types, their data, and when the fact that one states holds from. */
import { type Static, Type } from "typebox";
import type { EventInfo } from "../model/actor.ts";
import { writeKey } from "../model/key.ts";
import { type Stream, stream } from "../model/stream.ts";
import { parseInstant } from "../model/time.ts";

/** As written; two of them and a case id fit into an idempotency key. */
const ID_MAX_BYTES = 128;
const CORRECTION_MAX_CHARS = 16_384;

const Id = Type.Refine(
  Type.String({ minLength: 1 }),
  (id) => (writeKey(id)?.length ?? Number.POSITIVE_INFINITY) <= ID_MAX_BYTES,
  () => `must be at most ${ID_MAX_BYTES} bytes as keys are written`,
);
const At = Type.Refine(
  Type.String(),
  (text) => parseInstant(text) !== undefined,
  () => "must be an RFC 3339 date-time with a zone",
);
const Text = Type.String({ maxLength: 4_096 });
/** Also as text: what a source keeps as a code. */
const version = Type.Union([Type.Integer({ minimum: 1 }), Type.String({ pattern: "^[1-9][0-9]{0,8}$" })]);
const Correction = Type.Refine(
  Type.Unknown(),
  (correction) => JSON.stringify(correction).length <= CORRECTION_MAX_CHARS,
  () => `must be at most ${CORRECTION_MAX_CHARS} characters of JSON`,
);
const reason = Type.Optional(Text);
const outcome = Type.Optional(Text);
const approvedBy = Type.Optional(Text);

export const Priority = Type.Union([Type.Literal("low"), Type.Literal("normal"), Type.Literal("high"), Type.Literal("critical")]);

const Escalation = Type.Object({ escalationId: Type.Optional(Id), reason, toQueue: Type.Optional(Text), approvedBy });
const Investigation = Type.Object({ investigationId: Type.Optional(Id), reason, outcome });
const Decision = Type.Object({ decisionId: Type.Optional(Id), reason, outcome, approvedBy });
const Appeal = Type.Object({ appealId: Type.Optional(Id), reason, outcome });
const Closing = Type.Object({ reason, outcome });

export const schemas = {
  CaseOpened: Type.Object({ category: Id, priority: Priority, riskCategory: Type.Optional(Id), jurisdiction: Type.Optional(Id) }),
  CaseStatusChanged: Type.Object({ fromStatus: Id, toStatus: Id, reason }),
  CaseAssigned: Type.Object({
    assignmentId: Id,
    assigneeId: Id,
    teamId: Id,
    assigneeType: Id,
    primary: Type.Optional(Type.Boolean()),
    assignedFrom: Type.Optional(At),
    assignedUntil: Type.Optional(At),
  }),
  CaseUnassigned: Type.Object({ assignmentId: Id, assignedUntil: Type.Optional(At), reason }),
  SlaClockStarted: Type.Object({
    slaId: Id,
    policyId: Id,
    policyVersion: Type.Optional(version),
    clockStart: Type.Optional(At),
    dueAt: Type.Optional(At),
  }),
  SlaClockPaused: Type.Object({ slaId: Id, pausedAt: Type.Optional(At), reason }),
  SlaClockResumed: Type.Object({ slaId: Id, resumedAt: Type.Optional(At), reason }),
  SlaClockCompleted: Type.Object({ slaId: Id, completedAt: Type.Optional(At), reason }),
  EvidenceRequested: Type.Object({ evidenceId: Id, dueAt: Type.Optional(At), reason }),
  EvidenceReceived: Type.Object({ evidenceId: Id, reason }),
  EvidenceDelayed: Type.Object({ evidenceId: Id, newDueAt: Type.Optional(At), reason }),
  InvestigationStarted: Investigation,
  InvestigationCompleted: Investigation,
  EscalationRequested: Escalation,
  CaseEscalated: Escalation,
  EscalationRejected: Escalation,
  DecisionProposed: Decision,
  DecisionApproved: Decision,
  AppealFiled: Appeal,
  AppealDecided: Appeal,
  CaseClosed: Closing,
  CaseReopened: Closing,
  EventCorrected: Type.Object({
    correctedEventId: Type.String({ minLength: 1, maxLength: 512 }),
    correction: Correction,
    reason: Text,
  }),
};

export type EventType = keyof typeof schemas;
type DataOf = { readonly [K in EventType]: Static<(typeof schemas)[K]> };

export const streams = Object.fromEntries(Object.entries(schemas).map(([type, schema]) => [type, stream(type, { schema })])) as unknown as {
  readonly [K in EventType]: Stream<DataOf[K]>;
};

/** An event as the case takes it. Times are milliseconds. */
export interface Received<K extends EventType = EventType> {
  readonly id: string;
  readonly type: K;
  readonly data: DataOf[K];
  readonly time: number;
  /** Where the data names no instant: the event's effective time, else its time. */
  readonly effective: number;
  readonly sequence: number | undefined;
}

/** The field of the data that says when the fact holds from. */
const EFFECTIVE: Partial<Record<EventType, string>> = {
  SlaClockStarted: "clockStart",
  SlaClockPaused: "pausedAt",
  SlaClockResumed: "resumedAt",
  SlaClockCompleted: "completedAt",
  CaseAssigned: "assignedFrom",
  CaseUnassigned: "assignedUntil",
};

/** `undefined` when its sequence is beyond 2^53 - 1. */
export function receivedOf(data: unknown, info: EventInfo): Received | undefined {
  const type = info.type as EventType;
  const sequence = info.sequence === undefined ? undefined : Number(info.sequence);
  if (sequence !== undefined && !Number.isSafeInteger(sequence)) return undefined;
  const field = EFFECTIVE[type];
  const said = field === undefined ? undefined : (data as Readonly<Record<string, string | undefined>>)[field];
  const effective = said === undefined ? (info.effectiveTime ?? info.time) : parseInstant(said)!;
  return { id: info.id, type, data: data as never, time: info.time, effective, sequence };
}

/** An optional instant of the data. */
export function instantOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseInstant(text);
}
