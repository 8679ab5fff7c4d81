/** What the rules lead one to expect, written down as rows: a kind, what names the thing, and what it should say. */
import { createHash } from "node:crypto";
import { formatInstant } from "../../../actors/model/time.ts";

/** A value that may be any of these, or lie between two instants. */
export interface AnyOf {
  readonly $anyOf: readonly unknown[];
}
export interface Between {
  readonly $between: readonly [from: string, until: string];
}

export interface Expectation {
  readonly caseId: string;
  readonly rule: number;
  readonly kind: string;
  readonly name: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** The rules leave open whether it comes. */
  readonly isOptional?: boolean;
}

export interface Alert {
  readonly caseId: string;
  readonly alertType: keyof typeof SEVERITIES;
  readonly reasonCode: string;
  readonly policyVersion: number;
  readonly at: number;
}

const SEVERITIES = {
  "sla-breached": "high",
  "sla-near-breach": "medium",
  "dormant-case": "low",
  "inconsistent-state": "medium",
  "escalation-candidate": "high",
} as const;

const RULE_OF: Readonly<Record<string, number>> = { "dormant-case": 20, "escalation-candidate": 21 };

export class Ledger {
  readonly expectations: Expectation[] = [];
  readonly #emitted = new Set<string>();

  expect(expectation: Expectation): void {
    this.expectations.push(expectation);
  }

  /** Rules 18 and 19; answers with the alert's id. */
  alert(alert: Alert, isOptional = false): string {
    const key = alertKey(alert);
    const alertId = alertIdOf(key);
    if (this.#emitted.has(alertId)) return alertId;
    this.#emitted.add(alertId);
    const { caseId, alertType, reasonCode, policyVersion, at } = alert;
    const value = {
      alertType,
      severity: SEVERITIES[alertType],
      reasonCode,
      policyVersion,
      effectiveTime: instant(at),
      detectedAt: instant(at),
      idempotencyKey: key,
    };
    this.expect({ caseId, rule: RULE_OF[alertType] ?? 18, kind: "alert", name: alertId, value, isOptional });
    return alertId;
  }
}

/** Written as everywhere in outputs. */
export function instant(at: number): string {
  return formatInstant(at);
}

export function alertKey({ caseId, alertType, reasonCode, policyVersion, at }: Alert): string {
  return [caseId, alertType, reasonCode, String(policyVersion), formatInstant(at)].map(writeToken).join("|");
}

export function alertIdOf(key: string): string {
  return hash32(key);
}

export function hash32(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

export function writeToken(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => (/[A-Za-z0-9\-_:@+=,~]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${hex(byte)}`))
    .join("");
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, "0");
}
