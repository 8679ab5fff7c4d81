/** Rules 5 to 17 on one event whose turn has come: whether it is applied, and what it adds to the facts of its case. */
import { parseInstant } from "../../../actors/model/time.ts";
import type { Assignment, CaseFacts } from "./case-facts.ts";
import { type Clock, dueAtOf, nearBreachAt } from "./clock.ts";
import type { Arrival } from "./input.ts";
import { instant, type Ledger } from "./ledger.ts";
import type { Records } from "./records.ts";

export interface Hand {
  readonly facts: CaseFacts;
  readonly records: Records;
  readonly ledger: Ledger;
  /** The place of the event in the order of application. */
  readonly nth: number;
  readonly audit: () => void;
  readonly quality: (rule: string) => void;
  /** `isApplied` says what the output has to say about the event. */
  readonly inconsistency: (event: Arrival, code: string, isApplied: boolean) => void;
}

type Rule = (hand: Hand, event: Arrival) => boolean;

/** Types that a closed case does not take. */
const NEEDS_OPEN = new Set(
  "CaseClosed CaseStatusChanged CaseAssigned SlaClockStarted EvidenceRequested InvestigationStarted EscalationRequested CaseEscalated".split(
    " ",
  ),
);

export function applyEvent(hand: Hand, event: Arrival): boolean {
  const { facts } = hand;
  if (!facts.isKnown && event.type !== "CaseOpened") return refuse(hand, event, "case-unknown");
  if (event.type === "CaseOpened" && facts.isKnown) return refuse(hand, event, "already-open");
  if (event.type === "CaseReopened" && !facts.isClosed) return refuse(hand, event, "already-open");
  if (facts.isClosed && NEEDS_OPEN.has(event.type)) return refuse(hand, event, "not-open");
  return RULES[event.type]?.(hand, event) ?? true;
}

function refuse(hand: Hand, event: Arrival, code: string): false {
  hand.inconsistency(event, code, false);
  return false;
}

const RULES: Readonly<Record<string, Rule>> = {
  CaseOpened(hand, event) {
    const { facts, records } = hand;
    facts.isKnown = true;
    facts.category = event.data.category as string;
    facts.priority = event.data.priority as string;
    facts.riskCategory = event.data.riskCategory as string | undefined;
    facts.open.push({ from: event.effective, until: Number.POSITIVE_INFINITY });
    const lifecycle = records.lifecycle(facts.category, event.effective);
    if (lifecycle === undefined) hand.quality("unknown-category");
    return setStatus(hand, lifecycle?.data.initial ?? "open");
  },
  CaseReopened(hand, event) {
    hand.facts.isClosed = false;
    hand.facts.open.push({ from: event.effective, until: Number.POSITIVE_INFINITY });
    return setStatus(hand, hand.records.lifecycle(hand.facts.category, event.effective)?.data.initial ?? "open");
  },
  CaseClosed(hand, event) {
    const { facts } = hand;
    facts.isClosed = true;
    facts.open.at(-1)!.until = event.effective;
    for (const clock of facts.clocks.values()) clock.completedAt ??= event.effective;
    for (const assignment of facts.assignments.filter(isOpen)) closeAtOrBefore(hand, assignment, event.effective, "case-closed");
    const terminal = hand.records.lifecycle(facts.category, event.effective)?.data.terminal ?? ["closed"];
    return terminal.includes(facts.status) || setStatus(hand, terminal[0]!);
  },
  CaseStatusChanged(hand, event) {
    const { facts, records } = hand;
    const { fromStatus, toStatus } = event.data as { fromStatus: string; toStatus: string };
    const lifecycle = records.lifecycle(facts.category, event.effective);
    const isAllowed = lifecycle === undefined || (lifecycle.data.transitions[facts.status] ?? []).includes(toStatus);
    if (fromStatus !== facts.status) hand.inconsistency(event, "from-mismatch", isAllowed);
    else if (!isAllowed) hand.inconsistency(event, "transition-not-allowed", false);
    return isAllowed && setStatus(hand, toStatus);
  },
  CaseAssigned: assign,
  CaseUnassigned(hand, event) {
    const named = hand.facts.assignments.filter(isOpen).filter((each) => each.assignmentId === event.data.assignmentId);
    const assignment = named.find((each) => each.primary) ?? named[0];
    if (assignment === undefined || event.effective < assignment.from) return refuse(hand, event, "assignment-unknown");
    closeAtOrBefore(hand, assignment, event.effective, "unassigned");
    return true;
  },
  SlaClockStarted: start,
  SlaClockPaused(hand, event) {
    return onClock(hand, event, ({ pauses }) => {
      if (pauses.at(-1)?.until === undefined && pauses.length > 0) return "already-paused";
      pauses.push({ from: event.effective, until: undefined });
      return undefined;
    });
  },
  SlaClockResumed(hand, event) {
    return onClock(hand, event, ({ pauses }) => {
      const pause = pauses.at(-1);
      if (pause === undefined || pause.until !== undefined || event.effective < pause.from) return "not-paused";
      pause.until = event.effective;
      return undefined;
    });
  },
  SlaClockCompleted(hand, event) {
    return onClock(hand, event, (clock) => {
      clock.completedAt = event.effective;
      return undefined;
    });
  },
  EvidenceDelayed: ({ facts, nth }, event) => facts.delays.push({ at: event.effective, nth }) > 0,
  EscalationRejected: ({ facts, nth }, event) => facts.rejections.push({ at: event.effective, nth }) > 0,
  CaseEscalated: ({ facts, nth }, event) => facts.escalations.push({ at: event.effective, nth }) > 0,
};

