/** The lifecycle: opening, changes of status, closing, reopening. What the category's lifecycle does not allow is told of. */
import { formatInstant } from "../model/time.ts";
import { endAssignments, openUnassigned } from "./assignments.ts";
import { armAt, type CaseFile, present, type Step } from "./case.ts";
import { completeAll } from "./clocks.ts";
import { addDuration } from "./deadline.ts";
import { endDormancies } from "./dormancy.ts";
import type { Received } from "./events.ts";
import { begin, end } from "./factors.ts";
import { inconsistent } from "./inconsistencies.ts";

const OPEN = "open";
const CLOSED = "closed";
const CLOSINGS_MAX = 20;

export function openCase(step: Step, event: Received<"CaseOpened">): boolean {
  const { ctx } = step;
  const { category, priority, riskCategory, jurisdiction } = event.data;
  const lifecycle = ctx.reference.lifecycle.asOf(category, event.effective);
  if (lifecycle === undefined) ctx.quality("unknown-category", { category }, event.id);
  checkReferences(step, event);
  const status = lifecycle?.data.initial ?? OPEN;
  const rulesVersion = ctx.reference.rules.asOf(category, event.effective)?.version ?? 0;
  ctx.state.file.set(
    present({
      category,
      priority,
      riskCategory,
      jurisdiction,
      status,
      openedBy: event.id,
      openedAt: event.effective,
      closedAt: undefined,
      closings: [],
      lastSequence: undefined,
      lifecycleVersion: lifecycle?.version ?? 0,
      rulesVersion,
    }),
  );
  auditTransition(step, event, null, status);
  beginOpenFactors(step, event);
  return true;
}

export function changeStatus(step: Step, event: Received<"CaseStatusChanged">, file: CaseFile): boolean {
  const { fromStatus, toStatus } = event.data;
  const transitions = step.ctx.reference.lifecycle.asOf(file.category, event.effective)?.data.transitions;
  const isAllowed = transitions === undefined || (Object.hasOwn(transitions, file.status) && transitions[file.status]!.includes(toStatus));
  const what = `the case is ${file.status}`;
  if (fromStatus !== file.status) {
    inconsistent(step, event, "from-mismatch", `${what}, not ${fromStatus}; to ${toStatus}`, isAllowed);
  } else if (!isAllowed) inconsistent(step, event, "transition-not-allowed", `${what}; to ${toStatus} is not allowed`);
  if (isAllowed) setStatus(step, event, file, toStatus);
  return isAllowed;
}

export function closeCase(step: Step, event: Received<"CaseClosed">, file: CaseFile): boolean {
  const at = event.effective;
  completeAll(step, event);
  endAssignments(step, event);
  endDormancies(step, at);
  end(step, undefined, undefined, at);
  const terminal = step.ctx.reference.lifecycle.asOf(file.category, at)?.data.terminal ?? [CLOSED];
  setStatus(step, event, file, terminal.includes(file.status) ? file.status : (terminal[0] ?? CLOSED));
  const { file: cell } = step.ctx.state;
  const closed = cell.get()!;
  cell.set({ ...closed, closedAt: at, closings: [...closed.closings, { at }].slice(-CLOSINGS_MAX) });
  const rules = step.ctx.reference.rules.asOf(file.category, at)?.data;
  if (rules === undefined) return true;
  const removeAt = addDuration(at, rules.retentionAfterClose, rules.timeZone ?? "UTC");
  step.ctx.timers.retention.at(armAt(step, removeAt), at);
  return true;
}

export function reopenCase(step: Step, event: Received<"CaseReopened">, file: CaseFile): boolean {
  const { closedAt: _closedAt, ...rest } = file;
  const closings = file.closings.map((closing) => (closing.until === undefined ? { ...closing, until: event.effective } : closing));
  const open = { ...rest, closings };
  step.ctx.state.file.set(open);
  step.ctx.timers.retention.cancel();
  setStatus(step, event, open, step.ctx.reference.lifecycle.asOf(file.category, event.effective)?.data.initial ?? OPEN);
  beginOpenFactors(step, event);
  return true;
}

/** The period behind the closing is over: nothing of the case stays, once nothing of it is held. */
export function removeCase(step: Step): void {
  const { ctx } = step;
  const { category, closedAt } = ctx.state.file.get()!;
  if (ctx.state.held.size > 0) {
    const last = Math.max(...[...ctx.state.held.values()].map(({ time }) => time));
    ctx.timers.retention.at(armAt(step, last + 1), closedAt!);
    return;
  }
  ctx.timers.dormancy.cancel();
  ctx.timers.weigh.cancel();
  for (const [name, cell] of Object.entries(ctx.state)) {
    // What was told of a case that is not there is not told again.
    if (name === "strays") continue;
    if ("clear" in cell) cell.clear();
    else cell.delete();
  }
  ctx.audit("case.retention", { caseId: ctx.key, category, closedAt: formatInstant(closedAt!), removedAt: formatInstant(ctx.now) });
}

function beginOpenFactors(step: Step, { id, effective: at }: Received): void {
  const { category, priority, riskCategory } = step.ctx.state.file.get()!;
  if (priority === "high" || priority === "critical") begin(step, { code: "high-priority", at, eventId: id });
  const highRisk = step.ctx.reference.rules.asOf(category, at)?.data.highRisk ?? [];
  if (riskCategory !== undefined && highRisk.includes(riskCategory)) begin(step, { code: "high-risk", at, eventId: id });
  openUnassigned(step, at, id);
}

function setStatus(step: Step, event: Received, file: CaseFile, status: string): void {
  step.ctx.state.file.set({ ...file, status });
  if (status !== file.status) auditTransition(step, event, file.status, status);
}

function auditTransition({ ctx }: Step, event: Received, from: string | null, to: string): void {
  const { category } = ctx.state.file.get()!;
  const lifecycleVersion = ctx.reference.lifecycle.asOf(category, event.effective)?.version ?? 0;
  ctx.audit("case.transition", { eventId: event.id, category, from, to, lifecycleVersion, effectiveTime: formatInstant(event.effective) });
}

/** Optional data that is missing, and references that lead nowhere, are findings. */
function checkReferences({ ctx }: Step, { id: eventId, data, effective }: Received<"CaseOpened">): void {
  for (const field of ["riskCategory", "jurisdiction"] as const) {
    const id = data[field];
    if (id === undefined) ctx.quality("missing-optional-data", { field }, eventId);
    else if (ctx.reference[field].asOf(id, effective) === undefined) ctx.quality("unknown-reference", { field, id }, eventId);
  }
}
