/** What calls may cost: a number of units in each window of processing time, as a key, a model or a tenant has it. */
import { DAY_MS, durationMs } from "./time.ts";

/** What the calls of one key may cost in each window of processing time. */
export interface Budget {
  /** Whole number from 1, as the model counts: tokens, or calls. */
  readonly units: number;
  /** Windows begin at whole multiples of it since 1970: days at midnight in UTC. */
  readonly perMs: number;
  /** The most that one call may cost. */
  readonly reserve: number;
}

/** So that sums of what calls reserve stay exact. */
export const BUDGET_UNITS_MAX = 2 ** 40;
const PER_MIN_MS = 1_000;
const PER_MAX_MS = 31 * DAY_MS;

/** `target` says whose it is. Throws TypeError for a budget that makes no sense. */
export function budgetOf(
  { units, per, reserve }: { readonly units: number; readonly per: string | number; readonly reserve: number },
  target: string,
): Budget {
  const perMs = perMsOf(per, `${target}: budget.per`);
  if (!Number.isSafeInteger(reserve) || reserve < 1) throw new TypeError(`${target}: budget.reserve is a whole number from 1.`);
  if (!Number.isSafeInteger(units) || units < reserve || units > BUDGET_UNITS_MAX)
    throw new TypeError(`${target}: budget.units is a whole number from budget.reserve to 2^40.`);
  return { units, perMs, reserve };
}

/** Length of a window. Throws TypeError for one that is none. */
export function perMsOf(per: string | number, what: string): number {
  const perMs = durationMs(per, what);
  if (perMs < PER_MIN_MS || perMs > PER_MAX_MS) throw new TypeError(`${what} is 1 s to 31 d.`);
  return perMs;
}

/** Beginning of the window that a time is in. */
export function windowOf(time: number, perMs: number): number {
  return Math.floor(time / perMs) * perMs;
}
