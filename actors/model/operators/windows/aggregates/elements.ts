/** Aggregates that keep elements, or values of them, in the order of their times; of equal times, in that of the log. */
import { Type } from "typebox";
import { HandlerError } from "../../../handler-error.ts";
import type { Aggregate, Select } from "./aggregate.ts";

/** Named by the types of actors that keep it. */
export interface Timed<V> {
  readonly time: number;
  readonly value: V;
}

const TimedSchema = Type.Object({ time: Type.Integer(), value: Type.Unknown() });
const OneSchema = Type.Union([TimedSchema, Type.Null()]);
const ManySchema = Type.Array(TimedSchema);

/** Of the earliest element that has one. */
export function first<T, V>(select: Select<T, V>): Aggregate<T, Timed<V> | null, V> {
  return one(
    "first",
    select,
    (known, time) => time < known.time,
    (earlier, later) => earlier ?? later,
  );
}

/** Of the latest element that has one. */
export function last<T, V>(select: Select<T, V>): Aggregate<T, Timed<V> | null, V> {
  return one(
    "last",
    select,
    (known, time) => time >= known.time,
    (earlier, later) => later ?? earlier,
  );
}

/** Different values in the order of first sight; at most `max`, default 100, of those seen first. Values are texts or numbers. */
export function distinct<T, V extends string | number>(
  select: Select<T, V | undefined | null>,
  { max = 100 }: { readonly max?: number } = {},
): Aggregate<T, readonly Timed<V>[], readonly V[]> {
  const bound = checkedBound("distinct", max);
  const add = (known: readonly Timed<V>[], { time, value }: Timed<V>): readonly Timed<V>[] => {
    const at = known.findIndex((one) => one.value === value);
    if (at !== -1 && known[at]!.time <= time) return known;
    return insert(at === -1 ? known : known.toSpliced(at, 1), { time, value }, bound);
  };
  return {
    kind: "distinct",
    config: { max },
    schema: ManySchema,
    add(known = [], element, time) {
      const value = select(element);
      return value === undefined || value === null ? known : add(known, { time, value: countable(value, "distinct") as V });
    },
    merge: (earlier, later) => later.reduce(add, earlier),
    result: (known) => known.map(({ value }) => value),
  };
}

/** All elements, or values of them; at most `max` of the earliest, default 1,000. */
export function collect<T, V = T>(
  select: Select<T, V> = (element) => element as unknown as V,
  { max = 1_000 }: { readonly max?: number } = {},
): Aggregate<T, readonly Timed<V>[], readonly V[]> {
  const bound = checkedBound("collect", max);
  return {
    kind: "collect",
    config: { max },
    schema: ManySchema,
    add(known = [], element, time) {
      const value = select(element);
      return value === undefined || value === null ? known : insert(known, { time, value }, bound);
    },
    merge: (earlier, later) => [...earlier, ...later].slice(0, bound),
    result: (known) => known.map(({ value }) => value),
  };
}

function one<T, V>(
  kind: string,
  select: Select<T, V>,
  replaces: (known: Timed<V>, time: number) => boolean,
  merge: (earlier: Timed<V> | null, later: Timed<V> | null) => Timed<V> | null,
): Aggregate<T, Timed<V> | null, V> {
  return {
    kind,
    schema: OneSchema,
    add(known = null, element, time) {
      const value = select(element);
      if (value === undefined || value === null) return known;
      return known === null || replaces(known, time) ? { time, value } : known;
    },
    merge,
    result: (known) => known?.value as V,
  };
}

/** Behind all of its time or earlier; what comes last falls off over the bound. */
function insert<V>(known: readonly Timed<V>[], element: Timed<V>, bound: number): readonly Timed<V>[] {
  let at = known.length;
  while (at > 0 && known[at - 1]!.time > element.time) at--;
  if (at >= bound) return known;
  const next = known.toSpliced(at, 0, element);
  if (next.length > bound) next.pop();
  return next;
}

function checkedBound(what: string, max: number): number {
  if (!Number.isSafeInteger(max) || max < 1 || max > 10_000) throw new TypeError(`${what}: max is a whole number from 1 to 10,000.`);
  return max;
}

/** Texts and numbers that can be counted each by itself. */
export function countable(value: unknown, path: string): string | number {
  if (typeof value === "string" || (typeof value === "number" && Number.isFinite(value))) return value;
  throw new HandlerError("NOT_COUNTABLE", `${path}: values are texts or finite numbers, not ${typeof value}.`);
}
