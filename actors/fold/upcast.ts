/**
 * Data of an event as its stream declares it now: of the newest version, whichever it was published as. The event itself
 * stays what was sent: its identity, its excerpts and activated schemas are those of the data that stands in the log.
 *
 * A version is what the event's `dataschema` names, where the schemas have ids; else the newest that the data fits.
 * Every step is checked against the schema that it leads to.
 */
import { HandlerError } from "../model/handler-error.ts";
import { layoutOf } from "../model/layout.ts";
import type { Schema } from "../model/schema.ts";
import type { Stream } from "../model/stream.ts";
import { EVENT_MAX_BYTES } from "./bounds.ts";
import type { Envelope } from "./envelope.ts";
import { failureOf } from "./side-outputs.ts";

/** Why an event is none of the stream's: a quarantine code, and where and why. */
export interface RefusedVersion {
  readonly code: "schema" | "schema-version" | "upcast";
  readonly reason: string;
}

type Sent = Pick<Envelope, "data" | "dataSchema">;
type Versions = Pick<Stream<unknown>, "schema" | "older">;

const ANY = layoutOf({});

/**
 * The data, or why there is none. Runs code of the app's, so it is called as a handler is. `unquoted`: see
 * {@link Schema.explain}.
 */
export function newestData({ schema, older }: Versions, sent: Sent, unquoted?: true): { readonly data: unknown } | RefusedVersion {
  if (older.length === 0) return schema.check(sent.data) ? { data: sent.data } : mismatch(schema, sent.data, "", unquoted);
  const version = versionOf({ schema, older }, sent, unquoted);
  if (typeof version === "object") return version;
  // Other actors of the job read the same data, with a declaration of their own.
  if (version > 0) freeze(sent.data);
  let { data } = sent;
  for (let step = version - 1; step >= 0; step--) {
    const to = step === 0 ? schema : older[step - 1]!.schema;
    try {
      data = checkedStep(older[step]!.up(data as never), to, unquoted);
    } catch (thrown) {
      // Versions count from the oldest, so that a number stays when a newer one comes.
      return { code: "upcast", reason: `version ${older.length - step} of the data: ${failureOf(thrown).message}` };
    }
  }
  return { data };
}

/** How many steps the data is from the newest version. */
function versionOf({ schema, older }: Versions, { data, dataSchema }: Sent, unquoted: true | undefined): number | RefusedVersion {
  const schemas = [schema, ...older.map((version) => version.schema)];
  if (dataSchema !== undefined && schemas.some(({ json }) => json.$id !== undefined)) {
    const named = schemas.findIndex(({ json }) => json.$id === dataSchema);
    if (named === -1) return { code: "schema-version", reason: "dataschema names no version of the type that this build knows" };
    return schemas[named]!.check(data) ? named : mismatch(schemas[named]!, data, `, version ${schemas.length - named}`, unquoted);
  }
  const fitting = schemas.findIndex((candidate) => candidate.check(data));
  return fitting === -1 ? mismatch(schema, data, `, and fits none of the ${older.length} older versions`, unquoted) : fitting;
}

/** What a handler may get: plain JSON that fits the schema of its version, within the bound of an event. */
function checkedStep(made: unknown, to: Schema<unknown>, unquoted: true | undefined): unknown {
  if (made instanceof Promise) made.catch(() => {});
  const size = { bytes: 0 };
  const data = normalized(made, size, unquoted);
  if (size.bytes > EVENT_MAX_BYTES)
    throw new HandlerError("UPCAST", `made data of ${size.bytes} bytes, at most ${EVENT_MAX_BYTES}. Keep less.`);
  if (!to.check(data)) throw new HandlerError("UPCAST", `made data that does not fit the next version: ${to.explain(data, unquoted)}`);
  return data;
}

/** Where something cannot be kept, the place may be a key of a record. */
function normalized(made: unknown, size: { bytes: number }, unquoted: true | undefined): unknown {
  try {
    return ANY.normalize(made, "data", size);
  } catch (error) {
    if (unquoted === undefined) throw error;
    throw new HandlerError("UPCAST", "made data that cannot be kept");
  }
}

function mismatch(schema: Schema<unknown>, data: unknown, suffix: string, unquoted: true | undefined): RefusedVersion {
  return { code: "schema", reason: `data ${schema.explain(data, unquoted)}${suffix}` };
}

/** Deep; what nests deeper than data may was refused before. */
export function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freeze(part);
}
