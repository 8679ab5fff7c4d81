/**
 * Something that is opened with the first need of it and kept. When that failed, as without memory, whoever needs it
 * gets the same failure for a while, twice as long each time; then it is tried again.
 */
import { REOPEN_MAX_MS, REOPEN_MS } from "./bounds.ts";

export class Opening<T> {
  readonly #open: () => Promise<T>;
  readonly #monotonic: () => number;
  #opening: Promise<T> | undefined;
  #failures = 0;
  /** Milliseconds by `monotonic`. */
  #againAt = 0;

  constructor(open: () => Promise<T>, monotonic: () => number) {
    this.#open = open;
    this.#monotonic = monotonic;
  }

  /** Rejects as opening it did. */
  get(): Promise<T> {
    if (this.#opening !== undefined && this.#monotonic() < this.#againAt) return this.#opening;
    const opening = this.#open();
    this.#opening = opening;
    this.#againAt = Number.POSITIVE_INFINITY;
    opening.catch(() => {
      this.#againAt = this.#monotonic() + Math.min(REOPEN_MS * 2 ** this.#failures, REOPEN_MAX_MS);
      this.#failures += 1;
    });
    return opening;
  }
}
