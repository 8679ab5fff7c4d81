/** A token bucket for each of many callers, and for a bounded number of them. */
import type { Clock } from "../../runtime/clock.ts";

interface Bucket {
  tokens: number;
  at: number;
}

/** Beyond it the caller that was not seen for longest starts anew. */
const CALLERS_MAX = 10_000;

export class TokenBuckets {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #clock: Clock;
  /** In the order of their last request. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perSecond: number, burst: number, clock: Clock) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#clock = clock;
  }

  /** Takes one; 0 when there was one, else the seconds until there is. */
  take(caller: string): number {
    const now = this.#clock.monotonic();
    const bucket = this.#buckets.get(caller) ?? { tokens: this.#burst, at: now };
    bucket.tokens = Math.min(this.#burst, bucket.tokens + ((now - bucket.at) / 1000) * this.#perSecond);
    bucket.at = now;
    this.#buckets.delete(caller);
    this.#buckets.set(caller, bucket);
    if (this.#buckets.size > CALLERS_MAX) this.#buckets.delete(this.#buckets.keys().next().value!);
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / this.#perSecond));
    bucket.tokens--;
    return 0;
  }
}
