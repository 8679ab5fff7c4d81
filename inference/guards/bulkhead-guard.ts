/** Lets only so many questions at a time through to a model; the others wait or are refused, as the policy says. */
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { Bulkhead } from "./bulkhead.ts";
import { type OverloadPolicy, waits } from "./overload-policy.ts";

export interface BulkheadGuardOptions {
  /** Of the model; another one for those who ask over the API. */
  readonly bulkhead: Bulkhead;
  readonly policy: OverloadPolicy;
}

export class BulkheadGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: BulkheadGuardOptions;

  constructor(inner: Inferrer, options: BulkheadGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { bulkhead, policy } = this.#options;
    const leave = waits(policy) ? await bulkhead.enter(signal) : bulkhead.tryEnter();
    if (leave === undefined) return { failed: failure("OVERLOADED", "Too many wait for the model.", { again: true }) };
    try {
      return await this.#inner.infer(request, signal);
    } finally {
      leave();
    }
  }
}
