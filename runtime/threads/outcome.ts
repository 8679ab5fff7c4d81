/** What a call into another thread came to, as a plain record: an error's class and code do not cross threads. */
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";
import { stateDamage } from "../store/state-damage.ts";

/** With `error` it failed; else `value` is what came of it. */
export interface Outcome<T> {
  readonly value?: T;
  readonly error?: ErrorRecord;
}

/** Errors without a code stay what they are: faults of ours. A damaged row is STATE_DAMAGED. */
export async function outcomeOf<T>(run: () => Promise<T> | T): Promise<Outcome<T>> {
  try {
    return { value: await run() };
  } catch (thrown) {
    const error = stateDamage(thrown) ?? thrown;
    if (!isTidemarkError(error)) throw error;
    return { error: error.toRecord() };
  }
}

/** The value, or throws what the other thread threw. */
export function outcomeValue<T>({ value, error }: Outcome<T>): T {
  if (error !== undefined) throw new TidemarkError(error.code, error.detail);
  return value as T;
}

/** What a thread exposes where each of its answers may be an error with a code. */
export type Outcomes<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Outcome<Awaited<R>>> : never;
};

export function outcomesOf<T extends Readonly<Record<keyof T, (...args: never[]) => unknown>>>(api: T): Outcomes<T> {
  const names = Object.keys(api) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, (...args: never[]) => outcomeOf(() => api[name](...args))])) as Outcomes<T>;
}
