/** Corrections: an event says that another one was wrong. What rests on that is named; nothing is patched. */
import type { CaseContext, Step } from "./case.ts";
import type { Received } from "./events.ts";

/** Events known of a case before the older half of them goes. */
const KNOWN_MAX = 50_000;

/** A correction may name the event from now on. */
export function noteEvent({ ctx }: Step, { id, type, effective }: Received): void {
  const { known, knownBefore } = ctx.state;
  if (known.size >= KNOWN_MAX) {
    knownBefore.clear();
    for (const [key, event] of known.entries()) knownBefore.set(key, event);
    known.clear();
  }
  known.set(keyOf(ctx, id), { type, effective });
}

export function knowsEvent(ctx: CaseContext, id: string): boolean {
  const key = keyOf(ctx, id);
  if (ctx.state.known.has(key) || ctx.state.knownBefore.has(key)) return true;
  return ctx.state.held.size > 0 && [...ctx.state.held.values()].some((held) => held.id === id);
}

export function correct({ ctx }: Step, event: Received<"EventCorrected">): boolean {
  const { correctedEventId, correction, reason } = event.data;
  const key = keyOf(ctx, correctedEventId);
  const target = ctx.state.known.get(key) ?? ctx.state.knownBefore.get(key);
  if (target === undefined) {
    ctx.quality("correction-target-unknown", { correctedEventId });
    return false;
  }
  const alertIds: string[] = [];
  const affectedOutputIds: string[] = [];
  for (const [alertId, alert] of ctx.state.alerts.entries()) {
    if (!alert.inputEventIds.includes(correctedEventId)) continue;
    alertIds.push(alertId);
    affectedOutputIds.push(...alert.outputIds);
  }
  const impact = { caseId: ctx.key, eventId: event.id, correctedEventId, correctedEventType: target.type, correction, reason };
  const inputEventIds = [correctedEventId, event.id];
  ctx.out.correctionImpact({ ...impact, affectedOutputIds, alertIds, restatementRequired: true, inputEventIds }, { time: event.effective });
  ctx.audit("case.correction", { eventId: event.id, correctedEventId, correctedEventType: target.type, reason, alertIds });
  return true;
}

function keyOf(ctx: CaseContext, id: string): string {
  return ctx.sha256(id).slice(0, 32);
}
