/**
 * Quantiles in bounded space: a sketch with relative accuracy. What it gives for q lies within `accuracy` of the value
 * that stands at rank q, and does not depend on the order of the elements or on how they were split.
 *
 * Source: Masson, Rim, Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees", VLDB 2019.
 */
import { Type } from "typebox";
import { HandlerError } from "../../../handler-error.ts";
import type { Aggregate, NoneOf, Select } from "./aggregate.ts";

/** Elements by the power of gamma that their size lies in, ascending. */
export type Buckets = readonly { readonly power: number; readonly count: number }[];

export interface Sketch {
  readonly negative: Buckets;
  readonly zero: number;
  readonly positive: Buckets;
}

const BucketsSchema = Type.Array(Type.Object({ power: Type.Integer(), count: Type.Integer() }));
const EMPTY: Sketch = { negative: [], zero: 0, positive: [] };
/** Of one sign. With accuracy 0.01 they span 17 orders of magnitude; beyond, the smallest values become one. */
const BUCKETS_MAX = 2_048;
/** Below it a number counts as zero. */
const SMALLEST = 1e-12;

/** The value at rank q, from 0 to 1; `undefined` where every element is left out. */
export function quantile<T, V extends number | undefined | null>(
  q: number,
  select: Select<T, V>,
  { accuracy = 0.01 }: { readonly accuracy?: number } = {},
): Aggregate<T, Sketch, number | NoneOf<V>> {
  if (!(q >= 0 && q <= 1)) throw new TypeError("quantile: q is a number from 0 to 1.");
  if (!(accuracy >= 0.01 && accuracy <= 0.5)) throw new TypeError("quantile: accuracy is a number from 0.01 to 0.5.");
  const gamma = (1 + accuracy) / (1 - accuracy);
  const logGamma = Math.log(gamma);
  const powerOf = (size: number): number => Math.ceil(Math.log(size) / logGamma);
  const estimate = (power: number): number => (2 * gamma ** power) / (gamma + 1);
  return {
    kind: "quantile",
    config: { accuracy },
    schema: Type.Object({ negative: BucketsSchema, zero: Type.Integer(), positive: BucketsSchema }),
    add(sketch = EMPTY, element) {
      const value = select(element);
      if (value === undefined || value === null) return sketch;
      if (!Number.isFinite(value)) throw new HandlerError("NOT_A_NUMBER", `quantile: ${value} has no rank. Give a finite number.`);
      if (Math.abs(value) < SMALLEST) return { ...sketch, zero: sketch.zero + 1 };
      const one = [{ power: powerOf(Math.abs(value)), count: 1 }];
      return value > 0 ? { ...sketch, positive: merged(sketch.positive, one) } : { ...sketch, negative: merged(sketch.negative, one) };
    },
    merge: (a, b) => ({
      negative: merged(a.negative, b.negative),
      zero: a.zero + b.zero,
      positive: merged(a.positive, b.positive),
    }),
    result: (sketch) => atRank(sketch, q, estimate) as number,
  };
}

function atRank({ negative, zero, positive }: Sketch, q: number, estimate: (power: number) => number): number | undefined {
  const ascending = [
    ...negative.toReversed().map(({ power, count }) => ({ value: -estimate(power), count })),
    { value: 0, count: zero },
    ...positive.map(({ power, count }) => ({ value: estimate(power), count })),
  ];
  const total = ascending.reduce((sum, { count }) => sum + count, 0);
  if (total === 0) return undefined;
  let left = Math.floor(q * (total - 1));
  for (const { value, count } of ascending) {
    if (left < count) return value;
    left -= count;
  }
  return undefined;
}

function merged(a: Buckets, b: Buckets): Buckets {
  const all: { power: number; count: number }[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length; ) {
    const power = Math.min(a[i]?.power ?? Number.POSITIVE_INFINITY, b[j]?.power ?? Number.POSITIVE_INFINITY);
    let count = 0;
    if (a[i]?.power === power) count += a[i++]!.count;
    if (b[j]?.power === power) count += b[j++]!.count;
    all.push({ power, count });
  }
  // Always into the next greater one, so that what is left does not depend on the order.
  while (all.length > BUCKETS_MAX) {
    const { count } = all.shift()!;
    all[0]!.count += count;
  }
  return all;
}
