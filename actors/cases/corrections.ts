/** Corrections: an event says that another one was wrong. What rests on that is named; nothing is patched. */
import type { CaseContext, Step } from "./case.ts";
import type { Received } from "./events.ts";
import { known, remember } from "./turns.ts";

/** A correction may name the event from now on. */
export function noteEvent({ ctx }: Step, { id, type, effective }: Received): void {
  remember(ctx.state.known, ctx.state.knownBefore, keyOf(ctx, id), { type, effective });
}

export function knowsEvent(ctx: CaseContext, id: string): boolean {
  return typeOf(ctx, id) !== undefined;
}

export function correct({ ctx }: Step, event: Received<"EventCorrected">): boolean {
  const { correctedEventId, correction, reason } = event.data;
  const correctedEventType = typeOf(ctx, correctedEventId);
  if (correctedEventType === undefined) {
    ctx.quality("correction-target-unknown", { correctedEventId }, event.id);
    return false;
  }
  const alertIds: string[] = [];
  const affectedOutputIds: string[] = [];
  for (const [alertId, alert] of [...ctx.state.alertsBefore.entries(), ...ctx.state.alerts.entries()]) {
    if (!alert.inputEventIds.includes(correctedEventId)) continue;
    alertIds.push(alertId);
    affectedOutputIds.push(...alert.outputIds);
  }
  const impact = { caseId: ctx.key, eventId: event.id, correctedEventId, correctedEventType, correction, reason };
  const inputEventIds = [correctedEventId, event.id];
  ctx.out.correctionImpact({ ...impact, affectedOutputIds, alertIds, restatementRequired: true, inputEventIds }, { time: event.effective });
  ctx.audit("case.correction", { eventId: event.id, correctedEventId, correctedEventType, reason, alertIds });
  return true;
}

/** Of an event that was applied or is held. */
function typeOf(ctx: CaseContext, id: string): string | undefined {
  const { known: newer, knownBefore: older, held } = ctx.state;
  const applied = known(newer, older, keyOf(ctx, id));
  if (applied !== undefined || held.size === 0) return applied?.type;
  return [...held.values()].find((event) => event.id === id)?.type;
}

function keyOf(ctx: CaseContext, id: string): string {
  return ctx.sha256(id).slice(0, 32);
}
