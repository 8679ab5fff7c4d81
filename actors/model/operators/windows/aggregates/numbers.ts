/** Aggregates of numbers: how many, how much, the mean, the least and the greatest. */
import { Type } from "typebox";
import { HandlerError } from "../../../handler-error.ts";
import type { Aggregate, NoneOf, Select } from "./aggregate.ts";
import { addDecimals, type Decimal, DecimalSchema, decimalOf, decimalValue, quotient, ZERO } from "./decimal.ts";

type Optional = number | undefined | null;

/** Elements: all, or those for which `test` holds. */
export function count<T = unknown>(test?: Select<T, boolean>): Aggregate<T, number, number> {
  return {
    kind: "count",
    schema: Type.Integer(),
    add: (counted = 0, element) => (test === undefined || test(element) ? counted + 1 : counted),
    merge: (a, b) => a + b,
    result: (counted) => counted,
  };
}

/** The exact sum as decimals have it: 0.1 and 0.2 are 0.3. 0 where every element is left out. */
export function sum<T>(select: Select<T, Optional>): Aggregate<T, Decimal, number> {
  return {
    kind: "sum",
    schema: DecimalSchema,
    add(total = ZERO, element) {
      const value = select(element);
      return value === undefined || value === null ? total : addDecimals(total, decimalOf(value, "sum"));
    },
    merge: addDecimals,
    result: decimalValue,
  };
}

export interface Mean {
  readonly count: number;
  readonly total: Decimal;
}

/** The exact sum, divided by how many there are; `undefined` where every element is left out. */
export function avg<T, V extends Optional>(select: Select<T, V>): Aggregate<T, Mean, number | NoneOf<V>> {
  return {
    kind: "avg",
    schema: Type.Object({ count: Type.Integer(), total: DecimalSchema }),
    add(mean = { count: 0, total: ZERO }, element) {
      const value = select(element);
      if (value === undefined || value === null) return mean;
      return { count: mean.count + 1, total: addDecimals(mean.total, decimalOf(value, "avg")) };
    },
    merge: (a, b) => ({ count: a.count + b.count, total: addDecimals(a.total, b.total) }),
    result: (mean) => (mean.count === 0 ? undefined : quotient(mean.total, { units: mean.count, scale: 0 })) as number,
  };
}

/** The least; `undefined` where every element is left out. */
export function min<T, V extends Optional>(select: Select<T, V>): Aggregate<T, number | null, number | NoneOf<V>> {
  return extreme("min", select, Math.min);
}

/** The greatest; `undefined` where every element is left out. */
export function max<T, V extends Optional>(select: Select<T, V>): Aggregate<T, number | null, number | NoneOf<V>> {
  return extreme("max", select, Math.max);
}

function extreme<T, V extends Optional>(
  kind: string,
  select: Select<T, V>,
  choose: (a: number, b: number) => number,
): Aggregate<T, number | null, number | NoneOf<V>> {
  const merge = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : choose(a, b));
  return {
    kind,
    schema: Type.Union([Type.Number(), Type.Null()]),
    add(known = null, element) {
      const value = select(element) ?? null;
      if (value !== null && !Number.isFinite(value))
        throw new HandlerError(
          "NOT_A_NUMBER",
          `${kind}: ${String(value)} cannot be compared. Give a finite number, or undefined to leave it out.`,
        );
      return merge(known, value);
    },
    merge,
    result: (known) => (known ?? undefined) as number,
  };
}
