/**
 * A schema as the fold uses it: checked in nanoseconds, laid out as canonical bytes, typed without generics to write.
 * TypeBox is the default; `Schema<T>` is what the rest of the model sees.
 */
import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { type JsonSchema, type Layout, layoutOf } from "./layout.ts";

export interface Schema<T> {
  readonly json: JsonSchema;
  readonly layout: Layout;
  check(value: unknown): value is T;
  /** Where and why a value fails, in a text that depends on schema and value alone; at most 200 characters. */
  explain(value: unknown): string;
}

const EXPLANATION_MAX = 200;

export function schemaOf<S extends TSchema>(source: S): Schema<Static<S>> {
  const compiled = Compile(source);
  const json = source as unknown as JsonSchema;
  return {
    json,
    layout: layoutOf(json),
    check: (value): value is Static<S> => compiled.Check(value),
    explain(value) {
      const first = compiled.Errors(value)[0];
      return (first === undefined ? "matches" : `${first.instancePath || "/"} ${first.message}`).slice(0, EXPLANATION_MAX);
    },
  };
}
