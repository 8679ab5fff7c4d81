/**
 * Assignments: intervals `[assignedFrom, assignedUntil)`. No two primary ones overlap: where the source says so, the later
 * one closes the earlier, or is refused.
 */
import { formatInstant } from "../model/time.ts";
import { type AssignmentState, armAt, present, type Step } from "./case.ts";
import { instantOf, type Received } from "./events.ts";
import { begin, end } from "./factors.ts";
import { refuse } from "./inconsistencies.ts";

type Reason = "superseded" | "unassigned" | "ended" | "case-closed";

const HELPERS_MAX = 100;
/** Ids of the timers: one assignment id may stand for both at once. */
const PRIMARY = "primary";
const HELPER = "helper:";

export function assign(step: Step, event: Received<"CaseAssigned">): boolean {
  const { ctx } = step;
  const { assignmentId, assigneeId, teamId, assigneeType, primary: isPrimary = true, assignedUntil } = event.data;
  const from = event.effective;
  const until = instantOf(assignedUntil);
  const assignment = present({ assignmentId, assigneeId, teamId, from, until, closed: false, eventId: event.id });
  if (isPrimary) {
    if (!makeRoom(step, event)) return false;
    ctx.state.primary.set(assignment);
    end(step, "unassigned", undefined, from);
    // What is planned is known: a term that is over already leaves nothing to tell of but itself.
    if (until !== undefined) beginUnassigned(step, until, event.id);
  } else {
    const before = ctx.state.helpers.get(assignmentId);
    if (before !== undefined) close(step, before, false, { at: from, reason: "superseded", eventId: event.id });
    else if (ctx.state.helpers.size >= HELPERS_MAX) {
      ctx.quality("too-many-assignments", { assignmentId, max: HELPERS_MAX }, event.id);
      return false;
    }
    ctx.state.helpers.set(assignmentId, assignment);
  }
  const officer = ctx.reference.officer.asOf(assigneeId, from);
  if (officer === undefined) ctx.quality("unknown-reference", { field: "assigneeId", id: assigneeId }, event.id);
  ctx.out.assignmentChanged(
    {
      ...told(step, assignment, isPrimary),
      assigneeType,
      assignedUntil: assignedUntil === undefined ? null : formatInstant(until!),
      officerName: officer?.data.name ?? null,
      inputEventIds: [event.id],
    },
    { time: from },
  );
  if (until !== undefined) ctx.timers.interval.at(armAt(step, until - 1), undefined, timerOf(assignment, isPrimary));
  return true;
}

export function unassign(step: Step, event: Received<"CaseUnassigned">): boolean {
  const { assignmentId } = event.data;
  const { open, isPrimary } = openAssignment(step, assignmentId);
  const isOpen = open !== undefined && open.from <= event.effective;
  const isEnded = isOpen && close(step, open, isPrimary, { at: event.effective, reason: "unassigned", eventId: event.id }) === "ended";
  if (isOpen && !isEnded) return true;
  return refuse(step, event, "assignment-unknown", `no assignment ${assignmentId} was open at ${formatInstant(event.effective)}`);
}

/** A fixed term is over. Gives the event that began it. */
export function intervalFired(step: Step, timerId: string): string | undefined {
  const isPrimary = timerId === PRIMARY;
  const open = isPrimary ? activeAssignment(step) : step.ctx.state.helpers.get(timerId.slice(HELPER.length));
  if (open?.until !== undefined) close(step, open, isPrimary, { at: open.until, reason: "ended", eventId: open.eventId });
  return open?.eventId;
}

/** What a closing does: ends what is open at its effective time. */
export function endAssignments(step: Step, event: Received): void {
  const ending = { at: event.effective, reason: "case-closed", eventId: event.id } as const;
  const main = activeAssignment(step);
  if (main !== undefined) close(step, main, true, ending);
  for (const helper of step.ctx.state.helpers.values()) close(step, helper, false, ending);
}

/** From `at` on nobody has the case, unless somebody does. */
export function openUnassigned(step: Step, at: number, eventId: string): void {
  if (activeAssignment(step) === undefined) beginUnassigned(step, at, eventId);
}

/** Who has the case now: by the last primary assignment that is not closed. */
export function activeAssignment({ ctx }: Step): AssignmentState | undefined {
  const main = ctx.state.primary.get();
  return main === undefined || main.closed ? undefined : main;
}

/** Whether a primary assignment may begin: what holds by then is closed. */
function makeRoom(step: Step, event: Received<"CaseAssigned">): boolean {
  const main = step.ctx.state.primary.get();
  const from = event.effective;
  if (main === undefined) return true;
  const endsAt = main.closed ? main.until! : main.from;
  if (from < endsAt) {
    const what = main.closed ? `had the case until ${formatInstant(endsAt)}` : `has it from ${formatInstant(endsAt)}`;
    return refuse(step, event, "overlapping-primary", `${main.assigneeId} ${what}`);
  }
  if (!main.closed) close(step, main, true, { at: from, reason: "superseded", eventId: event.id });
  return true;
}

function openAssignment(step: Step, id: string): { readonly open: AssignmentState | undefined; readonly isPrimary: boolean } {
  const main = activeAssignment(step);
  const isPrimary = main?.assignmentId === id;
  return { open: isPrimary ? main : step.ctx.state.helpers.get(id), isPrimary };
}

/** Closes an interval as said, or where its own end is not behind that there: it has ended by itself, whether or not the watermark has got there. */
function close(
  step: Step,
  open: AssignmentState,
  isPrimary: boolean,
  ending: { readonly at: number; readonly reason: Reason; readonly eventId: string },
): Reason {
  const { ctx } = step;
  const isOver = open.until !== undefined && open.until <= ending.at;
  const { at, reason, eventId } = isOver ? { at: open.until, reason: "ended" as const, eventId: open.eventId } : ending;
  const until = Math.max(at, open.from);
  ctx.timers.interval.cancel(timerOf(open, isPrimary));
  const inputEventIds = [...new Set([open.eventId, eventId])];
  ctx.out.intervalClosed({ ...told(step, open, isPrimary), assignedUntil: formatInstant(until), reason, inputEventIds }, { time: until });
  if (!isPrimary) {
    ctx.state.helpers.delete(open.assignmentId);
    return reason;
  }
  ctx.state.primary.set({ ...open, until, closed: true });
  if (reason === "ended" || reason === "unassigned") beginUnassigned(step, until, eventId);
  return reason;
}

function told({ ctx }: Step, { assignmentId, assigneeId, teamId, from }: AssignmentState, primary: boolean) {
  return { caseId: ctx.key, assignmentId, assigneeId, teamId, primary, assignedFrom: formatInstant(from) };
}

/** Nobody has the case from `at` on, as far as it was there. */
function beginUnassigned(step: Step, at: number, eventId: string): void {
  begin(step, { code: "unassigned", at: Math.max(at, step.ctx.state.file.get()!.openedAt), eventId });
}

function timerOf({ assignmentId }: AssignmentState, isPrimary: boolean): string {
  return isPrimary ? PRIMARY : `${HELPER}${assignmentId}`;
}
