/**
 * Classification: a keyword in a schema that says what kind of thing a field holds. It checks nothing and lays nothing
 * out; masking goes by it. A class is a name of the app's own; `secret` is one that no rule may let through.
 */
import type { TSchema } from "typebox";
import type { JsonSchema } from "../layout.ts";

/** In JSON Schema. A Standard Schema declares a class by giving its JSON Schema this keyword. */
export const CLASS_KEYWORD = "x-tidemark-class";

/** `pii`, `sensitive` and `secret` are usual; any other name is as good. */
export type PrivacyClass = "pii" | "sensitive" | "secret" | (string & {});

export const SECRET = "secret";

const CLASS_NAME = /^[a-z][a-z0-9-]{0,31}$/;

/**
 * The schema, classified: `classified("pii", Type.String())`. It checks the same values as before and lays them out in
 * the same bytes. Throws TypeError for a name that is no class's, and for a schema that has another class already.
 */
export function classified<S extends TSchema>(name: PrivacyClass, schema: S): S {
  if (!isClassName(name)) throw new TypeError(`classified: "${String(name).slice(0, 64)}" is no class; one matches ${CLASS_NAME}.`);
  const known = classOf(schema as unknown as JsonSchema);
  if (known !== undefined && known !== name)
    throw new TypeError(`classified: the schema is "${known}" already, and cannot be "${name}" too.`);
  // TypeBox keeps its kind and modifiers in properties that are not enumerable: a spread would lose `Optional`.
  const descriptors = Object.getOwnPropertyDescriptors(schema);
  const keyword = { value: name, enumerable: true, configurable: true, writable: true };
  return Object.defineProperties({}, { ...descriptors, [CLASS_KEYWORD]: keyword }) as S;
}

/** The class that a schema itself names. A keyword that is no name is a class that no rule knows. */
export function classOf(schema: JsonSchema): string | undefined {
  if (!Object.hasOwn(schema, CLASS_KEYWORD)) return undefined;
  const name = schema[CLASS_KEYWORD];
  return isClassName(name) ? name : "unknown";
}

export function isClassName(name: unknown): name is string {
  return typeof name === "string" && CLASS_NAME.test(name);
}
