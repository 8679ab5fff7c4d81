/** Aggregates of one's own. */
import type { AnySchema, Infer } from "../../../schema.ts";
import type { Aggregate } from "./aggregate.ts";

/**
 * `reducer({ schema: Type.Number(), add: (product = 1, trade: Trade) => product * trade.rate, merge: (a, b) => a * b,
 * result: (product) => product })`. All three are pure functions. `merge` gets the earlier part first; it is called
 * where panes become a window and where sessions grow together, and must give what adding one by one would have given.
 */
export function reducer<T, S extends AnySchema, R>(parts: {
  /** Of the accumulator. */
  readonly schema: S;
  readonly add: (accumulator: Infer<S> | undefined, element: T, time: number) => Infer<S>;
  readonly merge: (earlier: Infer<S>, later: Infer<S>) => Infer<S>;
  readonly result: (accumulator: Infer<S>) => R;
}): Aggregate<T, Infer<S>, R> {
  return { kind: "reducer", ...parts };
}
