/**
 * Ids of entries. A map's key and a set's member are texts or numbers; their id is the key as a written token, so ids
 * sort as those tokens do, and no byte of them needs an escape in a row's key.
 */
import { HandlerError } from "../handler-error.ts";
import { KEY_TOKEN_MAX_BYTES, readKey, writeKey } from "../key.ts";
import type { JsonSchema } from "../layout.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "../schema.ts";

/** The id of the empty text, which is no key. */
const EMPTY_ID = "%";

export interface EntryIds<K> {
  readonly json: JsonSchema;
  /** Throws HandlerError STATE_KEY when the schema refuses the key, or it is over 256 bytes as written. */
  write(key: K, path: string): string;
  read(id: string): K;
  /** Of a key as JSON objects have it. */
  fromText(text: string): K;
}

/** Keys by a schema of texts or of numbers. Throws TypeError for any other. */
export function entryIds<S extends AnySchema>(source: S, what: string): EntryIds<Infer<S>> {
  const schema = schemaOf(source) as Schema<unknown>;
  const numeric = isNumeric(schema, what);
  const fromText = (text: string): Infer<S> => (numeric ? Number(text) : text) as Infer<S>;
  return {
    json: schema.json,
    write(key, path) {
      if (!schema.check(key)) throw new HandlerError("STATE_KEY", `${path}: the key ${schema.explain(key)}. Give what its schema says.`);
      const text = String(key === 0 ? 0 : key);
      const id = text === "" ? EMPTY_ID : writeKey(text);
      if (id === undefined || (numeric && !Number.isFinite(key)))
        throw new HandlerError("STATE_KEY", `${path}: a key is well-formed and at most ${KEY_TOKEN_MAX_BYTES} bytes as written.`);
      return id;
    },
    read: (id) => fromText(id === EMPTY_ID ? "" : readKey(id)!),
    fromText,
  };
}

function isNumeric({ json }: Schema<unknown>, what: string): boolean {
  const parts = (Array.isArray(json.anyOf) ? json.anyOf : [json]) as readonly { readonly type?: unknown; readonly const?: unknown }[];
  const kinds = new Set(parts.map((part) => (part.const === undefined ? part.type : typeof part.const)));
  if (Array.isArray(json.enum)) for (const one of json.enum) kinds.add(typeof one);
  kinds.delete(undefined);
  if (kinds.size === 1 && kinds.has("string")) return false;
  if (kinds.size > 0 && [...kinds].every((kind) => kind === "number" || kind === "integer")) return true;
  throw new TypeError(`${what}: keys are texts or numbers. Give a schema of one of them.`);
}
