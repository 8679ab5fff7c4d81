/**
 * Masking: a copy of a value in which what is classified is made unreadable, before it goes to a prompt, to a model
 * elsewhere, into a log line or a trace. A function of what is handed in alone.
 *
 * It fails closed. What has a class and no rule is redacted. Where a schema classifies anything, or a rule names a field,
 * what the schema does not declare is dropped, and what it declares without saying what it is, is redacted.
 */

import type { JsonSchema } from "../layout.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, schemaOf } from "../schema.ts";
import { DEPTH_MAX, PARTS_MAX } from "./bounds.ts";
import { SECRET } from "./classification.ts";
import { keyOf, type MaskingMeans, maskedText, sha256Of } from "./masked-text.ts";
import { checkRules, checkSecret, isHashed, isKeyed, type MaskingRule, type MaskingRules } from "./masking-rules.ts";
import {
  ANY_VALUE,
  type Described,
  described,
  elementSchemas,
  fieldSchemas,
  isNamed,
  isObject,
  memberSchemas,
  type SchemaView,
  viewOf,
} from "./schema-walk.ts";

/** Rules for values of one schema. */
export interface Masking<T> {
  readonly kind: "masking";
  /** Whether a rule needs a key. Such a masking cannot be used inside the fold. */
  readonly keyed: boolean;
  /** Whether a rule needs SHA-256. */
  readonly hashed: boolean;
  readonly view: SchemaView;
  readonly classes: ReadonlyMap<string, MaskingRule>;
  readonly fields: FieldRules;
  /** Of the values; there is none at run time. */
  readonly masks?: T;
}

interface FieldRules {
  readonly rule?: MaskingRule;
  readonly members: Map<string, FieldRules>;
}

const ANY_MEMBER = "*";
/** In place of the class of what a schema lets through without saying what it is. */
const UNDECLARED = "undeclared";
/** A field of this name would set the copy's prototype: it is dropped. */
const PROTOTYPE = "__proto__";
const NO_FIELDS: FieldRules = { members: new Map() };

/**
 * Puts a schema and rules together: `masking(Customer, { classes: { pii: "redact" }, fields: { "/id": { tokenise: "customer", by: { salt: "2026" } } } })`.
 * Throws TypeError for a rule that is none, for one of a field that the schema does not have or that lies in a field
 * masked as a whole, and for a class where masking cannot see it.
 */
export function masking<S extends AnySchema>(schema: S, rules: MaskingRules = {}): Masking<Infer<S>> {
  return maskingOf(schemaOf(schema).json, rules);
}

/** As {@link masking}, of a JSON Schema. */
export function maskingOf<T>(json: JsonSchema, rules: MaskingRules = {}): Masking<T> {
  checkRules(rules);
  const view = viewOf(json);
  const classes = new Map(Object.entries(rules.classes ?? {}));
  const fields: FieldRules = { members: new Map() };
  const all = Object.entries(rules.fields ?? {}).sort(([one], [other]) => one.length - other.length);
  for (const [path, rule] of all) addFieldRule({ view, classes, fields }, path, rule);
  const every = [...classes.values(), ...all.map(([, rule]) => rule)];
  return { kind: "masking", keyed: every.some(isKeyed), hashed: every.some(isHashed), view, classes, fields };
}

/** The rules of shorter paths are there already. */
function addFieldRule(
  { view, classes, fields }: Pick<Masking<unknown>, "view" | "classes" | "fields">,
  path: string,
  rule: MaskingRule,
): void {
  let schemas: readonly JsonSchema[] = [view.root];
  let at = fields;
  for (const name of path.slice(1).split("/").map(unescaped)) {
    const found = described(view, schemas, ANY_VALUE);
    const outer = ruleOf(found, at, classes);
    if (outer !== undefined && outer.rule !== "keep")
      throw new TypeError(
        `masking: the field "${path}" lies in one that is masked as a whole. Name the outer one with "keep", if that is meant.`,
      );
    const parts = name === ANY_MEMBER ? memberSchemas(found.schemas) : found.schemas.flatMap((schema) => namedPart(schema, name));
    if (parts.length === 0) throw new TypeError(`masking: the schema has no field "${path}".`);
    schemas = parts;
    const next = at.members.get(name) ?? { members: new Map() };
    at.members.set(name, next);
    at = next;
  }
  for (const name of described(view, schemas, ANY_VALUE).classes) checkSecret(name, rule, `field "${path}"`);
  (at as { rule: MaskingRule }).rule = rule;
}

function namedPart(schema: JsonSchema, name: string): readonly JsonSchema[] {
  return isNamed([schema], name) ? (fieldSchemas([schema], name) ?? []) : [];
}

/** As in a JSON pointer. */
function unescaped(name: string): string {
  return name.replaceAll("~1", "/").replaceAll("~0", "~");
}

