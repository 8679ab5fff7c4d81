/** What the job published, in the form in which expectations are written. */
import type { ReadOutput } from "../../support/entries.ts";

export interface Found {
  readonly caseId: string;
  readonly kind: string;
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
}

type Data = Readonly<Record<string, unknown>>;
type Names = (data: Data, output: ReadOutput) => readonly string[];

const QUALITIES = ["late-event", "unknown-category", "correction-target-unknown"];
const AUDITS = ["case.transition", "case.retention"];

/** Each type that is compared: its kind, and what names one of it. None: the rules do not say when it comes. */
const KINDS: Readonly<Record<string, readonly [kind: string, names: Names]>> = {
  "case.current-state": ["current-state", (data) => [text(data.lastEventId)]],
  "case.assignment-changed": ["assignment-changed", (data) => [text(data.assignmentId)]],
  "case.assignment-interval-closed": ["interval-closed", (data) => [text(data.assignmentId)]],
  "case.sla-started": ["sla-started", (data) => [text(data.slaId)]],
  "case.sla-near-breach": ["sla-near-breach", (data) => [text(data.slaId)]],
  "case.sla-breached": ["sla-breached", (data) => [text(data.slaId)]],
  "case.escalation-candidate": ["escalation-candidate", (data) => [text(data.detectedAt)]],
  "case.alert": ["alert", (data) => [text(data.alertId)]],
  "case.inconsistency": ["inconsistency", (data) => [`${text(data.eventId)}|${text(data.code)}`]],
  "case.correction-required": ["correction-required", (data) => texts(data.alertIds).map((alertId) => `${text(data.eventId)}|${alertId}`)],
  "case.correction-impact": ["correction-impact", (data) => [text(data.eventId)]],
  "tidemark.quality": ["quality", ({ rule }) => QUALITIES.filter((known) => known === rule)],
  "tidemark.audit": ["audit", ({ what }) => AUDITS.filter((known) => known === what)],
  "tidemark.quarantine": ["quarantine", (data) => [text(data.position)]],
  "tidemark.duplicate-conflict": ["duplicate-conflict", (data, { position }) => [`${text(data.eventId)} at ${position}`]],
  "tidemark.late": ["late", (data) => [text(data.eventId)]],
  "tidemark.dead-letter": ["dead-letter", (data) => [`${text(data.eventId)} in ${text(data.handler)}`]],
};

export function foundIn(output: ReadOutput): Found[] {
  const kind = KINDS[output.type];
  if (kind === undefined) return [];
  const isPlaced = kind[0] === "quarantine" || kind[0] === "duplicate-conflict";
  const caseId = isPlaced ? "" : (output.subject ?? "");
  const value = { ...output.data, idempotencyKey: output.idempotencykey, aboutCase: output.data.caseId ?? caseId };
  return kind[1](output.data, output).map((name) => ({ caseId, kind: kind[0], name, value }));
}

function text(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(text) : [];
}
