/**
 * What a job reads and writes: a stream is a typed view of one event type of the job's log, an output a typed event
 * that an actor emits. A type is dot-joined tokens of `[A-Za-z0-9_-]`, at most 128 bytes.
 *
 * Events of one type may have been published under several schemas. A stream is declared with the newest, and says how
 * data of each older one becomes data of the next; handlers see the newest alone.
 */
import { type Feature, type FeatureOptions, featureOf } from "./feature.ts";
import type { DeepReadonly } from "./readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "./schema.ts";

const TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const TYPE_MAX_BYTES = 128;
const OLDER_VERSIONS_MAX = 64;

export interface Stream<T> {
  readonly kind: "stream";
  readonly type: string;
  readonly schema: Schema<T>;
  /** Newest first. */
  readonly older: readonly OlderVersion[];
}

/** What an event's data was once, and how it becomes data of the version after. */
export interface OlderVersion {
  readonly schema: Schema<unknown>;
  readonly up: (data: never) => unknown;
}

/** A stream that takes older versions too; `O` is the oldest so far. */
export interface VersionedStream<T, O> extends Stream<T> {
  /**
   * The same stream, which also takes events of the version before the oldest declared so far. `up` makes its data data
   * of that one. It is a pure function, guarded as a handler is. An event whose `dataschema` is the `$id` of one of the schemas is
   * of that version, another one of the newest that its data fits.
   */
  upcast<S extends AnySchema>(schema: S, up: (data: DeepReadonly<Infer<S>>) => DeepReadonly<O>): VersionedStream<T, Infer<S>>;
}

export interface OutputType<T> {
  readonly kind: "output";
  readonly type: string;
  readonly schema: Schema<T>;
  /** Set where the newest output of each key is also kept as a feature. */
  readonly feature: Feature | undefined;
}

/** Declares the events of one type: `stream("meter.reading", { schema: Type.Object({ … }) })`. */
export function stream<S extends AnySchema>(type: string, options: { readonly schema: S }): VersionedStream<Infer<S>, Infer<S>> {
  return versioned(checkType(type), schemaOf(options.schema), []);
}

/**
 * Declares an output type: `output("meter.daily-total", { schema: Type.Object({ … }) })`. Types under `tidemark.` are the runtime's own.
 * With `feature` the newest output of each key is also kept as a feature: `output("features.spend-1h", { schema, feature: { ttl: "1h" } })`.
 */
export function output<S extends AnySchema>(
  type: string,
  options: { readonly schema: S; readonly feature?: FeatureOptions<NoInfer<Infer<S>>> },
): OutputType<Infer<S>> {
  if (type.startsWith("tidemark."))
    throw new TypeError(`output "${type}": types under "tidemark." are the runtime's own. Choose another name.`);
  checkType(type);
  const schema = schemaOf(options.schema);
  return {
    kind: "output",
    type,
    schema,
    feature: options.feature && featureOf(type, schema.json, options.feature as FeatureOptions<never>),
  };
}

/** Whether a text can be an event type. */
export function isType(type: string): boolean {
  return type.length <= TYPE_MAX_BYTES && TYPE.test(type);
}

function versioned<T, O>(type: string, schema: Schema<T>, older: readonly OlderVersion[]): VersionedStream<T, O> {
  return {
    kind: "stream",
    type,
    schema,
    older,
    upcast(before, up) {
      if (older.length >= OLDER_VERSIONS_MAX) throw new TypeError(`stream "${type}": at most ${OLDER_VERSIONS_MAX} older versions.`);
      const added = { schema: schemaOf(before), up };
      const id = added.schema.json.$id;
      if (id !== undefined && [schema, ...older.map((version) => version.schema)].some(({ json }) => json.$id === id))
        throw new TypeError(`stream "${type}": two versions have the $id "${String(id)}". Give each its own.`);
      return versioned(type, schema, [...older, added]);
    },
  };
}

function checkType(type: string): string {
  if (!isType(type))
    throw new TypeError(`type "${type}": write tokens of A-Z a-z 0-9 _ - joined by dots, at most ${TYPE_MAX_BYTES} bytes.`);
  return type;
}
