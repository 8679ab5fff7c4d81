/**
 * Refuses an endpoint that is not where the data may be, before any of it goes out. An endpoint that does not say where
 * it is may have no data with a tag, and a tag that is not known allows nothing.
 */
import { failure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";

/** Regions by tag: where data with that tag may be. */
export type Residencies = ReadonlyMap<string, ReadonlySet<string>>;

export interface ResidencyGuardOptions {
  /** Of the endpoint. */
  readonly region: string | undefined;
  readonly residencies: Residencies;
}

export class ResidencyGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: ResidencyGuardOptions;

  constructor(inner: Inferrer, options: ResidencyGuardOptions) {
    this.#inner = inner;
    this.#options = options;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { region, residencies } = this.#options;
    const { residency } = request;
    if (residency === undefined) return this.#inner.infer(request, signal);
    if (region !== undefined && residencies.get(residency)?.has(region) === true) return this.#inner.infer(request, signal);
    const where = region === undefined ? "says of no region that it is there" : `is in ${region}`;
    return { failed: failure("RESIDENCY", `The endpoint ${where}; data with the residency "${residency}" may not go there.`) };
  }
}
