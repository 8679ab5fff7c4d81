/**
 * How masking sees a JSON Schema: which parts of it may say something about a value, and where in it classes stand.
 * What it does not understand it refuses while the app starts: a class that is not seen would be a leak.
 */
import type { JsonSchema } from "../layout.ts";
import { classOf } from "./classification.ts";

const MAPS = ["properties", "patternProperties", "$defs", "definitions"] as const;
const LISTS = ["anyOf", "oneOf", "allOf", "prefixItems"] as const;
const SINGLE = ["additionalProperties", "additionalItems"] as const;
/** Keywords whose schemas masking does not apply. None of them may have a class in it. */
const OTHERS = "not if then else contains propertyNames unevaluatedProperties unevaluatedItems contentSchema dependentSchemas".split(" ");
/** Levels of unions and references that are looked into to tell whether a value can be of a branch. */
const BRANCH_DEPTH_MAX = 16;

/** A schema that says nothing of a value. */
const NOTHING: JsonSchema = {};

/** A schema and what it defines to be referred to. */
export interface SchemaView {
  readonly root: JsonSchema;
  readonly definitions: ReadonlyMap<string, JsonSchema>;
  /** Whether any part of it has a class. */
  readonly hasClass: boolean;
}

/** Throws TypeError for a class where masking cannot go by it, and for a reference that leads nowhere or to two things. */
export function viewOf(root: JsonSchema): SchemaView {
  const parts = [...partsWithin(root)];
  const definitions = new Map<string, JsonSchema>();
  for (const [schema, path] of parts) {
    for (const [name, part] of [...Object.entries(schema.$defs ?? {}), ...Object.entries(schema.definitions ?? {})]) {
      const known = definitions.get(name);
      if (known !== undefined && JSON.stringify(known) !== JSON.stringify(part))
        throw new TypeError(`masking: ${path || "/"} defines "${name}", and so does another part of the schema, differently.`);
      definitions.set(name, asSchema(part));
    }
  }
  const view = { root, definitions, hasClass: parts.some(([schema]) => classOf(schema) !== undefined) };
  for (const [schema, path] of parts) {
    if (schema.$ref !== undefined) resolved(view, schema, path);
    if (schema.$dynamicRef !== undefined) throw new TypeError(`masking: ${path || "/"} has a $dynamicRef; use a $ref.`);
    for (const keyword of OTHERS) {
      if (hasClassAnywhere(schema[keyword]))
        throw new TypeError(`masking: ${path || "/"} has a class below "${keyword}", where it cannot be masked.`);
    }
  }
  return view;
}

function* partsWithin(root: JsonSchema): Iterable<[schema: JsonSchema, path: string]> {
  const open: [JsonSchema, string][] = [[root, ""]];
  const seen = new Set<JsonSchema>();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [schema, path] = next;
    if (seen.has(schema)) continue;
    seen.add(schema);
    yield next;
    for (const [part, name] of partsOf(schema)) open.push([part, `${path}/${name}`]);
  }
}

function* partsOf(schema: JsonSchema): Iterable<[part: JsonSchema, name: string]> {
  for (const keyword of MAPS) for (const [name, part] of Object.entries(schema[keyword] ?? {})) if (isSchema(part)) yield [part, name];
  for (const keyword of LISTS) for (const part of listOf(schema[keyword])) yield [part, keyword];
  for (const keyword of SINGLE) if (isSchema(schema[keyword])) yield [schema[keyword], "*"];
  if (Array.isArray(schema.items)) for (const part of listOf(schema.items)) yield [part, "*"];
  else if (isSchema(schema.items)) yield [schema.items, "*"];
}

/** Whether any part of a schema has a class, also where masking cannot go by it. */
export function hasClassAnywhere(value: unknown): boolean {
  const open = [value];
  const seen = new Set<unknown>();
  for (let next = open.pop(); next !== undefined || open.length > 0; next = open.pop()) {
    if (typeof next !== "object" || next === null || seen.has(next)) continue;
    seen.add(next);
    if (!Array.isArray(next) && classOf(next as JsonSchema) !== undefined) return true;
    open.push(...Object.values(next));
  }
  return false;
}

/** Schemas that may describe one value, and the classes that they give it as a whole. */
export interface Described {
  readonly classes: ReadonlySet<string>;
  /** Those that the value can be of. None where it is of none, or nothing says what it is. */
  readonly schemas: readonly JsonSchema[];
}

/** A value that stands for any: every branch of a union describes it. */
export const ANY_VALUE: unique symbol = Symbol("any value");

/** Takes references and combinations apart. A branch of a union that the value cannot be of is left out. */
export function described(view: SchemaView, schemas: readonly JsonSchema[], value: unknown): Described {
  const classes = new Set<string>();
  const found: JsonSchema[] = [];
  const open = [...schemas];
  const seen = new Set<JsonSchema>();
  for (let schema = open.pop(); schema !== undefined; schema = open.pop()) {
    if (seen.has(schema)) continue;
    seen.add(schema);
    const name = classOf(schema);
    if (name !== undefined) classes.add(name);
    if (schema.$ref !== undefined) open.push(resolved(view, schema));
    open.push(...listOf(schema.allOf));
    for (const part of [...listOf(schema.anyOf), ...listOf(schema.oneOf)]) if (mayBe(view, part, value, 0)) open.push(part);
    if (saysWhat(schema) && fits(schema, value)) found.push(schema);
  }
  return { classes, schemas: found };
}

