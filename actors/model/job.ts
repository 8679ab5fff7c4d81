/**
 * Jobs: one log, one or more actor types, one shard per partition. The options of a job are part of its code epoch:
 * the fold sees them, so changing one changes the history from there on.
 */
import { type Actor, isName } from "./actor.ts";
import { type Feature, featuresOf } from "./feature.ts";
import { type ReferenceTable, tablesOf } from "./reference.ts";
import { pumpsOf, type Repartition } from "./repartition.ts";
import type { ShippedModel } from "./shipped-model.ts";
import { durationMs } from "./time.ts";

export interface JobOptions<A extends readonly Actor[] = readonly Actor[]> {
  readonly log: string;
  readonly actors: A;
  /** How far behind the greatest event time the watermark stays. Default 10s. */
  readonly outOfOrderness?: string | number;
  /** How far behind the watermark an event is still applied. Default 5m. */
  readonly allowedLateness?: string | number;
  /** How long an event id is remembered, in event time. At least outOfOrderness + allowedLateness. Default 24h. */
  readonly dedupeHorizon?: string | number;
  /** An event further ahead of its log time goes to quarantine. Default 24h. */
  readonly maxAhead?: string | number;
  /** `advance`: after `idleAfter` without a valid event the watermark follows the log's time. `hold`: it does not. Default `advance`. */
  readonly idle?: "advance" | "hold";
  /** Default 60s of log time. */
  readonly idleAfter?: string | number;
  /**
   * Event types of the log that this job leaves to others; one that nobody takes goes to quarantine. The types of the
   * app's other jobs on the same log are added when the app is loaded.
   */
  readonly otherTypes?: readonly string[];
  /** Pumps that feed the log from elsewhere, each with {@link repartition}. Declared by one job of the log. */
  readonly from?: readonly Repartition[];
  /** Models that come with the app, each with {@link shippedModel}. */
  readonly models?: readonly ShippedModel[];
}

/** Every option that the fold sees, in milliseconds; recorded in the epoch. */
export interface FoldSettings {
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  readonly dedupeHorizonMs: number;
  readonly maxAheadMs: number;
  readonly idle: "advance" | "hold";
  readonly idleAfterMs: number;
  /** Sorted; none that the job itself takes. */
  readonly otherTypes: readonly string[];
  /** Names of the pumps that feed the log, sorted: its watermark is the least of their sources'. Absent when none does. */
  readonly pumps?: readonly string[];
}

export interface Job<A extends readonly Actor[] = readonly Actor[]> {
  readonly kind: "job";
  readonly name: string;
  /** Of a generation: the job whose history it took over, see {@link generationOf}. */
  readonly origin?: string;
  readonly log: string;
  readonly actors: A;
  /** Reference tables that its actors read, by name. */
  readonly tables: ReadonlyMap<string, ReferenceTable<unknown>>;
  /** Outputs that are also kept as features, by type. */
  readonly features: ReadonlyMap<string, Feature>;
  /** Pumps that it declares. */
  readonly from: readonly Repartition[];
  /** Models that come with it. */
  readonly models?: readonly ShippedModel[];
  /** The app's other jobs on its log. */
  readonly beside?: readonly Job[];
  /** Jobs that come with it: the later stages of a flow. */
  readonly stages?: readonly Job[];
  /** The greatest version of its actors; written into every output. */
  readonly version: number;
  readonly settings: FoldSettings;
}

const GENERATION = /^[a-z][a-z0-9]{0,15}$/;
const RESERVED_END = /-(out|reference|skips|\d+)$/;