/** A copy of the value, masked. Throws TypeError for what is no plain JSON, for a nesting deeper than 64, and without a hash or a key that a rule needs. */
export function masked<T>(rules: Masking<T>, value: DeepReadonly<T> | T, means: MaskingMeans = {}): unknown {
  if (rules.keyed) keyOf(means);
  if (rules.hashed) sha256Of(means);
  const walk = new Walk(rules, means);
  const isTouched = rules.view.hasClass || rules.fields.members.size > 0;
  return isTouched ? walk.masked([rules.view.root], rules.fields, value, "", 0) : walk.copy(value, "", 0);
}

class Walk {
  readonly #view: SchemaView;
  readonly #classes: ReadonlyMap<string, MaskingRule>;
  readonly #means: MaskingMeans;
  #parts = 0;

  constructor({ view, classes }: Masking<unknown>, means: MaskingMeans) {
    this.#view = view;
    this.#classes = classes;
    this.#means = means;
  }

  masked(schemas: readonly JsonSchema[], fields: FieldRules, value: unknown, path: string, depth: number): unknown {
    const found = described(this.#view, schemas, value);
    const decision = ruleOf(found, fields, this.#classes);
    if (decision !== undefined && decision.rule !== "keep") return this.#text(decision, value, path, depth);
    if (found.schemas.length === 0) {
      // Kept by name although nothing says what it is: whoever wrote the rule meant all of it. But where something is said, and
      // this value is not of it, nobody knows what is in it.
      const isOpen = decision !== undefined && described(this.#view, schemas, ANY_VALUE).schemas.length === 0;
      return isOpen ? this.copy(value, path, depth) : this.#text({ rule: "redact", name: UNDECLARED }, value, path, depth);
    }
    this.#check(value, path, depth);
    if (Array.isArray(value)) {
      const member = fields.members.get(ANY_MEMBER) ?? NO_FIELDS;
      return Array.from(value, (part: unknown, i) =>
        this.masked(elementSchemas(found.schemas, i), member, part === undefined ? null : part, `${path}/${ANY_MEMBER}`, depth + 1),
      );
    }
    return isObject(value) ? this.#object(found.schemas, fields, value, path, depth) : value;
  }

  /** As it is; of an object the fields that JSON has. */
  copy(value: unknown, path: string, depth: number): unknown {
    this.#check(value, path, depth);
    const within = `${path}/${ANY_MEMBER}`;
    if (Array.isArray(value)) return Array.from(value, (part: unknown) => this.copy(part === undefined ? null : part, within, depth + 1));
    if (!isObject(value)) return value;
    const fields = Object.entries(value).filter(([name, part]) => part !== undefined && name !== PROTOTYPE);
    return Object.fromEntries(fields.map(([name, part]) => [name, this.copy(part, within, depth + 1)]));
  }

  #object(schemas: readonly JsonSchema[], fields: FieldRules, value: Record<string, unknown>, path: string, depth: number): unknown {
    const copy: Record<string, unknown> = {};
    for (const [name, part] of Object.entries(value)) {
      const parts = fieldSchemas(schemas, name);
      if (part === undefined || name === PROTOTYPE || parts === undefined) continue;
      // The key of a record is data: it stands in no message.
      const key = isNamed(schemas, name) ? name : ANY_MEMBER;
      copy[name] = this.masked(parts, fields.members.get(key) ?? NO_FIELDS, part, `${path}/${key}`, depth + 1);
    }
    return copy;
  }

  /** What is hashed as a whole is bounded as what is walked through. */
  #text({ rule, name }: Decision, value: unknown, path: string, depth: number): string {
    return maskedText(rule, name, this.copy(value, path, depth), this.#means);
  }

  /** The value is not named in a message: it may be what is to be masked. */
  #check(value: unknown, path: string, depth: number): void {
    this.#parts += 1;
    if (depth > DEPTH_MAX) throw new TypeError(`masking: ${path}: nested deeper than ${DEPTH_MAX}.`);
    if (this.#parts > PARTS_MAX) throw new TypeError(`masking: the value has more than ${PARTS_MAX} parts.`);
    if (!isJson(value)) throw new TypeError(`masking: ${path || "/"}: only JSON can be masked, which this ${typeof value} is not.`);
  }
}

interface Decision {
  readonly rule: MaskingRule;
  readonly name: string;
}

/** The field's rule, else that of its class. Of several classes with different rules the value is redacted. */
function ruleOf({ classes }: Described, fields: FieldRules, rules: ReadonlyMap<string, MaskingRule>): Decision | undefined {
  const names = [...classes].sort();
  const name = names.includes(SECRET) ? SECRET : names[0];
  if (fields.rule !== undefined) return { rule: fields.rule, name: name ?? "masked" };
  if (name === undefined) return undefined;
  const [first = "redact", ...others] = names.map((each) => rules.get(each) ?? "redact");
  return { rule: others.some((other) => JSON.stringify(other) !== JSON.stringify(first)) ? "redact" : first, name };
}

function isJson(value: unknown): boolean {
  if (value === null || Array.isArray(value)) return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return typeof value === "string" || typeof value === "boolean";
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
