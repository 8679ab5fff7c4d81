/** One event whose turn has come: what it changes, and what is derived from that it changed something. */
import { formatInstant } from "../model/time.ts";
import { requireCorrections, written } from "./alerts.ts";
import { activeAssignment, assign, unassign } from "./assignments.ts";
import type { CaseFile, Step } from "./case.ts";
import { completeClock, pauseClock, resumeClock, slaSummary, startClock } from "./clocks.ts";
import { correct, noteEvent } from "./corrections.ts";
import { noteActivity } from "./dormancy.ts";
import type { EventType, Received } from "./events.ts";
import { judgeAgain } from "./factors.ts";
import { refuse } from "./inconsistencies.ts";
import { changeStatus, closeCase, openCase, reopenCase } from "./lifecycle.ts";
import { noteMatter } from "./matters.ts";
import type { Terms } from "./terms.ts";

/** What only an open case can have. */
const NEED_OPEN: ReadonlySet<EventType> = new Set([
  "CaseStatusChanged",
  "CaseAssigned",
  "SlaClockStarted",
  "EvidenceRequested",
  "InvestigationStarted",
  "EscalationRequested",
  "CaseEscalated",
  "CaseClosed",
]);

/** Whether it was applied. `terms`: of a clock that starts. */
export function apply(step: Step, event: Received, terms: Terms | undefined): boolean {
  const { ctx } = step;
  const before = ctx.state.file.get();
  const factors = ctx.state.factors.get();
  const wasApplied = change(step, event, before, terms);
  const file = ctx.state.file.get();
  if (file === undefined) return false;
  if (event.sequence !== undefined) ctx.state.file.set({ ...file, lastSequence: event.sequence });
  if (!wasApplied) return false;
  noteEvent(step, event);
  noteActivity(step, event);
  judgeAgain(step, factors);
  if (before !== undefined) auditRules(step, event);
  if (event.type !== "EventCorrected") tellState(step, event);
  requireCorrections(step, event.id, event.effective);
  return true;
}

/** Whether the event was applied. What it says that cannot be is told of. */
function change(step: Step, event: Received, file: CaseFile | undefined, terms: Terms | undefined): boolean {
  if (event.type === "CaseOpened") {
    if (file === undefined) return openCase(step, event as Received<"CaseOpened">);
    return refuse(step, event, "already-open", `the case was opened by ${file.openedBy}`);
  }
  if (file === undefined) return refuse(step, event, "case-unknown", "the case was never opened, or was removed");
  if (file.closedAt !== undefined && NEED_OPEN.has(event.type))
    return refuse(step, event, "not-open", `the case was closed at ${formatInstant(file.closedAt)}`);
  switch (event.type) {
    case "CaseStatusChanged":
      return changeStatus(step, event as Received<"CaseStatusChanged">, file);
    case "CaseAssigned":
      return assign(step, event as Received<"CaseAssigned">);
    case "CaseUnassigned":
      return unassign(step, event as Received<"CaseUnassigned">);
    case "SlaClockStarted":
      return startClock(step, event as Received<"SlaClockStarted">, terms!);
    case "SlaClockPaused":
      return pauseClock(step, event as Received<"SlaClockPaused">);
    case "SlaClockResumed":
      return resumeClock(step, event as Received<"SlaClockResumed">);
    case "SlaClockCompleted":
      return completeClock(step, event as Received<"SlaClockCompleted">);
    case "CaseClosed":
      return closeCase(step, event as Received<"CaseClosed">, file);
    case "CaseReopened":
      return reopen(step, event as Received<"CaseReopened">, file);
    case "EventCorrected":
      return correct(step, event as Received<"EventCorrected">);
    default:
      return noteMatter(step, event);
  }
}

function reopen(step: Step, event: Received<"CaseReopened">, file: CaseFile): boolean {
  if (file.closedAt !== undefined) return reopenCase(step, event, file);
  return refuse(step, event, "already-open", `the case is ${file.status}`);
}

/** Section 18 of the source. */
function tellState(step: Step, event: Received): void {
  const { ctx } = step;
  const { status, priority, lastSequence } = ctx.state.file.get()!;
  const active = activeAssignment(step);
  const { dueAt, breached } = slaSummary(step);
  const version = event.sequence === undefined ? ctx.sha256(event.id).slice(0, 32) : String(event.sequence);
  ctx.out.currentState(
    {
      caseId: ctx.key,
      status,
      priority,
      activeAssigneeId: active?.assigneeId ?? null,
      activeTeamId: active?.teamId ?? null,
      slaBreached: breached,
      currentSlaDueAt: dueAt === undefined ? null : formatInstant(dueAt),
      lastEventId: event.id,
      lastAggregateSequence: lastSequence ?? null,
      updatedAt: formatInstant(event.time),
    },
    { time: event.time, idempotencyKey: `${written(ctx.key)}|${version}` },
  );
}

/** A category whose lifecycle or rules have another version than at the event before goes by other rules from here on. */
function auditRules({ ctx }: Step, event: Received): void {
  const file = ctx.state.file.get()!;
  const lifecycleVersion = ctx.reference.lifecycle.asOf(file.category, event.effective)?.version ?? 0;
  const rulesVersion = ctx.reference.rules.asOf(file.category, event.effective)?.version ?? 0;
  if (lifecycleVersion === file.lifecycleVersion && rulesVersion === file.rulesVersion) return;
  ctx.state.file.set({ ...file, lifecycleVersion, rulesVersion });
  const from = { lifecycle: file.lifecycleVersion, rules: file.rulesVersion };
  ctx.audit("case.rule-change", {
    eventId: event.id,
    category: file.category,
    from,
    to: { lifecycle: lifecycleVersion, rules: rulesVersion },
  });
}
