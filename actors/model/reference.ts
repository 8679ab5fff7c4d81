/**
 * Reference data: tables of versioned records that all keys of a log share, such as tariffs or limits. A record's
 * version says what holds from `effectiveFrom` on; handlers look up what is in force at a time, as far as the log
 * has told by then. There is no "latest": the answer to a historical fact must not depend on when it is asked.
 */
import { type Actor, isName } from "./actor.ts";
import type { DeepReadonly } from "./readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "./schema.ts";

export interface ReferenceTable<T> {
  readonly kind: "reference";
  readonly name: string;
  readonly schema: Schema<T>;
}

/** One version of a record, as put. */
export interface ReferenceVersion<T> {
  readonly id: string;
  /** A whole number from 1; each version of an id has a higher one than those put before it. */
  readonly version: number;
  /** In force from here on, whole milliseconds since the epoch, until a version with a later one. */
  readonly effectiveFrom: number;
  /** `null`: from here on the record is ended. */
  readonly data: DeepReadonly<T> | null;
}

/** A version in force. */
export interface ReferenceRecord<T> extends ReferenceVersion<T> {
  readonly data: DeepReadonly<T>;
}

/**
 * A table as a handler sees it: what the log holds before the entry in hand. The outputs of a call that looked
 * something up name the versions that it saw (`referenceversions`).
 */
export interface ReferenceLookup<T> {
  /** The version in force at `ctx.now`; as `asOf(id)`. */
  get(id: string): ReferenceRecord<T> | undefined;
  /**
   * The version in force at `time` (whole milliseconds; default `ctx.now`): the one with the greatest `effectiveFrom`
   * at or before it, and of equal ones the highest version. `undefined` when there is none, or when it ends the record.
   */
  asOf(id: string, time?: number): ReferenceRecord<T> | undefined;
  /** That version and no other, for facts that name the one that they go by; `undefined` when it is unknown, or ends the record. */
  exact(id: string, version: number): ReferenceRecord<T> | undefined;
  /** Every version known, by `effectiveFrom`, then version; at most 1,000. */
  versions(id: string): readonly ReferenceVersion<T>[];
}

/**
 * Declares a table: `reference("tariffs", { schema: Type.Object({ price: Type.Number() }) })`. An actor lists it under
 * `reference` and reads it as `ctx.reference.<member>`. The schema must not allow `null`: that ends a record.
 */
export function reference<S extends AnySchema>(name: string, options: { readonly schema: S }): ReferenceTable<Infer<S>> {
  if (!isName(name)) throw new TypeError(`reference "${name}": a name matches [a-z][a-z0-9-]{0,30}.`);
  const schema = schemaOf(options.schema);
  if (schema.check(null))
    throw new TypeError(`reference "${name}": the schema allows null, which ends a record. Wrap the value in an object.`);
  return { kind: "reference", name, schema };
}

/** The tables that a job's actors read, each once. Throws TypeError when two declare one name with different schemas. */
export function tablesOf(job: string, actors: readonly Actor[]): ReadonlyMap<string, ReferenceTable<unknown>> {
  const tables = new Map<string, ReferenceTable<unknown>>();
  for (const { references } of actors) {
    for (const { table } of references) {
      const known = tables.get(table.name);
      if (known !== undefined && JSON.stringify(known.schema.json) !== JSON.stringify(table.schema.json)) {
        throw new TypeError(
          `job "${job}": two actors read the table "${table.name}" with different schemas. Declare it once and share it.`,
        );
      }
      tables.set(table.name, known ?? table);
    }
  }
  return tables;
}
