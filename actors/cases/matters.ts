/**
 * What a case deals with beside its status: evidence, investigations, escalations, decisions, appeals. Each is kept with
 * its last status; what they bring about lies in factors and clocks.
 */
import { present, type Step } from "./case.ts";
import { noteDecision } from "./clocks.ts";
import { instantOf, type Received } from "./events.ts";
import { begin, openPeriod, replace } from "./factors.ts";

const MATTERS_MAX = 1_000;
const DELAYS_MAX = 100;
const RULINGS_MAX = 100;

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
  if (known === undefined && kind === "evidence" && status !== "requested")
    ctx.quality("unknown-reference", { field: "evidenceId", id }, event.id);
  const dueAt = instantOf(data.newDueAt ?? data.dueAt) ?? known?.dueAt;
  if (known !== undefined || ctx.state.matters.size < MATTERS_MAX)
    ctx.state.matters.set(key, present({ status, since: event.effective, dueAt, eventId: event.id }));
  bringAbout(step, event);
  return true;
}

function noteDelay(step: Step, { id, effective }: Received): void {
  const { delays, file } = step.ctx.state;
  const period = openPeriod(step, effective);
  delays.set([...delays.get(), effective].sort((a, b) => a - b).slice(-DELAYS_MAX));
  const needed = step.ctx.reference.rules.asOf(file.get()!.category, effective)?.data.evidenceDelays;
  if (period === undefined || needed === undefined) return;
  const { from, until = Number.POSITIVE_INFINITY } = period;
  const at = delays.get().filter((delay) => from <= delay && delay < until)[needed - 1];
  if (at !== undefined) begin(step, { code: "evidence-delay", at, eventId: id });
}

/** From an escalation to the rejection behind it the case is escalated, and the other way round. */
function noteRuling(step: Step, { id, type, effective }: Received): void {
  const { rulings } = step.ctx.state;
  const ruling = { at: effective, isEscalated: type === "CaseEscalated", eventId: id };
  const behind = rulings.get().findIndex(({ at }) => at > effective);
  const kept = behind === -1 ? [...rulings.get(), ruling] : rulings.get().toSpliced(behind, 0, ruling);
  rulings.set(kept.slice(-RULINGS_MAX));
  for (const isEscalated of [true, false]) {
    const intervals = rulings.get().flatMap((one, i, all) => {
      if (one.isEscalated !== isEscalated) return [];
      const next = all.slice(i + 1).find((other) => other.isEscalated !== isEscalated);
      return [{ from: one.at, until: next?.at ?? Number.POSITIVE_INFINITY, eventId: one.eventId }];
    });
    replace(step, isEscalated ? "escalated" : "rejected-escalation", intervals);
  }
}

function bringAbout(step: Step, event: Received): void {
  const { type } = event;
  if (type === "EvidenceDelayed") noteDelay(step, event);
  else if (type === "CaseEscalated" || type === "EscalationRejected") noteRuling(step, event);
  else if (type === "DecisionApproved") noteDecision(step, event);
}
