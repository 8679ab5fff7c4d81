/**
 * Keywords of JSON Schema 2020-12 as checks of values. Each looks once at each part of a value, so a check takes no
 * longer than the schema's size times the value's; no code is made of a schema's text, and how much fits on the stack
 * does not show.
 */
import { Format } from "typebox/format";
import { Guard } from "typebox/guard";
import { canonicalJson } from "./canonical.ts";

/** Where in the value, and what it must be. */
export interface Fault {
  readonly path: string;
  readonly text: string;
}

export type Check = (value: unknown) => Fault | undefined;

/** What a keyword is read with: its value, where it stands, the keywords beside it, and how what is in it is read. */
export interface Place {
  readonly value: unknown;
  readonly path: string;
  readonly beside: Readonly<Record<string, unknown>>;
  /** Reads a schema within. */
  readonly schema: (value: unknown, path: string) => Check;
  /** Reads a pattern. */
  readonly pattern: (source: unknown, path: string) => (text: string) => boolean;
  /** Counts what a list takes. */
  readonly grow: (by: number) => void;
  readonly refuse: (reason: string, path?: string) => never;
}

type Keyword = (place: Place) => Check;
type Values = Readonly<Record<string, unknown>>;

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  array: Array.isArray,
  boolean: (value) => typeof value === "boolean",
  integer: Number.isInteger,
  null: (value) => value === null,
  number: (value) => typeof value === "number",
  object: isObject,
  string: (value) => typeof value === "string",
};
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: Format.IsDate,
  "date-time": Format.IsDateTime,
  duration: Format.IsDuration,
  email: Format.IsEmail,
  ipv4: Format.IsIPv4,
  ipv6: Format.IsIPv6,
  time: (text) => Format.IsTime(text),
  uri: Format.IsUri,
  uuid: Format.IsUuid,
};

/** Those that stand for themselves. `then` and `else` belong to `if`, `minContains` and `maxContains` to `contains`. */
export const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ["type", typeKeyword],
  ["enum", ({ value, path, refuse }) => among(listOf(value, path, refuse), "must be equal to one of the allowed values")],
  ["const", ({ value }) => among([value], "must be equal to constant")],
  ["multipleOf", multipleOf],
  ["minimum", limit((value, bound) => value >= bound, ">=")],
  ["maximum", limit((value, bound) => value <= bound, "<=")],
  ["exclusiveMinimum", limit((value, bound) => value > bound, ">")],
  ["exclusiveMaximum", limit((value, bound) => value < bound, "<")],
  ["minLength", least(lengthOf, "characters")],
  ["maxLength", most(lengthOf, "characters")],
  ["minItems", least(itemsOf, "items")],
  ["maxItems", most(itemsOf, "items")],
  ["minProperties", least(propertiesOf, "properties")],
  ["maxProperties", most(propertiesOf, "properties")],
  ["uniqueItems", uniqueItems],
  ["pattern", patternKeyword],
  ["format", formatKeyword],
  ["required", ({ value, path, grow, refuse }) => required(namesOf(value, path, grow, refuse))],
  ["dependentRequired", dependentRequired],
  ["dependentSchemas", dependentSchemas],
  ["properties", properties],
  ["patternProperties", patternProperties],
  ["additionalProperties", additionalProperties],
  ["propertyNames", propertyNames],
  ["prefixItems", prefixItems],
  ["items", items],
  ["contains", contains],
  ["allOf", allOf],
  ["anyOf", anyOf],
  ["oneOf", oneOf],
  ["not", not],
  ["if", conditional],
]);

/** Read by another keyword; alone they say nothing. */
export const READ_WITH: ReadonlyMap<string, string> = new Map([
  ["then", "if"],
  ["else", "if"],
  ["minContains", "contains"],
  ["maxContains", "contains"],
]);

function typeKeyword({ value, path, refuse }: Place): Check {
  const names = listOf(Array.isArray(value) ? value : [value], path, refuse);
  for (const name of names) {
    if (typeof name !== "string" || !Object.hasOwn(TYPES, name)) refuse(`must be one of ${Object.keys(TYPES).join(", ")}`);
  }
  const tests = names.map((name) => TYPES[name as string]!);
  const text = names.length === 1 ? `must be ${names[0]}` : `must be either ${names.join(" or ")}`;
  return (part) => (tests.some((test) => test(part)) ? undefined : fault(text));
}

/** Found in one step, however many there are. */
function among(values: readonly unknown[], text: string): Check {
  const allowed = new Set(values.map((value) => canonicalJson(value)));
  return (part) => (allowed.has(canonicalJson(part)) ? undefined : fault(text));
}

