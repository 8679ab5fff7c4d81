/**
 * Repartition: what comes into a job's log from elsewhere. A pump reads another log, or the outputs of a job, gives each
 * event a key of its own and writes it into the job's log, each exactly once. Declared here; run by the runtime.
 */
import type { DeepReadonly } from "./readonly.ts";
import type { Stream } from "./stream.ts";

/** An event as the key function sees it: what its stream's schema says, checked. */
export interface PumpedEvent<T> {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Its key in the source. */
  readonly key: string;
  /** Event time, whole milliseconds. */
  readonly time: number;
  readonly data: DeepReadonly<T>;
}

export interface OutputsSource {
  readonly kind: "outputs";
  readonly job: string;
}

export type PumpSource = { readonly kind: "log"; readonly log: string } | OutputsSource;

/** A pump as a job declares it under `from`. */
export interface Repartition {
  readonly kind: "repartition";
  /** Unique in the log that it feeds; what was pumped is remembered under it. */
  readonly name: string;
  readonly source: PumpSource;
  readonly streams: readonly Stream<unknown>[];
  readonly key: (event: PumpedEvent<unknown>) => string | undefined;
}

export interface RepartitionOptions<T extends readonly unknown[]> {
  /** The events that are taken; all others stay in the source. */
  readonly streams: { readonly [I in keyof T]: Stream<T[I]> };
  /**
   * The event's key in the job's log; `undefined`: it is not taken. A function of the event alone: clocks and randomness
   * are refused, as in handlers. An event at which it throws goes to the job's quarantine, code `pump-key`.
   */
  readonly key: (event: PumpedEvent<T[number]>) => string | undefined;
  /** Default: the source's name, `<log>` or `<job>-out`. Another name begins at the source's beginning. */
  readonly name?: string;
}

const NAME = /^[a-z][a-z0-9-]{0,34}$/;
/** Pumps of one job. */
const PUMPS_MAX = 16;

/**
 * Declares a pump: `repartition("logins", { streams: [login], key: (event) => event.data.userId })`. The source is a log
 * by its name, or {@link outputsOf} a job of the same app.
 */
export function repartition<const T extends readonly unknown[]>(
  source: string | OutputsSource,
  { streams, key, name }: RepartitionOptions<T>,
): Repartition {
  const from: PumpSource = typeof source === "string" ? { kind: "log", log: source } : source;
  const pump = name ?? (from.kind === "log" ? from.log : `${from.job}-out`);
  if (!isPumpName(pump)) throw new TypeError(`repartition "${pump}": a name matches ${NAME}.`);
  if (streams.length === 0) throw new TypeError(`repartition "${pump}": give it at least one stream.`);
  if (typeof key !== "function") throw new TypeError(`repartition "${pump}": key is no function.`);
  return { kind: "repartition", name: pump, source: from, streams: streams as readonly Stream<unknown>[], key: key as Repartition["key"] };
}

/** The outputs of a job of the same app, as the source of a pump. */
export function outputsOf(job: string): OutputsSource {
  return { kind: "outputs", job };
}

/** Whether a text can name a pump. */
export function isPumpName(name: string): boolean {
  return NAME.test(name);
}

/** The pumps of a job, checked against each other and its log. Throws TypeError. */
export function pumpsOf(job: string, log: string, from: readonly Repartition[]): readonly Repartition[] {
  if (from.length > PUMPS_MAX) throw new TypeError(`job "${job}": it is fed by ${from.length} pumps, at most ${PUMPS_MAX}.`);
  const names = new Set<string>();
  for (const { name, source } of from) {
    if (names.has(name)) throw new TypeError(`job "${job}": two pumps are called "${name}". Give one of them a name of its own.`);
    names.add(name);
    if (source.kind === "log" ? source.log === log : source.job === job)
      throw new TypeError(`job "${job}": the pump "${name}" reads what the job itself reads or writes, and would never end.`);
  }
  return from;
}
