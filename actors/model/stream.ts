/**
 * What a job reads and writes: a stream is a typed view of one event type of the job's log, an output a typed event
 * that an actor emits. A type is dot-joined tokens of `[A-Za-z0-9_-]`, at most 128 bytes.
 */
import { type Feature, type FeatureOptions, featureOf } from "./feature.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "./schema.ts";

const TYPE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const TYPE_MAX_BYTES = 128;

export interface Stream<T> {
  readonly kind: "stream";
  readonly type: string;
  readonly schema: Schema<T>;
}

export interface OutputType<T> {
  readonly kind: "output";
  readonly type: string;
  readonly schema: Schema<T>;
  /** Set where the newest output of each key is also kept as a feature. */
  readonly feature: Feature | undefined;
}

/** Declares the events of one type: `stream("meter.reading", { schema: Type.Object({ … }) })`. */
export function stream<S extends AnySchema>(type: string, options: { readonly schema: S }): Stream<Infer<S>> {
  return { kind: "stream", type: checkType(type), schema: schemaOf(options.schema) };
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

function checkType(type: string): string {
  if (!isType(type))
    throw new TypeError(`type "${type}": write tokens of A-Z a-z 0-9 _ - joined by dots, at most ${TYPE_MAX_BYTES} bytes.`);
  return type;
}
