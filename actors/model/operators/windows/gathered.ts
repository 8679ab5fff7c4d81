/** The aggregates of a window as one: an accumulator for each, by name, and results by the same names. */
import type { JsonSchema } from "../../layout.ts";
import { schemaOf } from "../../schema.ts";
import type { Aggregate, AnyAggregate } from "./aggregates/aggregate.ts";

export type Aggregates = Readonly<Record<string, AnyAggregate>>;

/** What all of the aggregates can take. */
export type ElementOf<A> = A[keyof A] extends { readonly add: (accumulator: never, element: infer T, time: number) => unknown } ? T : never;

/** Results by the aggregate's name. */
export type ResultsOf<A> = { readonly [K in keyof A]: A[K] extends { readonly result: (accumulator: never) => infer R } ? R : never };

/** Accumulators by the aggregate's name. */
export type Gathered = Readonly<Record<string, unknown>>;

export interface Gathering {
  /** Of what was gathered. */
  readonly json: JsonSchema;
  /** Of the aggregates, as plain JSON. */
  readonly config: Readonly<Record<string, unknown>>;
  add(gathered: Gathered | undefined, element: unknown, time: number): Gathered;
  /** Of at least one part, the earlier first. */
  merge(parts: readonly Gathered[]): Gathered;
  result(gathered: Gathered): Readonly<Record<string, unknown>>;
}

const NAME = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;
/** What a fired window says beside its results. */
const RESERVED: ReadonlySet<string> = new Set(["start", "end", "by", "events", "revision", "early"]);

/** Throws TypeError for names that results cannot have. */
export function gathering(what: string, aggregates: Aggregates): Gathering {
  const all = Object.entries(aggregates).map(([name, aggregate]) => {
    if (!NAME.test(name) || RESERVED.has(name))
      throw new TypeError(
        `${what}: an aggregate cannot be named "${name}". Write letters, digits and _, and none of ${[...RESERVED].join(", ")}.`,
      );
    return { name, ...(aggregate as Aggregate<unknown, unknown, unknown>) };
  });
  const names = all.map(({ name }) => name);
  return {
    json: {
      type: "object",
      properties: Object.fromEntries(all.map(({ name, schema }) => [name, schemaOf(schema).json])),
      required: names,
    },
    config: Object.fromEntries(all.map(({ name, kind, config = {} }) => [name, { kind, ...config }])),
    add(gathered, element, time) {
      const next: Record<string, unknown> = {};
      for (const { name, add } of all) next[name] = add(gathered?.[name], element, time);
      return next;
    },
    merge(parts) {
      if (parts.length === 1) return parts[0]!;
      const next: Record<string, unknown> = {};
      for (const { name, merge } of all) next[name] = parts.map((part) => part[name]).reduce((a, b) => merge(a, b));
      return next;
    },
    result: (gathered) => Object.fromEntries(all.map(({ name, result }) => [name, result(gathered[name])])),
  };
}
