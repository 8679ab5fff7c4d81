/** Reference records in SQL, and which of them was in force. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { parseInstant } from "../../../actors/model/time.ts";
import type { Arrival } from "./input.ts";
import { afterWorkingDays, shift, type WorkingDays } from "./zone.ts";

export interface ReferenceRecord {
  readonly id: string;
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: unknown;
}

interface Version<Data> {
  readonly version: number;
  readonly data: Data;
}

export interface Lifecycle {
  readonly transitions: Readonly<Record<string, readonly string[]>>;
  readonly initial: string;
  readonly terminal: readonly string[];
}

export interface CaseRules {
  readonly dormantAfter: string;
  readonly evidenceDelays: number;
  readonly highRisk: readonly string[];
  readonly escalationThreshold: number;
  readonly weights: Readonly<Record<string, number>>;
  readonly retentionAfterClose: string;
  readonly timeZone?: string;
}

interface SlaPolicy {
  readonly duration: string;
  readonly timeZone: string;
  readonly calendar?: string;
  readonly calendarVersion?: number;
  readonly pauseExtends: boolean;
  readonly nearBreach?: string;
}

/** What the reference data make of a clock. */
export interface ClockTerms {
  readonly policyId: string;
  readonly policyVersion: number;
  readonly policy: SlaPolicy;
  readonly dueAt: number;
  /** That the due time was counted by. */
  readonly calendar: string | null;
  readonly calendarVersion: number | null;
}

export class Records {
  readonly #inForce: StatementSync;
  readonly #exact: StatementSync;
  /** By category and activity; long cases ask for the same again and again. */
  readonly #dormancies = new Map<string, Map<number, { at: number; policyVersion: number } | undefined>>();
  readonly #known = new Map<string, Version<unknown> | undefined>();

  constructor(db: DatabaseSync, reference: Readonly<Record<string, readonly ReferenceRecord[]>>) {
    db.exec('CREATE TABLE record ("table" TEXT, id TEXT, version INTEGER, effective_from INTEGER, data TEXT)');
    const insert = db.prepare("INSERT INTO record VALUES (?, ?, ?, ?, ?)");
    for (const [table, records] of Object.entries(reference)) {
      for (const { id, version, effectiveFrom, data } of records)
        insert.run(table, id, version, parseInstant(effectiveFrom)!, JSON.stringify(data));
    }
    this.#inForce = db.prepare(
      `SELECT version, data FROM record WHERE "table" = ? AND id = ? AND effective_from <= ?
       ORDER BY effective_from DESC, version DESC LIMIT 1`,
    );
    this.#exact = db.prepare('SELECT version, data FROM record WHERE "table" = ? AND id = ? AND version = ?');
  }

  lifecycle(category: string | undefined, at: number): Version<Lifecycle> | undefined {
    return category === undefined ? undefined : this.#look<Lifecycle>("lifecycle", category, at);
  }

  rules(category: string | undefined, at: number): Version<CaseRules> | undefined {
    return category === undefined ? undefined : this.#look<CaseRules>("rules", category, at);
  }

  /** Rule 20: the instant that ends the quiet behind an activity. */
  dormancyBehind(category: string | undefined, time: number): { at: number; policyVersion: number } | undefined {
    if (category === undefined) return undefined;
    const known = this.#dormancies.get(category) ?? new Map<number, { at: number; policyVersion: number } | undefined>();
    this.#dormancies.set(category, known);
    if (!known.has(time)) {
      const rules = this.rules(category, time);
      const at = rules === undefined ? 0 : shift(time, rules.data.dormantAfter, rules.data.timeZone ?? "UTC", 1);
      known.set(time, rules === undefined ? undefined : { at, policyVersion: rules.version });
    }
    return known.get(time);
  }

  officerName(id: string, at: number): string | null {
    return this.#look<{ name: string }>("officer", id, at)?.data.name ?? null;
  }

  /** Rules 4 and 9 on a `SlaClockStarted`; nothing for an unknown reference. */
  termsOf({ data, effective: start }: Arrival): ClockTerms | undefined {
    const { policyId } = data as { policyId: string };
    const policyVersion = data.policyVersion === undefined ? undefined : Number(data.policyVersion);
    const dueAt = typeof data.dueAt === "string" ? parseInstant(data.dueAt) : undefined;
    const found = this.#look<SlaPolicy>("sla-policy", policyId, start, policyVersion);
    if (found === undefined) return undefined;
    const { data: policy, version } = found;
    const terms = { policyId, policyVersion: version, policy, calendar: null, calendarVersion: null };
    if (dueAt !== undefined) return { ...terms, dueAt };
    if (policy.calendar === undefined) return { ...terms, dueAt: shift(start, policy.duration, policy.timeZone, 1) };
    const calendar = this.#look<WorkingDays>("calendar", policy.calendar, start, policy.calendarVersion);
    if (calendar === undefined) return undefined;
    const due = afterWorkingDays(start, policy.duration, calendar.data);
    return due === undefined ? undefined : { ...terms, dueAt: due, calendar: policy.calendar, calendarVersion: calendar.version };
  }

  #look<Data>(table: string, id: string, at: number, version?: number): Version<Data> | undefined {
    const name = JSON.stringify([table, id, version ?? null, version === undefined ? at : null]);
    if (!this.#known.has(name)) {
      const row = version === undefined ? this.#inForce.get(table, id, at) : this.#exact.get(table, id, version);
      const data: unknown = row === undefined ? null : JSON.parse(row.data as string);
      this.#known.set(name, data === null ? undefined : { version: row!.version as number, data });
    }
    return this.#known.get(name) as Version<Data> | undefined;
  }
}
