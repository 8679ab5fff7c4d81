/**
 * What the rules of the cases job say of the events of one case that come in order, as far as a generator must know them:
 * every code of an inconsistency, and why an event cannot be taken at all. Written from the README alone; nothing of it is
 * a deadline.
 */
import { lifecycleOf } from "../../actors/cases/generator/processes.ts";
import { parseInstant } from "../../actors/model/time.ts";

export interface CaseEvent {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly effectivetime?: string;
  readonly sequence?: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Fields by type; `?` marks those that may be absent, `:at` instants, `:flag` booleans, `:count` whole numbers. */
const FIELDS: Readonly<Record<string, string>> = {
  CaseOpened: "category priority riskCategory? jurisdiction?",
  CaseStatusChanged: "fromStatus toStatus reason?",
  CaseAssigned: "assignmentId assigneeId teamId assigneeType primary?:flag assignedFrom?:at assignedUntil?:at",
  CaseUnassigned: "assignmentId assignedUntil?:at",
  SlaClockStarted: "slaId policyId policyVersion?:count clockStart?:at dueAt?:at",
  SlaClockPaused: "slaId pausedAt?:at reason?",
  SlaClockResumed: "slaId resumedAt?:at",
  SlaClockCompleted: "slaId completedAt?:at",
  EvidenceRequested: "evidenceId dueAt?:at",
  EvidenceReceived: "evidenceId",
  EvidenceDelayed: "evidenceId newDueAt?:at",
  InvestigationStarted: "investigationId? outcome?",
  InvestigationCompleted: "investigationId? outcome?",
  EscalationRequested: "escalationId? reason? toQueue? approvedBy?",
  CaseEscalated: "escalationId? reason? toQueue? approvedBy?",
  EscalationRejected: "escalationId? reason? toQueue? approvedBy?",
  DecisionProposed: "decisionId? outcome? approvedBy?",
  DecisionApproved: "decisionId? outcome? approvedBy?",
  AppealFiled: "appealId? outcome?",
  AppealDecided: "appealId? outcome?",
  CaseClosed: "reason? outcome?",
  CaseReopened: "reason? outcome?",
  EventCorrected: "correctedEventId correction reason",
};

const EFFECTIVE: Readonly<Record<string, string>> = {
  SlaClockStarted: "clockStart",
  SlaClockPaused: "pausedAt",
  SlaClockResumed: "resumedAt",
  SlaClockCompleted: "completedAt",
  CaseAssigned: "assignedFrom",
  CaseUnassigned: "assignedUntil",
};

const CHECKS: Readonly<Record<string, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string" && value !== "",
  at: (value) => typeof value === "string" && parseInstant(value) !== undefined,
  flag: (value) => typeof value === "boolean",
  count: (value) => Number.isSafeInteger(value),
};

/** Why a line is no event of the job; `undefined` when it is one. */
export function faultOf(text: string): string | undefined {
  let event: CaseEvent;
  try {
    event = JSON.parse(text);
  } catch {
    return "not-json";
  }
  if (typeof event.type !== "string") return "no type";
  const fields = FIELDS[event.type];
  if (fields === undefined) return `type ${event.type}`;
  const { specversion, id, source, subject, time } = event as CaseEvent & { specversion: unknown };
  if (specversion !== "1.0" || source !== "/cases" || !CHECKS.text!(id) || !CHECKS.text!(subject)) return "envelope";
  if (!CHECKS.at!(time) || (event.effectivetime !== undefined && !CHECKS.at!(event.effectivetime))) return "time";
  if (event.sequence !== undefined && !(Number.isSafeInteger(event.sequence) && event.sequence > 0)) return "sequence";
  const left = new Set(Object.keys(event.data));
  for (const field of fields.split(" ")) {
    const [, name, optional, kind] = /^(\w+)(\?)?(?::(\w+))?$/.exec(field)!;
    left.delete(name!);
    const value = event.data[name!];
    if (value === undefined ? optional === undefined : !CHECKS[kind ?? "text"]!(value)) return `schema ${name}`;
  }
  if (event.type === "CaseOpened" && !["low", "normal", "high", "critical"].includes(event.data.priority as string))
    return "schema priority";
  return left.size === 0 ? undefined : `schema ${[...left]}`;
}

export function effectiveOf({ type, data, effectivetime, time }: CaseEvent): number {
  const field = EFFECTIVE[type];
  return parseInstant((field === undefined ? undefined : (data[field] as string | undefined)) ?? effectivetime ?? time)!;
}

interface ClockState {
  pausedAt: number | undefined;
  completed: boolean;
}

