/**
 * What a case deals with beside its status: evidence, investigations, escalations, decisions, appeals. Each is kept with
 * its last status; what they bring about lies in factors and clocks.
 */
import { present, type Step } from "./case.ts";
import { noteDecision } from "./clocks.ts";
import { instantOf, type Received } from "./events.ts";
import { begin, end } from "./factors.ts";

const MATTERS_MAX = 1_000;
const DELAYS_MAX = 100;

/** By event: which matter it is about, and what becomes of it. */
const BECOMES = {
  EvidenceRequested: ["evidence", "requested"],
  EvidenceReceived: ["evidence", "received"],
  EvidenceDelayed: ["evidence", "delayed"],
  InvestigationStarted: ["investigation", "started"],
  InvestigationCompleted: ["investigation", "completed"],
  EscalationRequested: ["escalation", "requested"],
  CaseEscalated: ["escalation", "escalated"],
  EscalationRejected: ["escalation", "rejected"],
  DecisionProposed: ["decision", "proposed"],
  DecisionApproved: ["decision", "approved"],
  AppealFiled: ["appeal", "filed"],
  AppealDecided: ["appeal", "decided"],
} as const;

type MatterEvent = keyof typeof BECOMES;

export function noteMatter(step: Step, event: Received): boolean {
  const { ctx } = step;
  const [kind, status] = BECOMES[event.type as MatterEvent];
  const data = event.data as Readonly<Record<string, string | undefined>>;
  const id = data[`${kind}Id`] ?? "";
  const key = `${kind}:${id}`;
  const known = ctx.state.matters.get(key);
  if (known === undefined && kind === "evidence" && status !== "requested") ctx.quality("unknown-reference", { field: "evidenceId", id });
  const dueAt = instantOf(data.newDueAt ?? data.dueAt) ?? known?.dueAt;
  if (known !== undefined || ctx.state.matters.size < MATTERS_MAX)
    ctx.state.matters.set(key, present({ status, since: event.effective, dueAt, eventId: event.id }));
  bringAbout(step, event);
  return true;
}

function noteDelay(step: Step, { id, effective }: Received): void {
  const { delays, file } = step.ctx.state;
  const { category, closedAt } = file.get()!;
  delays.set([...delays.get(), effective].sort((a, b) => a - b).slice(0, DELAYS_MAX));
  const needed = step.ctx.reference.rules.asOf(category, effective)?.data.evidenceDelays;
  const at = needed === undefined || closedAt !== undefined ? undefined : delays.get()[needed - 1];
  if (at !== undefined) begin(step, { code: "evidence-delay", at, eventIds: [id] });
}

function bringAbout(step: Step, event: Received): void {
  const { id, type, effective: at } = event;
  const eventIds = [id];
  if (type === "EvidenceDelayed") noteDelay(step, event);
  else if (type === "CaseEscalated") {
    begin(step, { code: "escalated", at, eventIds });
    end(step, "rejected-escalation", undefined, at);
  } else if (type === "EscalationRejected") {
    end(step, "escalated", undefined, at);
    if (step.ctx.state.file.get()?.closedAt === undefined) begin(step, { code: "rejected-escalation", at, eventIds });
  } else if (type === "DecisionApproved") noteDecision(step, event);
}