function setStatus(hand: Hand, status: string): true {
  if (hand.facts.status !== status) hand.audit();
  hand.facts.status = status;
  return true;
}

function onClock(hand: Hand, event: Arrival, change: (clock: Clock) => string | undefined): boolean {
  const clock = hand.facts.clocks.get(event.data.slaId as string);
  if (clock === undefined) return refuse(hand, event, "sla-unknown");
  if (clock.completedAt !== undefined) return refuse(hand, event, "already-completed");
  const code = change(clock);
  return code === undefined || refuse(hand, event, code);
}

function start(hand: Hand, event: Arrival): boolean {
  const { facts, ledger } = hand;
  const slaId = event.data.slaId as string;
  if (facts.clocks.has(slaId)) return refuse(hand, event, "sla-already-started");
  const terms = hand.records.termsOf(event)!;
  const clock: Clock = { slaId, terms, start: event.effective, pauses: [], completedAt: undefined };
  facts.clocks.set(slaId, clock);
  const dueAt = dueAtOf(clock);
  const near = nearBreachAt(clock, dueAt);
  const value = {
    policyId: terms.policyId,
    policyVersion: terms.policyVersion,
    clockStart: instant(clock.start),
    dueAt: instant(dueAt),
    nearBreachAt: near === undefined ? null : instant(near),
    calendar: terms.calendar,
    calendarVersion: terms.calendarVersion,
  };
  ledger.expect({ caseId: facts.caseId, rule: 9, kind: "sla-started", name: slaId, value });
  return true;
}

function assign(hand: Hand, event: Arrival): boolean {
  const { facts } = hand;
  const data = event.data as { assignmentId: string; assigneeId: string; teamId: string; assigneeType: string; primary?: boolean };
  const primary = data.primary ?? true;
  const from = event.effective;
  if (primary) {
    const holder = facts.assignments.filter(isOpen).find((each) => each.primary);
    const ends = facts.assignments.filter((each) => each.primary && !isOpen(each)).map(({ until }) => until!);
    if (from < (holder?.from ?? Math.max(...ends, Number.NEGATIVE_INFINITY))) return refuse(hand, event, "overlapping-primary");
    if (holder !== undefined) closeAtOrBefore(hand, holder, from, "superseded");
  } else {
    const same = facts.assignments.filter(isOpen).find((each) => !each.primary && each.assignmentId === data.assignmentId);
    if (same !== undefined) closeAtOrBefore(hand, same, from, "superseded");
  }
  const plannedUntil = typeof event.data.assignedUntil === "string" ? parseInstant(event.data.assignedUntil) : undefined;
  const { assignmentId, assigneeId, teamId } = data;
  facts.assignments.push({ assignmentId, assigneeId, teamId, primary, from, plannedUntil, until: undefined });
  const value = {
    assigneeId,
    teamId,
    assigneeType: data.assigneeType,
    primary,
    assignedFrom: instant(from),
    assignedUntil: plannedUntil === undefined ? null : instant(plannedUntil),
    officerName: hand.records.officerName(assigneeId, from),
  };
  hand.ledger.expect({ caseId: facts.caseId, rule: 15, kind: "assignment-changed", name: assignmentId, value });
  return true;
}

export function isOpen(assignment: Assignment): boolean {
  return assignment.until === undefined;
}

/** Closes an interval at `until`, or where it had ended already by its own word. */
export function closeAtOrBefore(
  { facts, ledger }: Pick<Hand, "facts" | "ledger">,
  assignment: Assignment,
  until: number,
  reason: string,
): void {
  const isEnded = assignment.plannedUntil !== undefined && assignment.plannedUntil <= until;
  assignment.until = Math.max(assignment.from, isEnded ? assignment.plannedUntil! : until);
  const { assignmentId, assigneeId, teamId, primary, from } = assignment;
  const value = {
    assigneeId,
    teamId,
    primary,
    assignedFrom: instant(from),
    assignedUntil: instant(assignment.until),
    reason: isEnded ? "ended" : reason,
  };
  ledger.expect({ caseId: facts.caseId, rule: isEnded ? 16 : 15, kind: "interval-closed", name: assignmentId, value });
}