const NOT_OF_CLOSED = new Set(
  "CaseClosed CaseStatusChanged CaseAssigned SlaClockStarted EvidenceRequested InvestigationStarted EscalationRequested CaseEscalated".split(
    " ",
  ),
);

/** One case. `apply` gives the code of the inconsistency that the event is, if it is one. */
export class CaseRules {
  #status: string | undefined;
  #closed = false;
  #category = "";
  readonly #clocks = new Map<string, ClockState>();
  readonly #open = new Map<string, number>();
  #primary: { readonly id: string; readonly from: number; readonly until: number } | undefined;
  #lastEnd = Number.NEGATIVE_INFINITY;

  apply(event: CaseEvent): string | undefined {
    const { type, data } = event;
    if (type === "CaseOpened") {
      if (this.#status !== undefined) return "already-open";
      this.#category = data.category as string;
      this.#status = this.#lifecycle?.initial ?? "open";
      return undefined;
    }
    if (this.#status === undefined) return "case-unknown";
    if (type === "CaseReopened" && !this.#closed) return "already-open";
    if (this.#closed && NOT_OF_CLOSED.has(type)) return "not-open";
    if (type === "CaseStatusChanged") return this.#change(data.fromStatus as string, data.toStatus as string);
    if (type.startsWith("SlaClock")) return this.#clock(event);
    if (type === "CaseAssigned") return this.#assign(event);
    if (type === "CaseUnassigned") return this.#unassign(event);
    if (type === "CaseReopened") this.#reopen();
    if (type === "CaseClosed") this.#close(effectiveOf(event));
    return undefined;
  }

  get #lifecycle() {
    return ["enforcement", "traffic-fine", "permit", "it-incident"].includes(this.#category)
      ? lifecycleOf(this.#category as "enforcement")
      : undefined;
  }

  #change(from: string, to: string): string | undefined {
    const allowed = this.#lifecycle === undefined || this.#lifecycle.transitions[this.#status!]!.includes(to);
    const mismatch = from !== this.#status;
    if (allowed) this.#status = to;
    if (mismatch) return "from-mismatch";
    return allowed ? undefined : "transition-not-allowed";
  }

  #clock(event: CaseEvent): string | undefined {
    const slaId = event.data.slaId as string;
    const clock = this.#clocks.get(slaId);
    if (event.type === "SlaClockStarted") {
      if (clock !== undefined) return "sla-already-started";
      this.#clocks.set(slaId, { pausedAt: undefined, completed: false });
      return undefined;
    }
    if (clock === undefined) return "sla-unknown";
    if (clock.completed) return "already-completed";
    const at = effectiveOf(event);
    if (event.type === "SlaClockCompleted") clock.completed = true;
    else if (event.type === "SlaClockPaused") {
      if (clock.pausedAt !== undefined) return "already-paused";
      clock.pausedAt = at;
    } else {
      if (clock.pausedAt === undefined || at < clock.pausedAt) return "not-paused";
      clock.pausedAt = undefined;
    }
    return undefined;
  }

  #assign(event: CaseEvent): string | undefined {
    const { assignmentId, primary, assignedUntil } = event.data;
    const from = effectiveOf(event);
    const until = assignedUntil === undefined ? Number.POSITIVE_INFINITY : parseInstant(assignedUntil as string)!;
    if (primary === false) {
      this.#open.set(assignmentId as string, from);
      return undefined;
    }
    if (from < (this.#primary?.from ?? this.#lastEnd)) return "overlapping-primary";
    if (this.#primary !== undefined) this.#lastEnd = Math.min(from, this.#primary.until);
    this.#primary = { id: assignmentId as string, from, until };
    return undefined;
  }

  #unassign(event: CaseEvent): string | undefined {
    const id = event.data.assignmentId as string;
    const until = effectiveOf(event);
    const held = this.#primary?.id === id && this.#primary.until > until ? this.#primary.from : undefined;
    const from = held ?? this.#open.get(id);
    if (from === undefined || until < from) return "assignment-unknown";
    this.#open.delete(id);
    if (held !== undefined) {
      this.#primary = undefined;
      this.#lastEnd = until;
    }
    return undefined;
  }

  #close(at: number): void {
    const { terminal } = this.#lifecycle ?? { terminal: ["closed"] };
    if (!terminal.includes(this.#status!)) this.#status = terminal[0]!;
    this.#closed = true;
    for (const clock of this.#clocks.values()) clock.completed = true;
    this.#open.clear();
    if (this.#primary !== undefined) this.#lastEnd = Math.min(at, this.#primary.until);
    this.#primary = undefined;
  }

  #reopen(): void {
    this.#closed = false;
    this.#status = this.#lifecycle?.initial ?? "open";
  }
}
