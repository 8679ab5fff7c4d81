/**
 * The most frequent values. Exact while a window holds at most `max` different ones; beyond, a counter of the least
 * frequent one is taken over, and counts are too high by at most `error`.
 *
 * Source: Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams" (Space-Saving), 2005;
 * merging: Agarwal et al., "Mergeable Summaries", 2012.
 */
import { Type } from "typebox";
import type { Aggregate, Select } from "./aggregate.ts";
import { countable } from "./elements.ts";

export interface Counted<V> {
  readonly value: V;
  readonly count: number;
  /** How much of the count may be that of values that were let go. */
  readonly error: number;
}

const CountedSchema = Type.Object({ value: Type.Union([Type.String(), Type.Number()]), count: Type.Integer(), error: Type.Integer() });

/** The `k` most frequent values, most frequent first; equally frequent ones by value. Values are texts or numbers. */
export function topK<T, V extends string | number>(
  k: number,
  select: Select<T, V | undefined | null>,
  { max = 100 }: { readonly max?: number } = {},
): Aggregate<T, readonly Counted<V>[], readonly Counted<V>[]> {
  if (!Number.isSafeInteger(k) || k < 1) throw new TypeError("topK: k is a whole number from 1.");
  if (!Number.isSafeInteger(max) || max < k || max > 2_000) throw new TypeError("topK: max is a whole number from k to 2,000.");
  return {
    kind: "topK",
    config: { max },
    schema: Type.Array(CountedSchema),
    add(known = [], element) {
      const value = select(element);
      return value === undefined || value === null ? known : counted(known, countable(value, "topK") as V, max);
    },
    merge: (a, b) => merged(a, b, max),
    result: (known) => known.toSorted(byCount).slice(0, k),
  };
}

/** Counters stand in the order of their values, so that equal ones have equal bytes. */
function counted<V extends string | number>(known: readonly Counted<V>[], value: V, max: number): readonly Counted<V>[] {
  const at = known.findIndex((one) => compare(one.value, value) >= 0);
  const found = at === -1 ? undefined : known[at];
  if (found?.value === value) return known.with(at, { ...found, count: found.count + 1 });
  const next = known.toSpliced(at === -1 ? known.length : at, 0, { value, count: 1, error: 0 });
  if (next.length <= max) return next;
  const least = known.toSorted(byCount).at(-1)!;
  return next
    .filter((one) => one.value !== least.value)
    .map((one) => (one.value === value ? { value, count: least.count + 1, error: least.count } : one));
}

function merged<V extends string | number>(a: readonly Counted<V>[], b: readonly Counted<V>[], max: number): readonly Counted<V>[] {
  // What one side does not list may have been let go there, as often as its least one at most.
  const [leastOfA, leastOfB] = [unlisted(a, max), unlisted(b, max)];
  const all = new Map(a.map((one) => [one.value, { ...one, count: one.count + leastOfB, error: one.error + leastOfB }]));
  for (const { value, count, error } of b) {
    const known = all.get(value);
    if (known === undefined) all.set(value, { value, count: count + leastOfA, error: error + leastOfA });
    else all.set(value, { value, count: known.count - leastOfB + count, error: known.error - leastOfB + error });
  }
  return [...all.values()]
    .sort(byCount)
    .slice(0, max)
    .sort((x, y) => compare(x.value, y.value));
}

/** How often a value may have been that is not listed. */
function unlisted<V extends string | number>(counted: readonly Counted<V>[], max: number): number {
  return counted.length < max ? 0 : Math.min(...counted.map(({ count }) => count));
}

function byCount<V extends string | number>(a: Counted<V>, b: Counted<V>): number {
  return b.count - a.count || compare(a.value, b.value);
}

/** Numbers before texts. */
function compare(a: string | number, b: string | number): number {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}
