/**
 * Answers again what was answered before, without asking the model: the same version, the same input, the same
 * tenant and residency. Equal questions at once make one call. Failures are not kept, nor what another cache or another
 * model answered. What comes from here costs nothing.
 */
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { type Answer, type AnswerCache, questionKey } from "./answer-cache.ts";
import { SingleFlight } from "./single-flight.ts";

export interface CachedInferrerOptions {
  /** Models may share one. */
  readonly cache: AnswerCache;
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
}

export class CachedInferrer implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: CachedInferrerOptions;
  readonly #flights = new SingleFlight();

  constructor(inner: Inferrer, options: CachedInferrerOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { cache, now } = this.#options;
    const key = questionKey(request);
    const from = now();
    for (;;) {
      const kept = cache.get(key, now());
      if (kept !== undefined) return fromCache(request, kept, now() - from);
      const { inference, own, deadline } = await this.#flights.join(key, request.deadline, signal, (end) => this.#ask(key, request, end));
      if (own || signal.aborted) return inference;
      if (!("failed" in inference)) return fromCache(request, inference, now() - from);
      // The rate of the actor that the call was made for says nothing of this one's.
      if (inference.failed.code === "RATE_LIMITED") return await this.#ask(key, request, signal);
      // Or that one had less time: then this one asks.
      if (now() < deadline || now() >= request.deadline) return inference;
    }
  }

  async #ask(key: string, request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { cache, now } = this.#options;
    const inference = await this.#inner.infer(request, signal);
    const isOwn =
      !("failed" in inference) && inference.cached === "no" && inference.model === request.model && inference.version === request.version;
    if (isOwn && !signal.aborted) cache.put(key, inference, now());
    return inference;
  }
}

function fromCache({ model, version }: InferenceRequest, { output, confidence }: Answer, latencyMs: number): Inference {
  return { output, confidence, model, version, latencyMs, cached: "exact", units: 0 };
}
