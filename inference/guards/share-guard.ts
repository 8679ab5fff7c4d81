/**
 * Keeps one tenant, or one key, from taking all places of a model: so many questions of one asker at a time. It stands
 * outside of the model's own bulkhead, so that who waits here holds none of its places and fills no queue of others.
 */
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { Bulkhead, type BulkheadOptions } from "./bulkhead.ts";
import { type OverloadPolicy, waits } from "./overload-policy.ts";

export interface ShareGuardOptions {
  /** Of each asker. */
  readonly share: BulkheadOptions;
  /** Who asks; `undefined` for one without a limit. */
  readonly askerOf: (request: InferenceRequest) => string | undefined;
  readonly policy: OverloadPolicy;
}

export class ShareGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: ShareGuardOptions;
  /** Of those that have a question under way, so no more than there are questions. */
  readonly #shares = new Map<string, Bulkhead>();

  constructor(inner: Inferrer, options: ShareGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  /** Those that have a question under way. */
  get askers(): number {
    return this.#shares.size;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { share, askerOf, policy } = this.#options;
    const asker = askerOf(request);
    if (asker === undefined) return this.#inner.infer(request, signal);
    const bulkhead = this.#shares.get(asker) ?? new Bulkhead(share);
    this.#shares.set(asker, bulkhead);
    const leave = waits(policy) ? await bulkhead.enter(signal) : bulkhead.tryEnter();
    try {
      if (leave !== undefined) return await this.#inner.infer(request, signal);
      return { failed: failure("OVERLOADED", "Too much of one asker waits for the model.", { again: true }) };
    } finally {
      leave?.();
      // One that was refused may come here late, when another share has taken the place of its own.
      if (bulkhead.taken === 0 && this.#shares.get(asker) === bulkhead) this.#shares.delete(asker);
    }
  }
}