export function job<const A extends readonly Actor[]>(name: string, options: JobOptions<A>): Job<A> {
  checkName("job", name);
  checkName("log", options.log);
  if (options.actors.length === 0) throw new TypeError(`job "${name}": give it at least one actor.`);
  const names = new Set(options.actors.map((actor) => actor.name));
  if (names.size !== options.actors.length) throw new TypeError(`job "${name}": two actors have the same name.`);
  const from = pumpsOf(name, options.log, options.from ?? []);
  const settings: FoldSettings = {
    outOfOrdernessMs: durationMs(options.outOfOrderness ?? "10s", `job "${name}" outOfOrderness`),
    allowedLatenessMs: durationMs(options.allowedLateness ?? "5m", `job "${name}" allowedLateness`),
    dedupeHorizonMs: durationMs(options.dedupeHorizon ?? "24h", `job "${name}" dedupeHorizon`),
    maxAheadMs: durationMs(options.maxAhead ?? "24h", `job "${name}" maxAhead`),
    idle: options.idle ?? "advance",
    idleAfterMs: durationMs(options.idleAfter ?? "60s", `job "${name}" idleAfter`),
    otherTypes: typesOfOthers(options.actors, options.otherTypes ?? []),
    ...pumpSetting(from),
  };
  if (settings.dedupeHorizonMs < settings.outOfOrdernessMs + settings.allowedLatenessMs) {
    throw new TypeError(
      `job "${name}": dedupeHorizon is shorter than outOfOrderness + allowedLateness, so a late duplicate would be applied twice. Lengthen it.`,
    );
  }
  return {
    kind: "job",
    name,
    log: options.log,
    actors: options.actors,
    tables: tablesOf(name, options.actors),
    features: featuresOf(name, options.actors),
    from,
    ...(options.models === undefined ? {} : { models: options.models }),
    version: Math.max(...options.actors.map((actor) => actor.version)),
    settings,
  };
}

/**
 * The job under whose name a generation of it runs: the same log, actors and settings, with its own outputs, journal and
 * epochs. It neither declares nor owns pumps: those that feed the log are its origin's. Throws TypeError for a name that none may have.
 */
export function generationOf<A extends readonly Actor[]>(origin: Job<A>, generation: string): Job<A> {
  if (!GENERATION.test(generation)) throw new TypeError(`generation "${generation}": a name matches [a-z][a-z0-9]{0,15}.`);
  const name = `${origin.name}-${generation}`;
  checkName("generation", name);
  const { stages: _stages, models: _models, ...rest } = origin;
  return { ...rest, name, origin: origin.name, from: [] };
}

/** The job that a generation is of; a job is its own. */
export function lineageOf({ name, origin }: Pick<Job, "name" | "origin">): string {
  return origin ?? name;
}

/** Jobs of one app: those on the same log leave each other's events alone, and know the pumps that feed it. */
export function besideEachOther(jobs: readonly Job[]): readonly Job[] {
  return jobs.map((job) => {
    const onLog = jobs.filter(({ log }) => log === job.log);
    const types = onLog.flatMap(({ actors }) => actors.flatMap(typesOf));
    const otherTypes = typesOfOthers(job.actors, [...job.settings.otherTypes, ...types]);
    const settled = withSettings(job, { otherTypes, ...pumpSetting(onLog.flatMap(({ from }) => from)) });
    const beside = onLog.filter((other) => other !== job);
    return beside.length === 0 ? settled : { ...settled, beside };
  });
}

function pumpSetting(from: readonly Repartition[]): Pick<FoldSettings, "pumps"> {
  return from.length === 0 ? {} : { pumps: [...new Set(from.map(({ name }) => name))].sort() };
}

/** The job with other settings: how a node applies its own configuration before the epoch records it. */
export function withSettings(base: Job, settings: Partial<FoldSettings>): Job {
  return { ...base, settings: { ...base.settings, ...settings } };
}

function typesOf({ streams }: Actor): readonly string[] {
  return streams.map(({ type }) => type);
}

function typesOfOthers(actors: readonly Actor[], types: readonly string[]): readonly string[] {
  const own = new Set(actors.flatMap(typesOf));
  return [...new Set(types)].filter((type) => !own.has(type)).sort();
}

function checkName(what: string, name: string): void {
  if (!isName(name)) throw new TypeError(`${what} "${name}": a name matches [a-z][a-z0-9-]{0,30}.`);
  if (RESERVED_END.test(name))
    throw new TypeError(`${what} "${name}": a name does not end in -out, -reference, -skips or -<digits>; those are Tidemark's streams.`);
}