/** A rough check that errs towards yes: only a plain contradiction is a no. */
function mayBe(view: SchemaView, schema: JsonSchema, value: unknown, depth: number): boolean {
  if (value === ANY_VALUE || depth > BRANCH_DEPTH_MAX) return true;
  if (schema.$ref !== undefined && !mayBe(view, resolved(view, schema), value, depth + 1)) return false;
  if (!fits(schema, value)) return false;
  if (!listOf(schema.allOf).every((part) => mayBe(view, part, value, depth + 1))) return false;
  for (const branches of [listOf(schema.anyOf), listOf(schema.oneOf)])
    if (branches.length > 0 && !branches.some((part) => mayBe(view, part, value, depth + 1))) return false;
  if (!isObject(value)) return true;
  if (!(schema.required ?? []).every((name) => Object.hasOwn(value, name))) return false;
  return Object.entries(schema.properties ?? {}).every(([name, part]) => !Object.hasOwn(value, name) || fits(part, value[name]));
}

function fits(schema: JsonSchema, value: unknown): boolean {
  if (value === ANY_VALUE) return true;
  if (schema.const !== undefined && typeof schema.const !== "object" && schema.const !== value) return false;
  const choices = schema.enum;
  if (Array.isArray(choices) && !choices.some((choice) => choice === value || typeof choice === "object")) return false;
  if (schema.type === undefined) return true;
  return [schema.type].flat().some((type) => isOfType(value, type as string));
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "object":
      return isObject(value);
    case "array":
      return Array.isArray(value);
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** A schema that names neither type nor values says nothing of what it lets through. */
function saysWhat(schema: JsonSchema): boolean {
  return ["type", "const", "enum", ...MAPS.slice(0, 2), "items", "prefixItems"].some((keyword) => schema[keyword] !== undefined);
}

/** What describes a field of an object. `undefined` where nothing declares it. */
export function fieldSchemas(schemas: readonly JsonSchema[], name: string): readonly JsonSchema[] | undefined {
  const found = schemas.flatMap((schema) => {
    const patterns = Object.entries((schema.patternProperties ?? {}) as Record<string, JsonSchema>);
    const declared = patterns.filter(([pattern]) => new RegExp(pattern, "u").test(name)).map(([, part]) => asSchema(part));
    if (isNamed([schema], name)) declared.push(asSchema(schema.properties?.[name]));
    return declared.length === 0 && isSchema(schema.additionalProperties) ? [schema.additionalProperties] : declared;
  });
  return found.length === 0 ? undefined : found;
}

/** Whether a field is called by the schema, not by the data: the keys of a record are data. */
export function isNamed(schemas: readonly JsonSchema[], name: string): boolean {
  return schemas.some(({ properties }) => properties !== undefined && Object.hasOwn(properties, name));
}

/** What describes the keys of a record, or the elements of an array, whichever of them. */
export function memberSchemas(schemas: readonly JsonSchema[]): readonly JsonSchema[] {
  return schemas.flatMap((schema) => [
    ...Object.values((schema.patternProperties ?? {}) as Record<string, JsonSchema>),
    ...(isSchema(schema.additionalProperties) ? [schema.additionalProperties] : []),
    ...listOf(schema.prefixItems),
    ...(Array.isArray(schema.items) ? listOf(schema.items) : isSchema(schema.items) ? [schema.items] : []),
    ...(isSchema(schema.additionalItems) ? [schema.additionalItems] : []),
  ]);
}

/** What describes an element of an array. */
export function elementSchemas(schemas: readonly JsonSchema[], index: number): readonly JsonSchema[] {
  return schemas.flatMap((schema) => {
    const tuple = Array.isArray(schema.items) ? listOf(schema.items) : listOf(schema.prefixItems);
    if (index < tuple.length) return [tuple[index]!];
    const rest = Array.isArray(schema.items) ? schema.additionalItems : schema.items;
    return isSchema(rest) ? [rest] : [];
  });
}

/** `#`, `#/$defs/x`, `#/definitions/x`, and the plain names that TypeBox gives the parts of a cyclic type. */
function resolved({ root, definitions }: SchemaView, schema: JsonSchema, path = ""): JsonSchema {
  const reference = String(schema.$ref);
  if (reference === "#") return root;
  const name = reference
    .replace(/^#\/(?:\$defs|definitions)\//, "")
    .replaceAll("~1", "/")
    .replaceAll("~0", "~");
  const found = definitions.get(name);
  if (found === undefined)
    throw new TypeError(`masking: ${path || "/"} refers to "${reference.slice(0, 100)}", which the schema does not define.`);
  return found;
}

function listOf(parts: unknown): readonly JsonSchema[] {
  return Array.isArray(parts) ? parts.map(asSchema) : [];
}

function asSchema(part: unknown): JsonSchema {
  return isSchema(part) ? part : NOTHING;
}

function isSchema(part: unknown): part is JsonSchema {
  return isObject(part);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
