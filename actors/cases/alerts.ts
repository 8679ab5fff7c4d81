/**
 * Alerts: facts that somebody must look at. One is emitted once for its idempotency key (section 12 of the source) and
 * never taken back; what would have changed it asks for a correction.
 */
import { KEY_TOKEN_MAX_BYTES, writeKey } from "../model/key.ts";
import { formatInstant } from "../model/time.ts";
import { type AlertRecord, type CaseContext, type Step, withId } from "./case.ts";
import { known, remember } from "./turns.ts";

const SEVERITY = {
  "sla-breached": "high",
  "sla-near-breach": "medium",
  "dormant-case": "low",
  "inconsistent-state": "medium",
  "escalation-candidate": "high",
} as const;

/** The most severe first: what a correction of several is called by. */
const ORDER = ["breached", "near-breach", "candidate", "dormant"];

export interface AlertFacts {
  readonly type: AlertRecord["type"];
  readonly reasonCode: string;
  readonly policyVersion: number;
  readonly inputEventIds: readonly string[];
  /** When it holds from, and so when it was detected in event time. */
  readonly at: number;
}

export interface Alert extends AlertFacts {
  readonly alertId: string;
  readonly idempotencyKey: string;
  /** It was not raised before. */
  readonly isNew: boolean;
}

/** Names an alert that is to be raised. One that was raised before is suppressed, counted, and may be corrected anew. */
export function alertFor({ ctx }: Step, facts: AlertFacts): Alert {
  const parts = [ctx.key, facts.type, facts.reasonCode, String(facts.policyVersion), formatInstant(facts.at)];
  const idempotencyKey = parts.map(written).join("|");
  const alertId = ctx.sha256(idempotencyKey).slice(0, 32);
  const raised = raisedAlert(ctx, alertId);
  const isNew = raised === undefined && !ctx.state.strays.has(alertId);
  if (!isNew) ctx.count("alerts.suppressed");
  if (raised !== undefined && raised.corrections.length > 0) keep(ctx, alertId, { ...raised, corrections: [] });
  return { ...facts, alertId, idempotencyKey, isNew };
}

/** Emits it, once. `outputIds`: of the outputs that tell the same fact at length. */
export function raise({ ctx }: Step, alert: Alert, outputIds: readonly string[]): void {
  if (!alert.isNew) {
    const raised = raisedAlert(ctx, alert.alertId);
    if (raised !== undefined) keep(ctx, alert.alertId, { ...raised, outputIds: outputIds.reduce(withId, raised.outputIds) });
    return;
  }
  const { alertId, idempotencyKey, type, reasonCode, policyVersion, at } = alert;
  const inputEventIds = [...alert.inputEventIds];
  const effectiveTime = formatInstant(at);
  const facts = { alertId, caseId: ctx.key, alertType: type, severity: SEVERITY[type], reasonCode, policyVersion, inputEventIds };
  const id = ctx.out.alert({ ...facts, effectiveTime, detectedAt: effectiveTime }, { time: at, idempotencyKey });
  ctx.count("alerts.emitted");
  // Of a case that is not there nothing is kept but the alert's id, for a while.
  if (ctx.state.file.get() === undefined) ctx.state.strays.add(alertId);
  else keep(ctx, alertId, { type, outputIds: [...outputIds, id], inputEventIds, corrections: [] });
}

/** One that was raised about this case, as long as it is known. */
export function raisedAlert({ state }: CaseContext, alertId: string): AlertRecord | undefined {
  return known(state.alerts, state.alertsBefore, alertId);
}

function keep({ state }: CaseContext, alertId: string, alert: AlertRecord): void {
  remember(state.alerts, state.alertsBefore, alertId, alert);
}

/** What the event in hand would have changed: one output names all, each alert once for a reason. */
export function requireCorrections({ ctx, affected }: Step, eventId: string, time: number): void {
  const open = affected.filter(({ alertId, reason }) => raisedAlert(ctx, alertId)?.corrections.includes(reason) === false);
  if (open.length === 0) return;
  const outputIds: string[] = [];
  const inputEventIds = new Set([eventId]);
  for (const { alertId, reason } of open) {
    const alert = raisedAlert(ctx, alertId)!;
    outputIds.push(...alert.outputIds);
    for (const id of alert.inputEventIds) inputEventIds.add(id);
    keep(ctx, alertId, { ...alert, corrections: [...alert.corrections, reason] });
  }
  const [{ reason, was, wouldBe }] = open.sort((a, b) => ORDER.indexOf(a.was) - ORDER.indexOf(b.was)) as [(typeof open)[number]];
  const alertIds = [...new Set(open.map(({ alertId }) => alertId))];
  const what = { caseId: ctx.key, eventId, affectedOutputIds: outputIds, alertIds, reason, was, wouldBe };
  ctx.out.correctionRequired({ ...what, inputEventIds: [...inputEventIds] }, { time });
}

/** As keys are written; every part is shorter than the longest key. */
export function written(part: string): string {
  const token = writeKey(part);
  if (token === undefined) throw new RangeError(`"${part}" is longer than ${KEY_TOKEN_MAX_BYTES} bytes as written`);
  return token;
}
