/**
 * Redaction of what may not even be what its schema says, by class alone: it goes by all declarations of a value at once,
 * so a place that any of them classifies, in whichever branch of a union, is redacted. What none of them declares is left out.
 */
import type { JsonSchema } from "../layout.ts";
import { DEPTH_MAX } from "./bounds.ts";
import { SECRET } from "./classification.ts";
import { ANY_VALUE, described, elementSchemas, fieldSchemas, hasClassAnywhere, isNamed, type SchemaView, viewOf } from "./schema-walk.ts";

/** Declarations of one value, put together once. */
export type Redaction = readonly SchemaView[];

/** Of one declaration what may describe the value in hand: whatever it is, and as what it is. */
interface Part {
  readonly view: SchemaView;
  readonly any: readonly JsonSchema[];
  readonly fitting: readonly JsonSchema[];
}

/** In place of a value of which no declaration says what it is. */
export const UNDECLARED = "[undeclared]";
/** A field of this name would set the copy's prototype. */
const PROTOTYPE = "__proto__";

/** `undefined` where a class stands in a way that cannot be seen through: then nothing of the value may be told. */
export function redactionOf(declarations: readonly JsonSchema[]): Redaction | undefined {
  const views: SchemaView[] = [];
  for (const json of declarations) {
    const view = seenThrough(json);
    if (view !== undefined) views.push(view);
    else if (hasClassAnywhere(json)) return undefined;
  }
  return views;
}

/** A copy of parsed JSON. `partsMax`: values of the copy that matter; behind them it may lack any. */
export function redacted(redaction: Redaction, value: unknown, partsMax = Number.POSITIVE_INFINITY): unknown {
  const parts = redaction.map((view) => ({ view, any: [view.root], fitting: [view.root] }));
  return redactedPart(parts, value, { left: partsMax }, 0);
}

function redactedPart(parts: readonly Part[], value: unknown, budget: { left: number }, depth: number): unknown {
  budget.left--;
  const whole = parts.map(({ view, any }) => described(view, any, ANY_VALUE));
  const names = whole.flatMap(({ classes }) => [...classes]).sort();
  if (names.length > 0) return `[${names.includes(SECRET) ? SECRET : names[0]!}]`;
  const found = parts.map(({ view, fitting }) => described(view, fitting, value).schemas);
  if (depth > DEPTH_MAX || found.every(({ length }) => length === 0)) return UNDECLARED;
  if (typeof value !== "object" || value === null) return value;
  const within = (of: (schemas: readonly JsonSchema[]) => readonly JsonSchema[] | undefined): readonly Part[] =>
    parts.map(({ view }, i) => ({ view, any: of(whole[i]!.schemas) ?? [], fitting: of(found[i]!) ?? [] }));
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    for (let i = 0; i < value.length && budget.left > 0; i++)
      copy.push(
        redactedPart(
          within((schemas) => elementSchemas(schemas, i)),
          value[i],
          budget,
          depth + 1,
        ),
      );
    return copy;
  }
  const copy: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(value)) {
    if (budget.left <= 0) break;
    const of = within((schemas) => fieldSchemas(schemas, name));
    if (name !== PROTOTYPE && of.some(({ fitting }) => fitting.length > 0)) copy[name] = redactedPart(of, part, budget, depth + 1);
  }
  return copy;
}

/** A JSON pointer into a value of the schema without what is data in it: the keys of a record are `*`. */
export function namedPlace(json: JsonSchema, pointer: string): string {
  const view = seenThrough(json);
  if (view === undefined) return "";
  let schemas: readonly JsonSchema[] = [view.root];
  let place = "";
  for (const written of pointer.split("/").slice(1)) {
    const name = written.replaceAll("~1", "/").replaceAll("~0", "~");
    const found = described(view, schemas, ANY_VALUE).schemas;
    const elements = /^\d{1,9}$/.test(name) ? elementSchemas(found, Number(name)) : [];
    const fields = fieldSchemas(found, name);
    place += isNamed(found, name) || (elements.length > 0 && fields === undefined) ? `/${written}` : "/*";
    schemas = [...elements, ...(fields ?? [])];
  }
  return place;
}

function seenThrough(json: JsonSchema): SchemaView | undefined {
  try {
    return viewOf(json);
  } catch {
    return undefined;
  }
}
