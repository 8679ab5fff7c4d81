/**
 * Asks another model when this one fails or is left alone. The answer names the model that gave it. A fallback has none
 * of its own: the chain is two long.
 */
import type { InferenceFailureCode } from "../failures.ts";
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { GuardClock } from "./guard-clock.ts";
import { degrades, type OverloadPolicy } from "./overload-policy.ts";

export interface FallbackGuardOptions {
  readonly fallback: Inferrer;
  /** Which version of which model the fallback is at the moment; `undefined` for none. */
  readonly target: () => Pick<InferenceRequest, "model" | "version"> | undefined;
  readonly policy: OverloadPolicy;
  /** Milliseconds before the deadline that are left to the fallback: the model is given up then. 0 for none. */
  readonly reserveMs: number;
  readonly clock: GuardClock;
}

const OVERLOADS: ReadonlySet<InferenceFailureCode> = new Set<InferenceFailureCode>(["OVERLOADED", "RATE_LIMITED"]);

export class FallbackGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: FallbackGuardOptions;

  constructor(inner: Inferrer, options: FallbackGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const target = this.#options.target();
    if (target === undefined) return this.#inner.infer(request, signal);
    const inference = await this.#inTime(request, signal);
    if (!("failed" in inference) || signal.aborted || !this.#isForFallback(inference.failed.code)) return inference;
    if (this.#options.clock.now() >= request.deadline) return inference;
    // Another id, for one server may have both models, and knows a question by it.
    const second = await this.#options.fallback.infer({ ...request, ...target, id: `${request.id}.fallback` }, signal);
    // Of two failures the first says more: it is of the model that was asked for.
    return "failed" in second ? inference : { ...second, ...target };
  }

  /** What is wrong with the input, another model does not mend. */
  #isForFallback(code: InferenceFailureCode): boolean {
    return code !== "INPUT_REFUSED" && (degrades(this.#options.policy) || !OVERLOADS.has(code));
  }

  async #inTime(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { reserveMs, clock } = this.#options;
    if (reserveMs === 0) return this.#inner.infer(request, signal);
    const end = new AbortController();
    const ended = new AbortController();
    const stop = (): void => end.abort();
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    const deadline = request.deadline - reserveMs;
    const late: Inference = { failed: failure("TIMEOUT", `No answer came within its time, which leaves ${reserveMs} ms to the fallback.`) };
    const atDeadline = clock.sleep(deadline - clock.now(), ended.signal).then((): Inference => {
      if (!ended.signal.aborted) stop();
      return late;
    });
    try {
      return await Promise.race([this.#inner.infer({ ...request, deadline }, end.signal), atDeadline]);
    } finally {
      ended.abort();
      signal.removeEventListener("abort", stop);
    }
  }
}
