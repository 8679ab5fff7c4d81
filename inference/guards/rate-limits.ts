/**
 * The limits that a question counts for: of its model, of its tenant and of its key. It takes from all of them or from
 * none. Of tenants and keys a bounded number is known; one that is forgotten begins anew.
 */
import { RecentMap } from "../cache/recent-map.ts";
import type { InferenceRequest } from "../inference.ts";
import { RATED_MAX } from "./bounds.ts";
import { type Rate, TokenBucket } from "./token-bucket.ts";

/** Of one model; absent for no limit. */
export interface Rates {
  readonly model?: Rate;
  readonly tenant?: Rate;
  readonly key?: Rate;
}

type Asker = Pick<InferenceRequest, "tenant" | "key">;

/** Tokens that were taken. */
export interface Taken {
  /** Milliseconds until they are there. */
  readonly waitMs: number;
  giveBack(now: number): void;
}

export class RateLimits {
  readonly #rates: Rates;
  readonly #model: TokenBucket | undefined;
  readonly #tenants = new RecentMap<TokenBucket>({ entriesMax: RATED_MAX });
  readonly #keys = new RecentMap<TokenBucket>({ entriesMax: RATED_MAX });

  /** `now`: milliseconds. */
  constructor(rates: Rates, now: number) {
    this.#rates = rates;
    this.#model = rates.model === undefined ? undefined : new TokenBucket(rates.model, now);
  }

  /** Takes what is there within `waitMaxMs`, or says after how many milliseconds it would be. */
  take(asker: Asker, now: number, waitMaxMs: number): Taken | number {
    const buckets = this.#bucketsOf(asker, now);
    const waitMs = buckets.reduce((longest, bucket) => Math.max(longest, bucket.waitMs(now)), 0);
    if (waitMs > waitMaxMs) return waitMs;
    for (const bucket of buckets) bucket.take(now);
    return {
      waitMs,
      giveBack(at) {
        for (const bucket of buckets) bucket.giveBack(at);
      },
    };
  }

  #bucketsOf({ tenant, key }: Asker, now: number): readonly TokenBucket[] {
    const buckets = this.#model === undefined ? [] : [this.#model];
    if (tenant !== undefined && this.#rates.tenant !== undefined) buckets.push(bucketOf(this.#tenants, tenant, this.#rates.tenant, now));
    // Two tenants may use the same key.
    const whole = JSON.stringify([tenant ?? null, key]);
    if (key !== undefined && this.#rates.key !== undefined) buckets.push(bucketOf(this.#keys, whole, this.#rates.key, now));
    return buckets;
  }
}

function bucketOf(known: RecentMap<TokenBucket>, name: string, rate: Rate, now: number): TokenBucket {
  let bucket = known.get(name);
  if (bucket === undefined) {
    bucket = new TokenBucket(rate, now);
    known.set(name, bucket);
  }
  return bucket;
}
