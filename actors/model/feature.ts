/**
 * Features: outputs of which the newest one of each key is also kept where others look it up, for as long as its window lasts. A
 * declaration says so of an output type; the fold knows nothing of it. `runtime/features/` does the keeping.
 */
import type { Actor } from "./actor.ts";
import type { JsonSchema } from "./layout.ts";
import { durationMs, SECOND_MS } from "./time.ts";

export interface FeatureOptions<T> {
  /** How long an output is kept, counted from when it was stored; 1s to 366d. */
  readonly ttl: string | number;
  /**
   * Where a key has several newest outputs, such as one for each currency: the field that tells them apart, a text that every
   * output has. They are kept side by side.
   */
  readonly by?: keyof T & string;
}

export interface Feature {
  /** The output's type without the leading `features.`. */
  readonly name: string;
  readonly ttlMs: number;
  readonly by: string | undefined;
}

const TYPE_ROOT = "features.";
const TTL_MAX_MS = 366 * 86_400_000;

/** Throws TypeError for a declaration that cannot be kept. */
export function featureOf(type: string, json: JsonSchema, options: FeatureOptions<never>): Feature {
  const name = type.slice(TYPE_ROOT.length);
  if (!type.startsWith(TYPE_ROOT) || name.startsWith("_"))
    throw new TypeError(`output "${type}": the type of a feature is features.<name>, and the name does not begin with "_".`);
  const ttlMs = durationMs(options.ttl, `output "${type}" feature.ttl`);
  if (ttlMs < SECOND_MS || ttlMs > TTL_MAX_MS) throw new TypeError(`output "${type}": feature.ttl is 1s to 366d.`);
  const by: string | undefined = options.by;
  const { properties = {}, required = [] } = json;
  if (by !== undefined && !(Object.hasOwn(properties, by) && required.includes(by)))
    throw new TypeError(`output "${type}": feature.by names "${by}", which is no field that the schema requires.`);
  return { name, ttlMs, by };
}

/** The features that a job's actors put out, by output type. Throws TypeError when two declare one type differently. */
export function featuresOf(job: string, actors: readonly Actor[]): ReadonlyMap<string, Feature> {
  const features = new Map<string, Feature>();
  const plain = new Set<string>();
  for (const { type, feature } of actors.flatMap(({ outputs }) => outputs)) {
    const known = features.get(type);
    const differs = known === undefined ? plain.has(type) && feature !== undefined : !isSame(known, feature);
    if (differs)
      throw new TypeError(`job "${job}": two actors declare the output "${type}" with different features. Share one declaration.`);
    if (feature === undefined) plain.add(type);
    else features.set(type, feature);
  }
  return features;
}

function isSame(one: Feature, other: Feature | undefined): boolean {
  return one.ttlMs === other?.ttlMs && one.by === other.by;
}
