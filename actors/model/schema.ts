/**
 * A schema as the fold uses it: checked in nanoseconds, laid out as canonical bytes, typed without generics to write.
 * TypeBox is the default; any Standard Schema that can give its JSON Schema works. `Schema<T>` is what the rest of the
 * model sees. A schema checks and never changes: of one that transforms, the input is what handlers get.
 *
 * Source: Standard Schema 1.0 and Standard JSON Schema 1.0.
 */
import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { type JsonSchema, type Layout, layoutOf } from "./layout.ts";
import { namedPlace } from "./privacy/redaction.ts";
import { hasClassAnywhere } from "./privacy/schema-walk.ts";

export interface Schema<T> {
  readonly json: JsonSchema;
  readonly layout: Layout;
  check(value: unknown): value is T;
  /**
   * Where and why a value fails, in a text that depends on schema and value alone; at most 200 characters. `unquoted`: without
   * anything of the value. So it is always where the schema classifies anything.
   */
  explain(value: unknown, unquoted?: boolean): string;
}

type StandardResult = { readonly issues?: undefined } | { readonly issues: readonly StandardIssue[] };

interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export interface StandardSchema<T = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly types?: { readonly input: T; readonly output: unknown } | undefined;
    readonly validate: (value: unknown) => StandardResult | Promise<StandardResult>;
    readonly jsonSchema?: { readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown> };
  };
}

/** Whatever can declare a shape. */
export type AnySchema = TSchema | StandardSchema;

/** The type that a schema declares. */
export type Infer<S extends AnySchema> = S extends StandardSchema<infer T> ? T : S extends TSchema ? Static<S> : never;

const EXPLANATION_MAX = 200;
/** The keyword of which TypeBox's message repeats a part of the value. */
const QUOTING = "propertyNames";
const UNQUOTED = "does not match";

/** Throws TypeError when a Standard Schema has no JSON Schema. One that throws at a value, or checks it asynchronously, refuses it. */
export function schemaOf<S extends AnySchema>(source: S): Schema<Infer<S>> {
  return ("~standard" in source ? ofStandard(source as StandardSchema) : ofTypeBox(source)) as Schema<Infer<S>>;
}

/** A schema that another build declared: it lays out what is stored and checks nothing, for that build did. */
export function storedSchema(json: JsonSchema): StandardSchema {
  return { "~standard": { version: 1, vendor: "tidemark", validate: () => ({}), jsonSchema: { input: () => json } } };
}

function ofTypeBox(source: TSchema): Schema<unknown> {
  const compiled = Compile(source);
  const json = source as unknown as JsonSchema;
  const isClassified = hasClassAnywhere(json);
  return {
    json,
    layout: laidOut(json, isClassified),
    check: (value): value is unknown => compiled.Check(value),
    explain(value, unquoted = isClassified) {
      const first = compiled.Errors(value)[0];
      if (first === undefined) return "matches";
      const place = unquoted ? namedPlace(json, first.instancePath) : first.instancePath;
      const message = unquoted && first.keyword === QUOTING ? UNQUOTED : first.message;
      return `${place || "/"} ${message}`.slice(0, EXPLANATION_MAX);
    },
  };
}

function ofStandard(source: StandardSchema): Schema<unknown> {
  const { vendor, validate, jsonSchema } = source["~standard"];
  if (jsonSchema === undefined)
    throw new TypeError(`a schema of ${vendor} gives no JSON Schema, which the layout of state needs. Use one that does, or TypeBox.`);
  const json = jsonSchema.input({ target: "draft-2020-12" }) as JsonSchema;
  const issuesOf = (value: unknown): readonly StandardIssue[] | undefined => {
    // What a check of the app's own does with data that nobody thought of must not stop a partition.
    try {
      const result = validate(value);
      if (!("then" in result)) return result.issues;
      result.catch(() => {});
      return [{ message: `is checked asynchronously by a schema of ${vendor}; use one that is synchronous` }];
    } catch (error) {
      return [{ message: `makes its schema throw: ${error instanceof Error ? error.message : "no error"}` }];
    }
  };
  const isClassified = hasClassAnywhere(json);
  return {
    json,
    layout: laidOut(json, isClassified),
    check: (value): value is unknown => issuesOf(value) === undefined,
    explain(value, unquoted = isClassified) {
      const first = issuesOf(value)?.[0];
      if (first === undefined) return "matches";
      const names = (first.path ?? []).map((part) => String(typeof part === "object" ? part.key : part));
      // Some libraries repeat in their messages what they were given.
      if (unquoted) return `${namedPlace(json, names.map(pointed).join("")) || "/"} ${UNQUOTED}`.slice(0, EXPLANATION_MAX);
      return `${names.map((name) => `/${name}`).join("") || "/"} ${first.message}`.slice(0, EXPLANATION_MAX);
    },
  };
}

function pointed(name: string): string {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** The layout of a schema. One that classifies says of a value that it cannot keep no more than that: the place may be a key of a record. */
function laidOut(json: JsonSchema, isClassified: boolean): Layout {
  const layout = layoutOf(json);
  if (!isClassified) return layout;
  return {
    ...layout,
    normalize(value, path, size) {
      try {
        return layout.normalize(value, path, size);
      } catch {
        throw new TypeError(`${path}: holds what cannot be kept`);
      }
    },
  };
}
