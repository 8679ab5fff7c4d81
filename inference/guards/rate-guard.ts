/**
 * Keeps a model's, a tenant's and a key's rates. What is over a rate waits for its time, when the policy is to wait and
 * its deadline leaves it that; else it is refused, and told when it could have come.
 */
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { RATE_WAITING_MAX } from "./bounds.ts";
import type { GuardClock } from "./guard-clock.ts";
import { type OverloadPolicy, waits } from "./overload-policy.ts";
import type { RateLimits } from "./rate-limits.ts";

export interface RateGuardOptions {
  readonly limits: RateLimits;
  readonly policy: OverloadPolicy;
  readonly clock: GuardClock;
}

export class RateGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: RateGuardOptions;
  #waiting = 0;

  constructor(inner: Inferrer, options: RateGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { limits, policy, clock } = this.#options;
    const now = clock.now();
    const mayWait = waits(policy) && this.#waiting < RATE_WAITING_MAX;
    const taken = limits.take(request, now, mayWait ? Math.max(0, request.deadline - now - 1) : 0);
    if (typeof taken === "number")
      return { failed: failure("RATE_LIMITED", "More is asked in this time than the limit allows.", { again: true, waitMs: taken }) };
    if (taken.waitMs > 0) {
      this.#waiting++;
      await clock.sleep(taken.waitMs, signal).finally(() => this.#waiting--);
      if (signal.aborted) {
        taken.giveBack(clock.now());
        return { failed: failure("RATE_LIMITED", "It ended before its time had come.", { again: true }) };
      }
    }
    return this.#inner.infer(request, signal);
  }
}
