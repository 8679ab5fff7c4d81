/** What a call into another thread came to, as a plain record: an error's class and code do not cross threads. */
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";

/** With `error` it failed; else `value` is what came of it. */
export interface Outcome<T> {
  readonly value?: T;
  readonly error?: ErrorRecord;
}

/** Errors without a code stay what they are: faults of ours. */
export async function outcomeOf<T>(run: () => Promise<T>): Promise<Outcome<T>> {
  try {
    return { value: await run() };
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return { error: error.toRecord() };
  }
}

/** The value, or throws what the other thread threw. */
export function outcomeValue<T>({ value, error }: Outcome<T>): T {
  if (error !== undefined) throw new TidemarkError(error.code, error.detail);
  return value as T;
}
