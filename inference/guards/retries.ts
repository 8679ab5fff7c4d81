/**
 * Asks again what may end otherwise: twice, with a pause that doubles and has some chance in it, and never past the
 * deadline. The request stays the same, so that its id tells a server that it is the same question. What was refused here
 * before anybody was asked, as by a circuit that is open, is not asked again: the one who asks has other ways.
 */
import type { InferenceFailureCode } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { ATTEMPTS_MAX, BACKOFF_MS } from "./bounds.ts";
import type { GuardClock } from "./guard-clock.ts";

export interface RetryOptions {
  readonly clock: GuardClock;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Before each attempt behind the first. */
  readonly onRetry?: (request: InferenceRequest) => void;
}

const REFUSED_HERE: ReadonlySet<InferenceFailureCode> = new Set<InferenceFailureCode>(["CIRCUIT_OPEN", "OVERLOADED", "RATE_LIMITED"]);

export class RetryingInferrer implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: RetryOptions;

  constructor(inner: Inferrer, options: RetryOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { clock, random, onRetry } = this.#options;
    for (let attempt = 1; ; attempt++) {
      const inference = await this.#inner.infer(request, signal);
      if (!("failed" in inference) || attempt === ATTEMPTS_MAX || signal.aborted) return inference;
      const { again, waitMs, code } = inference.failed;
      if (!again || REFUSED_HERE.has(code)) return inference;
      const pause = Math.max(waitMs, BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + random() / 2));
      // What would come too late is not waited for: the reason at hand says more than a timeout.
      if (clock.now() + pause >= request.deadline) return inference;
      await clock.sleep(pause, signal);
      if (signal.aborted) return inference;
      onRetry?.(request);
    }
  }
}
