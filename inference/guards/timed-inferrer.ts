/** Says how long an answer took with everything that is around the model: waiting, repetitions, the fallback. The outermost guard. */
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";

export class TimedInferrer implements Inferrer {
  readonly #inner: Inferrer;
  /** Milliseconds from an arbitrary start, never falling. */
  readonly #monotonic: () => number;

  constructor(inner: Inferrer, monotonic: () => number) {
    this.#inner = inner;
    this.#monotonic = monotonic;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const from = this.#monotonic();
    const inference = await this.#inner.infer(request, signal);
    return "failed" in inference ? inference : { ...inference, latencyMs: this.#monotonic() - from };
  }
}
