/**
 * JSON Schemas that come through the log, not with the build: which of them are understood, and their checks. Nobody
 * can take a schema out of the log again, and whoever publishes chooses what it is put to. So what is understood can be
 * checked in a time that is bounded by the schema's size and the event's: no reference out of the schema or back into
 * itself, patterns that are matched in linear time, and a bound on the whole with references followed. Anything else is
 * refused by name: a keyword passed over in silence would accept what its author meant to refuse.
 */
import { PATTERN_SIZE_MAX, SCHEMA_DEPTH_MAX, SCHEMA_SIZE_MAX } from "./bounds.ts";
import { UnsafeData } from "./canonical.ts";
import { linearPattern } from "./linear-pattern.ts";
import { type Check, isObject, KEYWORDS, READ_WITH } from "./schema-keywords.ts";

/** Where and why data is refused; `undefined` when it is not. */
export type Refusal = (data: unknown) => string | undefined;

const DIALECT = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;
const DEFINITION = "#/$defs/";
/** They say something to people, and refuse nothing. */
const ANNOTATIONS = new Set(["$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"]);
const REASON_MAX_CHARS = 200;
const PATH_MAX_CHARS = 80;

class NotUnderstood extends Error {}

/** The check of a schema, or the reason why it is not understood: where, and what. */
export function readSchema(data: unknown): Refusal | string {
  try {
    const check = new Reader(data).root();
    return (value) => {
      const found = check(value);
      return found === undefined ? undefined : reasonOf(found.path, found.text);
    };
  } catch (error) {
    if (error instanceof NotUnderstood) return error.message;
    if (error instanceof UnsafeData) return `/ has a value that is ${error.code}`;
    throw error;
  }
}

class Reader {
  readonly #source: Readonly<Record<string, unknown>>;
  readonly #definitions: Readonly<Record<string, unknown>>;
  /** Definitions that are being read. */
  readonly #open = new Set<string>();
  #size = 0;
  #patternSize = 0;

  constructor(data: unknown) {
    this.#source = isObject(data) ? data : refuse("", "must be a JSON Schema, which is an object");
    const { $defs = {} } = this.#source;
    this.#definitions = isObject($defs) ? $defs : refuse("/$defs", "must be an object");
  }

  root(): Check {
    const { $schema, $defs: _definitions, ...rest } = this.#source;
    if ($schema !== undefined && !(typeof $schema === "string" && DIALECT.test($schema)))
      refuse("/$schema", "must be https://json-schema.org/draft/2020-12/schema, or left out");
    // Those that nothing refers to are read too: a mistake in one is a mistake.
    for (const name of Object.keys(this.#definitions)) this.#definition(name, `/$defs/${name}`, 0);
    return this.#schema(rest, "", 0);
  }

  #schema(value: unknown, path: string, depth: number): Check {
    this.#grow(1, path);
    if (depth > SCHEMA_DEPTH_MAX) refuse(path, `is nested deeper than ${SCHEMA_DEPTH_MAX}, references followed`);
    if (typeof value === "boolean") return () => (value ? undefined : { path: "", text: "must not be there" });
    if (!isObject(value)) return refuse(path, "must be a schema: an object, true or false");
    const checks: Check[] = [];
    for (const [name, part] of Object.entries(value)) {
      const place = `${path}/${name}`;
      if (name === "$ref") checks.push(this.#reference(part, place, depth));
      else if (!ANNOTATIONS.has(name) && !isReadWith(name, value)) {
        const keyword = KEYWORDS.get(name) ?? refuse(path, `has the keyword "${name}", which is not understood${beside(name)}`);
        checks.push(
          keyword({
            value: part,
            path: place,
            beside: value,
            schema: (inner, where) => this.#schema(inner, where, depth + 1),
            pattern: (source, where) => this.#pattern(source, where),
            grow: (by) => this.#grow(by, place),
            refuse: (reason, where = place) => refuse(where, reason),
          }),
        );
      }
    }
    return (data) => {
      for (const check of checks) {
        const found = check(data);
        if (found !== undefined) return found;
      }
      return undefined;
    };
  }

  #reference(reference: unknown, path: string, depth: number): Check {
    const name = typeof reference === "string" && reference.startsWith(DEFINITION) ? reference.slice(DEFINITION.length) : undefined;
    if (name === undefined || /[/~%]/.test(name)) return refuse(path, `must be "${DEFINITION}<name>"; no other reference is understood`);
    if (!Object.hasOwn(this.#definitions, name)) refuse(path, `names "${name}", which is not in $defs`);
    return this.#definition(name, path, depth);
  }

  #definition(name: string, path: string, depth: number): Check {
    if (this.#open.has(name)) refuse(path, `leads "${name}" back to itself; a schema that contains itself is not understood`);
    this.#open.add(name);
    const check = this.#schema(this.#definitions[name], path, depth + 1);
    this.#open.delete(name);
    return check;
  }

  #pattern(source: unknown, path: string): (text: string) => boolean {
    if (typeof source !== "string") return refuse(path, "must be a text");
    const pattern = linearPattern(source, PATTERN_SIZE_MAX - this.#patternSize);
    if (typeof pattern === "string") return refuse(path, `cannot be used: ${pattern}`);
    this.#patternSize += pattern.size;
    return (text) => pattern.test(text);
  }

  #grow(by: number, path: string): void {
    this.#size += by;
    if (this.#size > SCHEMA_SIZE_MAX) refuse(path, `makes more than ${SCHEMA_SIZE_MAX} subschemas and names, references followed`);
  }
}

function isReadWith(name: string, schema: object): boolean {
  const other = READ_WITH.get(name);
  return other !== undefined && Object.hasOwn(schema, other);
}

function beside(name: string): string {
  const other = READ_WITH.get(name);
  return other === undefined ? "" : ` without "${other}"`;
}

function refuse(path: string, reason: string): never {
  throw new NotUnderstood(reasonOf(path, reason));
}

/** Of a long path its end, so that the reason is not cut off. */
function reasonOf(path: string, reason: string): string {
  const place = path.length > PATH_MAX_CHARS ? `…${path.slice(-PATH_MAX_CHARS)}` : path || "/";
  return `${place} ${reason}`.slice(0, REASON_MAX_CHARS).toWellFormed();
}
