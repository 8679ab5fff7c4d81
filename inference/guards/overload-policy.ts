/** What becomes of a question that finds a model busy, or over its rate. */

export const OVERLOAD_POLICIES = ["queue", "degrade", "dead-letter"] as const;

/**
 * - `queue`: it waits, in a queue that has a bound; behind that the log waits.
 * - `degrade`: it goes to the fallback model at once.
 * - `dead-letter`: it fails at once, and its event is for those who handle failures.
 */
export type OverloadPolicy = (typeof OVERLOAD_POLICIES)[number];

export function waits(policy: OverloadPolicy): boolean {
  return policy === "queue";
}

export function degrades(policy: OverloadPolicy): boolean {
  return policy === "degrade";
}
