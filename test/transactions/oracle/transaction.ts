/** Rule 1: what a transaction must look like. */
import type { Envelope } from "./log.ts";

export interface Transaction {
  readonly id: string;
  readonly time: number;
  readonly customerId: string;
  readonly amount: number;
  readonly currency: string;
  readonly merchantId: string;
  readonly merchantCategory: string;
  readonly country?: string;
  readonly lat?: number;
  readonly lon?: number;
  readonly channel?: string;
}

type Check = (value: unknown) => boolean;

const text =
  (most: number): Check =>
  (value) =>
    typeof value === "string" && value.length >= 1 && value.length <= most;
const number =
  (most: number): Check =>
  (value) =>
    typeof value === "number" && Number.isFinite(value) && Math.abs(value) <= most;

const NEEDED: Readonly<Record<string, Check>> = {
  customerId: text(256),
  amount: number(1_000_000_000_000),
  currency: (value) => typeof value === "string" && /^[A-Z][A-Z][A-Z]$/.test(value),
  merchantId: text(256),
  merchantCategory: text(128),
};
const OPTIONAL: Readonly<Record<string, Check>> = { country: text(64), lat: number(90), lon: number(180), channel: text(64) };

/** `undefined`: refused. */
export function transactionOf({ id, time, data }: Envelope): Transaction | undefined {
  if (typeof data !== "object" || data === null || Array.isArray(data)) return undefined;
  const given = data as Readonly<Record<string, unknown>>;
  const kept: Record<string, unknown> = {};
  for (const [field, check] of Object.entries({ ...NEEDED, ...OPTIONAL })) {
    const value = given[field];
    if (value === undefined ? field in NEEDED : !check(value)) return undefined;
    if (value !== undefined) kept[field] = value;
  }
  if ((kept.lat === undefined) !== (kept.lon === undefined)) return undefined;
  return { id, time, ...(kept as Omit<Transaction, "id" | "time">) };
}
