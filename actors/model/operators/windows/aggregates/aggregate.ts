/**
 * Aggregates: what a window gathers of its elements. Each keeps an accumulator, plain JSON of a declared schema, that
 * grows by one element and merges with another one's; nothing is ever taken back out, so any part of a window may be
 * gathered by itself, and windows share their panes.
 *
 * An accumulator is a function of the elements, their times and, among those of one time, their order in the log: in
 * whatever parts they were gathered. Merging gives the earlier part first, and no time is in both.
 */
import type { AnySchema } from "../../../schema.ts";

/** Of T, with an accumulator A, for a result R. */
export interface Aggregate<T, A, R> {
  readonly kind: string;
  /** What the result hangs on beside the elements, as plain JSON: with another one it is another aggregate. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Of the accumulator. */
  readonly schema: AnySchema;
  /** With one element more; `undefined` for the accumulator of none. `time`: when the element happened. */
  readonly add: (accumulator: A | undefined, element: T, time: number) => A;
  readonly merge: (earlier: A, later: A) => A;
  readonly result: (accumulator: A) => R;
}

/** An aggregate of whatever elements and accumulator. That it says nothing of them lets both be inferred from what is given. */
export interface AnyAggregate {
  readonly kind: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly schema: AnySchema;
  readonly result: (accumulator: never) => unknown;
}

/** What an aggregate reads of an element. `undefined` and `null` leave the element out. */
export type Select<T, V> = (element: T) => V;

/** `undefined` where an element may be left out, so that nothing may be left. */
export type NoneOf<V> = [Extract<V, undefined | null>] extends [never] ? never : undefined;
