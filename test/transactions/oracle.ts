/**
 * What the `transactions` job must publish for a log, from the rules in its README alone. It shares no code with the job
 * and recomputes everything from all that was applied.
 */
import { Customer, type Tables } from "./oracle/customer.ts";
import { canonical, type Expected, type LogRow, readLog } from "./oracle/log.ts";

export interface Published {
  readonly subject?: string;
  readonly type: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Of one partition. All reference data stood in the log before the first event. */
export function expectedOf(rows: readonly LogRow[], tables: Tables): Expected[] {
  const { moments, side } = readLog(rows);
  const expected = [...side];
  const customers = new Map<string, Customer>();
  for (const moment of moments) {
    if (moment.kind === "rise") {
      for (const customer of customers.values()) customer.rise(moment.from, moment.to);
      continue;
    }
    const { transaction, watermark } = moment;
    let customer = customers.get(transaction.customerId);
    if (customer === undefined) {
      customer = new Customer(transaction.customerId, tables, expected);
      customers.set(transaction.customerId, customer);
    }
    customer.apply(transaction, watermark);
  }
  return expected;
}

/** What only one side has, or has more often. Empty where the job keeps the rules. */
export function findings(expected: readonly Expected[], published: readonly Published[]): string[] {
  const left = new Map<string, number>();
  for (const one of expected) count(left, textOf(one), 1);
  for (const { subject, type, time, data } of published) {
    const known = type.startsWith("tidemark.") ? sideOf(type, data) : data;
    const timed = ["tidemark.quarantine", "tidemark.duplicate-conflict"].includes(type) ? undefined : Date.parse(time);
    // Of a line that cannot be read the key is known or not, as the platform has it.
    const key = type === "tidemark.quarantine" ? undefined : subject;
    count(left, textOf({ key, type, time: timed, data: known }), -1);
  }
  return [...left].filter(([, times]) => times !== 0).map(([text, times]) => `${times > 0 ? "missing" : "unexpected"}: ${text}`);
}

/** Why the platform refused something is its own; that it did, and what the rules say of it, is compared. */
function sideOf(type: string, data: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (type === "tidemark.quarantine") return { code: data.code };
  if (type === "tidemark.duplicate-conflict") return { eventId: data.eventId };
  if (type === "tidemark.late") return { eventId: data.eventId, reason: data.reason };
  return data;
}

function textOf({ key, type, time, data }: Expected): string {
  const told = { ...data };
  for (const [name, digits] of DOUBLES) if (name in told) told[name] = rounded(told[name], digits);
  return `${key ?? "%"} ${type} ${time === undefined ? "" : new Date(time).toISOString()} ${canonical(told)}`;
}

/** Doubles of two ways to the same distance, or to the same part of a sum, may differ in their last digits. */
const DOUBLES = [
  ["distanceKm", 9],
  ["speedKmh", 9],
  ["avg", 14],
  ["utilisation", 14],
] as const;

function rounded(value: unknown, digits: number): unknown {
  return typeof value === "number" ? value.toPrecision(digits) : value;
}

function count(all: Map<string, number>, text: string, times: number): void {
  all.set(text, (all.get(text) ?? 0) + times);
}
