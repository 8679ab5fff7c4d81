/** What the inference process measures of each model since its start. It decides nothing. */

import { Histogram, type HistogramRecord } from "../histogram.ts";
import type { Inference } from "../inference.ts";
import { CODES_MAX, MEASURED_MAX } from "./bounds.ts";

export interface ModelMeasures {
  readonly model: string;
  readonly version: number;
  /** Inputs that wait for the model itself. */
  readonly queued: number;
  /** Begun and not ended. */
  readonly inFlight: number;
  /** Ended, failures included. */
  readonly inferences: number;
  /** Failures by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** Answers from the cache. */
  readonly cached: { readonly exact: number; readonly semantic: number };
  /** In the model's own unit. */
  readonly units: number;
  /** In seconds. */
  readonly duration: HistogramRecord;
  /** Of answers that have one; fallbacks' and those of the cache included. */
  readonly confidence: HistogramRecord;
  /** Had no answer within the time that the version's record says; `null` where it says none. */
  readonly sloBreaches: number | null;
}

export interface ServiceMeasures {
  /** When the process began to count, in milliseconds of its clock: another one counts from 0 again. */
  readonly startedAt: number;
  readonly models: readonly ModelMeasures[];
  readonly modelsOpen: number;
  readonly connections: number;
  /** Asked on demand and waiting. */
  readonly onDemandWaiting: number;
  /** Suspects that wait to be run alone. */
  readonly aloneWaiting: number;
  /** Processes that ended with a suspect. */
  readonly aloneDeaths: number;
}

const DURATION_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Closer where most models are, and where their least confidence is set. */
const CONFIDENCE_BOUNDS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99, 1];

export class ModelMeter {
  inFlight = 0;
  #inferences = 0;
  #exact = 0;
  #semantic = 0;
  #units = 0;
  #breaches: number | null = null;
  readonly #errors = new Map<string, number>();
  readonly #duration = new Histogram(DURATION_BOUNDS);
  readonly #confidence = new Histogram(CONFIDENCE_BOUNDS);

  /** One that was expected within `sloMs` is over after `ms`, whatever became of it: cancelled at its deadline it is late too. */
  expected(sloMs: number, ms: number): void {
    this.#breaches = (this.#breaches ?? 0) + (ms > sloMs ? 1 : 0);
  }

  ended(inference: Inference, ms: number): void {
    this.#inferences++;
    this.#duration.record(ms / 1000);
    if ("failed" in inference) {
      const { code } = inference.failed;
      if (this.#errors.size < CODES_MAX || this.#errors.has(code)) this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
      return;
    }
    this.#units += inference.units;
    if (inference.confidence !== null) this.#confidence.record(inference.confidence);
    if (inference.cached === "exact") this.#exact++;
    else if (inference.cached === "semantic") this.#semantic++;
  }

  toRecord(model: string, version: number, queued: number): ModelMeasures {
    return {
      model,
      version,
      queued,
      inFlight: this.inFlight,
      inferences: this.#inferences,
      errors: Object.fromEntries(this.#errors),
      cached: { exact: this.#exact, semantic: this.#semantic },
      units: this.#units,
      duration: this.#duration.toRecord(),
      confidence: this.#confidence.toRecord(),
      sloBreaches: this.#breaches,
    };
  }
}

/** A meter for each version of a model, kept when the model is closed: what is counted never falls. */
export class ModelMeters {
  readonly #meters = new Map<string, { readonly model: string; readonly version: number; readonly meter: ModelMeter }>();

  of(model: string, version: number): ModelMeter {
    const key = `${version} ${model}`;
    const there = this.#meters.get(key);
    if (there !== undefined) return there.meter;
    // Those over the bound are measured together, under no name.
    if (this.#meters.size >= MEASURED_MAX && model !== "") return this.of("", 0);
    const meter = new ModelMeter();
    this.#meters.set(key, { model, version, meter });
    return meter;
  }

  toRecords(queued: (model: string, version: number) => number): ModelMeasures[] {
    return [...this.#meters.values()].map(({ model, version, meter }) => meter.toRecord(model, version, queued(model, version)));
  }
}
