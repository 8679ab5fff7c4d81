/** A histogram with fixed bounds: recording compares a few numbers and allocates nothing, so that every event may be recorded, and every answer. */

/** Plain, for it crosses threads. */
export interface HistogramRecord {
  /** Upper bounds, rising, each inclusive; above the last is one bucket more. */
  readonly bounds: readonly number[];
  /** One more than bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  record(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]!++;
    this.#sum += value;
  }

  toRecord(): HistogramRecord {
    return { bounds: this.#bounds, counts: Array.from(this.#counts), sum: this.#sum };
  }
}