function limit(holds: (value: number, bound: number) => boolean, sign: string): Keyword {
  return ({ value, refuse }) => {
    const bound = typeof value === "number" ? value : refuse("must be a number");
    return (part) => (typeof part !== "number" || holds(part, bound) ? undefined : fault(`must be ${sign} ${bound}`));
  };
}

function multipleOf({ value, refuse }: Place): Check {
  const divisor = typeof value === "number" && value > 0 ? value : refuse("must be a number above 0");
  return (part) => (typeof part !== "number" || Guard.IsMultipleOf(part, divisor) ? undefined : fault(`must be multiple of ${divisor}`));
}

/** How much of something a value has; `undefined` when it is of another type, and the keyword says nothing of it. */
type Measure = (value: unknown) => number | undefined;

function lengthOf(value: unknown): number | undefined {
  if (typeof value !== "string") return undefined;
  let length = 0;
  for (const _ of value) length++;
  return length;
}

function itemsOf(value: unknown): number | undefined {
  return Array.isArray(value) ? value.length : undefined;
}

function propertiesOf(value: unknown): number | undefined {
  return isObject(value) ? Object.keys(value).length : undefined;
}

function least(measure: Measure, what: string): Keyword {
  return ({ value, refuse }) => {
    const bound = countOf(value, refuse);
    return (part) => ((measure(part) ?? bound) >= bound ? undefined : fault(`must not have fewer than ${bound} ${what}`));
  };
}

function most(measure: Measure, what: string): Keyword {
  return ({ value, refuse }) => {
    const bound = countOf(value, refuse);
    return (part) => ((measure(part) ?? bound) <= bound ? undefined : fault(`must not have more than ${bound} ${what}`));
  };
}

function uniqueItems({ value, refuse }: Place): Check {
  if (typeof value !== "boolean") refuse("must be true or false");
  return (part) =>
    value === false || !Array.isArray(part) || new Set(part.map((item) => canonicalJson(item))).size === part.length
      ? undefined
      : fault("must not have duplicate items");
}

function patternKeyword({ value, path, pattern }: Place): Check {
  const matches = pattern(value, path);
  return (part) => (typeof part !== "string" || matches(part) ? undefined : fault(`must match pattern "${value}"`));
}

function formatKeyword({ value, refuse }: Place): Check {
  const test = typeof value === "string" && Object.hasOwn(FORMATS, value) ? FORMATS[value] : undefined;
  if (test === undefined) return refuse(`must be one of ${Object.keys(FORMATS).join(", ")}`);
  return (part) => (typeof part !== "string" || test(part) ? undefined : fault(`must match format "${value}"`));
}

function required(names: readonly string[]): Check {
  return (part) => {
    if (!isObject(part)) return undefined;
    const missing = names.find((name) => !Object.hasOwn(part, name));
    return missing === undefined ? undefined : fault(`must have required property ${missing}`);
  };
}

function dependentRequired({ value, path, grow, refuse }: Place): Check {
  const all = Object.entries(objectOf(value, refuse)).map(
    ([name, names]) => [name, required(namesOf(names, `${path}/${name}`, grow, refuse))] as const,
  );
  return (part) => (isObject(part) ? first(all, ([name, check]) => (Object.hasOwn(part, name) ? check(part) : undefined)) : undefined);
}

function dependentSchemas(place: Place): Check {
  const all = schemasByName(place);
  return (part) => (isObject(part) ? first(all, ([name, check]) => (Object.hasOwn(part, name) ? check(part) : undefined)) : undefined);
}

function properties(place: Place): Check {
  const all = schemasByName(place);
  return (part) =>
    isObject(part) ? first(all, ([name, check]) => (Object.hasOwn(part, name) ? within(name, check(part[name])) : undefined)) : undefined;
}

function patternProperties(place: Place): Check {
  const all = schemasByName(place).map(([source, check]) => [place.pattern(source, place.path), check] as const);
  return (part) => {
    if (!isObject(part)) return undefined;
    const entries = Object.entries(part);
    return first(all, ([matches, check]) => first(entries, ([name, value]) => (matches(name) ? within(name, check(value)) : undefined)));
  };
}

