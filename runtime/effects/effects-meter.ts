/** What the executor of one shard measures of itself, since its start in this process. It decides nothing. */
import { Histogram, type HistogramRecord } from "../../inference/histogram.ts";

/** Plain, for it crosses threads. */
export interface EffectMeasures {
  /** Calls that are being made, with the attempts so far. */
  readonly inFlight: readonly { readonly id: string; readonly attempts: number }[];
  /** How many of them go to which model; of all models that the job calls. */
  readonly inFlightOfModels: Readonly<Record<string, number>>;
  /** Every attempt of every call. */
  readonly attempts: number;
  /** Seconds from the first attempt of a call to its outcome, of calls that were made. */
  readonly duration: HistogramRecord;
  /** Calls that failed, by code. */
  readonly errors: Readonly<Record<string, number>>;
}

const BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Codes that are counted each for itself; callers have fewer. */
const CODES_MAX = 1_000;

export class EffectsMeter {
  readonly #duration = new Histogram(BOUNDS);
  readonly #errors = new Map<string, number>();
  #attempts = 0;

  attempted(): void {
    this.#attempts++;
  }

  made(ms: number): void {
    this.#duration.record(ms / 1000);
  }

  failed(code: string): void {
    if (this.#errors.size < CODES_MAX || this.#errors.has(code)) this.#errors.set(code, (this.#errors.get(code) ?? 0) + 1);
  }

  toRecord(now: Pick<EffectMeasures, "inFlight" | "inFlightOfModels">): EffectMeasures {
    return { ...now, attempts: this.#attempts, duration: this.#duration.toRecord(), errors: Object.fromEntries(this.#errors) };
  }
}
