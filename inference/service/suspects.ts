/**
 * Tries suspects: what was under way when a process ended is asked again alone. Two deaths of a process of its own
 * convict it, as two deaths convict a unit of the fold that is run by itself. What a server runs ended no process, so it
 * is only asked again: whether it is run alone is known where its model is.
 */
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { AloneInferrer } from "./alone-runner.ts";
import { DEATHS_MAX, TRIALS_MAX } from "./bounds.ts";
import { crashOf } from "./crash.ts";

export class SuspectTrials implements Inferrer {
  readonly #inner: AloneInferrer;
  readonly #onTrial: (request: InferenceRequest) => Promise<void>;

  /** `onTrial` is told when the turn of a run alone has come, which waits for it: a place for writing down that it is a suspect. */
  constructor(inner: AloneInferrer, onTrial: (request: InferenceRequest) => Promise<void> = async () => {}) {
    this.#inner = inner;
    this.#onTrial = onTrial;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    let inference = await this.#inner.infer(request, signal);
    let deaths = 0;
    for (let trial = 0; ; trial++) {
      const crash = crashOf(inference);
      if (crash === undefined || signal.aborted) return inference;
      if (crash === "alone") deaths++;
      if (deaths >= DEATHS_MAX) return { failed: failure("CRASHED", `${deaths} processes that ran nothing else ended while they ran it.`) };
      if (trial >= TRIALS_MAX) return inference;
      const suspect = { ...request, alone: true };
      inference = await this.#inner.infer(suspect, signal, () => this.#onTrial(suspect));
    }
  }
}