function additionalProperties({ value, path, beside, schema, pattern }: Place): Check {
  const check = schema(value, path);
  const names = new Set(isObject(beside.properties) ? Object.keys(beside.properties) : []);
  const sources = isObject(beside.patternProperties) ? Object.keys(beside.patternProperties) : [];
  const patterns = sources.map((source) => pattern(source, path));
  const isAdditional = (name: string): boolean => !names.has(name) && !patterns.some((matches) => matches(name));
  return (part) => {
    if (!isObject(part)) return undefined;
    if (value !== false) return first(Object.keys(part), (name) => (isAdditional(name) ? within(name, check(part[name])) : undefined));
    const found = Object.keys(part).find(isAdditional);
    return found === undefined ? undefined : fault(`must not have additional property ${found}`);
  };
}

function propertyNames({ value, path, schema }: Place): Check {
  const check = schema(value, path);
  return (part) => (isObject(part) ? first(Object.keys(part), (name) => within(name, check(name))) : undefined);
}

function prefixItems(place: Place): Check {
  const checks = schemasOf(place);
  return (part) =>
    Array.isArray(part) ? first(checks, (check, i) => (i < part.length ? within(i, check(part[i])) : undefined)) : undefined;
}

function items({ value, path, beside, schema, refuse }: Place): Check {
  if (Array.isArray(value)) return refuse("must be one schema; for a list of them use prefixItems");
  const check = schema(value, path);
  const from = Array.isArray(beside.prefixItems) ? beside.prefixItems.length : 0;
  return (part) => (Array.isArray(part) ? first(part, (item, i) => (i < from ? undefined : within(i, check(item)))) : undefined);
}

function contains({ value, path, beside, schema, refuse }: Place): Check {
  const check = schema(value, path);
  const min = beside.minContains === undefined ? 1 : countOf(beside.minContains, refuse);
  const max = beside.maxContains === undefined ? Number.POSITIVE_INFINITY : countOf(beside.maxContains, refuse);
  const text = `must contain ${max === Number.POSITIVE_INFINITY ? `at least ${min}` : `${min} to ${max}`} valid items`;
  return (part) => {
    if (!Array.isArray(part)) return undefined;
    let found = 0;
    for (const item of part) if (check(item) === undefined) found++;
    return found >= min && found <= max ? undefined : fault(text);
  };
}

function allOf(place: Place): Check {
  const checks = schemasOf(place);
  return (part) => first(checks, (check) => check(part));
}

function anyOf(place: Place): Check {
  const checks = schemasOf(place);
  return (part) => (checks.some((check) => check(part) === undefined) ? undefined : fault("must match a schema in anyOf"));
}

function oneOf(place: Place): Check {
  const checks = schemasOf(place);
  return (part) =>
    checks.filter((check) => check(part) === undefined).length === 1 ? undefined : fault("must match exactly one schema in oneOf");
}

function not({ value, path, schema }: Place): Check {
  const check = schema(value, path);
  return (part) => (check(part) === undefined ? fault("must not be valid") : undefined);
}

function conditional({ value, path, beside, schema }: Place): Check {
  const condition = schema(value, path);
  const [met, unmet] = ["then", "else"].map((name) => (Object.hasOwn(beside, name) ? schema(beside[name], `${path}/${name}`) : undefined));
  return (part) => (condition(part) === undefined ? met : unmet)?.(part);
}

function schemasOf({ value, path, schema, refuse }: Place): readonly Check[] {
  return listOf(value, path, refuse).map((part, i) => schema(part, `${path}/${i}`));
}

function schemasByName({ value, path, schema, refuse }: Place): readonly (readonly [string, Check])[] {
  return Object.entries(objectOf(value, refuse)).map(([name, part]) => [name, schema(part, `${path}/${name}`)] as const);
}

function namesOf(value: unknown, path: string, grow: Place["grow"], refuse: Place["refuse"]): readonly string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string")) return refuse("must be a list of names", path);
  grow(value.length);
  return value;
}

function listOf(value: unknown, path: string, refuse: Place["refuse"]): readonly unknown[] {
  return Array.isArray(value) && value.length > 0 ? value : refuse("must be a list that is not empty", path);
}

function objectOf(value: unknown, refuse: Place["refuse"]): Values {
  return isObject(value) ? value : refuse("must be an object");
}

function countOf(value: unknown, refuse: Place["refuse"]): number {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse("must be a whole number from 0");
}

export function isObject(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fault(text: string): Fault {
  return { path: "", text };
}

function within(name: string | number, found: Fault | undefined): Fault | undefined {
  return found === undefined ? undefined : { path: `/${name}${found.path}`, text: found.text };
}

function first<T>(all: readonly T[], check: (one: T, i: number) => Fault | undefined): Fault | undefined {
  for (let i = 0; i < all.length; i++) {
    const found = check(all[i]!, i);
    if (found !== undefined) return found;
  }
  return undefined;
}
