/**
 * A rate with some room for bursts: a bucket of tokens that fills evenly, a question taking one. A token may be taken
 * before it is there, by one who waits until it is: so all wait in the order in which they came, and nobody asks twice.
 */

export interface Rate {
  /** Questions in a second, on the whole. */
  readonly perSecond: number;
  /** Questions at once, after a time without any. */
  readonly burst: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  /** Below 0 for those that were taken before they are there. */
  #tokens: number;
  #at: number;

  /** `now`: milliseconds. */
  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** Milliseconds until a token taken now is there; takes none. */
  waitMs(now: number): number {
    this.#fill(now);
    // The smallest part of a token is lost in adding up; it would make somebody wait for nothing.
    const missing = 1 - this.#tokens - 1e-9;
    return missing <= 0 ? 0 : Math.ceil((missing * 1_000) / this.#rate.perSecond);
  }

  take(now: number): void {
    this.#fill(now);
    this.#tokens--;
  }

  /** A token that was taken and not used. */
  giveBack(now: number): void {
    this.#fill(now);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + 1);
  }

  /** A clock that is set back fills nothing. */
  #fill(now: number): void {
    const passed = Math.max(0, now - this.#at);
    this.#tokens = Math.min(this.#rate.burst, this.#tokens + (passed * this.#rate.perSecond) / 1_000);
    this.#at = now;
  }
}
