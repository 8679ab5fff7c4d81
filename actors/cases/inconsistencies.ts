/** Inconsistencies: what an event says that the case it is about cannot have done. */
import { formatInstant } from "../model/time.ts";
import { alertFor, raise } from "./alerts.ts";
import type { Step } from "./case.ts";
import type { Received } from "./events.ts";

export type InconsistencyCode =
  | "already-open"
  | "not-open"
  | "from-mismatch"
  | "transition-not-allowed"
  | "sla-already-started"
  | "sla-unknown"
  | "already-paused"
  | "not-paused"
  | "already-completed"
  | "overlapping-primary"
  | "assignment-unknown"
  | "sequence-gap"
  | "sequence-conflict"
  | "case-unknown";

/** Tells of it. `applied`: whether the event counts all the same. */
export function inconsistent(step: Step, event: Received, code: InconsistencyCode, detail: string, applied = false): void {
  const { ctx } = step;
  const at = event.effective;
  const category =
    ctx.state.file.get()?.category ?? (event.type === "CaseOpened" ? (event as Received<"CaseOpened">).data.category : undefined);
  const policyVersion = category === undefined ? 0 : (ctx.reference.lifecycle.asOf(category, at)?.version ?? 0);
  const told = { caseId: ctx.key, code, applied, eventId: event.id, eventType: event.type, detail, policyVersion };
  const id = ctx.out.inconsistency({ ...told, inputEventIds: [event.id], effectiveTime: formatInstant(at) }, { time: at });
  const alert = alertFor(step, { type: "inconsistent-state", reasonCode: code, policyVersion, inputEventIds: [event.id], at });
  raise(step, alert, [id]);
}

/** Tells of it, and says that the event was not applied. */
export function refuse(step: Step, event: Received, code: InconsistencyCode, detail: string): false {
  inconsistent(step, event, code, detail);
  return false;
}
