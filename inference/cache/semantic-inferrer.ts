/**
 * Answers again what was answered for a text that means the same, as an embedding model sees it. Only the one text may
 * differ: everything else of the input, the version, the tenant and the residency must be equal, for a sum or a name
 * that is another one is another question. Without an embedding it asks the model: a cache that fails is none.
 */
import { hash } from "node:crypto";
import { canonicalJson } from "../../actors/fold/canonical.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import { THRESHOLD_DEFAULT, TTL_DEFAULT_MS } from "./bounds.ts";
import { VectorIndex } from "./vector-index.ts";

/** The vector of a text; `undefined` when there is none. */
export type Embedder = (text: string, request: InferenceRequest, signal: AbortSignal) => Promise<readonly number[] | undefined>;

export interface SemanticInferrerOptions {
  readonly embed: Embedder;
  /** Field of the input whose text may differ. */
  readonly field: string;
  /** Milliseconds by the machine's clock. */
  readonly now: () => number;
  /** Cosine from which on two texts are taken for the same. */
  readonly threshold?: number;
  readonly ttlMs?: number;
  readonly vectorsMax?: number;
}

interface Kept {
  /** As text, so that nobody can change it for those who get it later. */
  readonly output: string;
  readonly confidence: number | null;
}

export class SemanticInferrer implements Inferrer {
  readonly #inner: Inferrer;
  readonly #options: SemanticInferrerOptions;
  readonly #index: VectorIndex<Kept>;

  constructor(inner: Inferrer, options: SemanticInferrerOptions) {
    this.#inner = inner;
    this.#options = options;
    const { ttlMs = TTL_DEFAULT_MS, vectorsMax } = options;
    this.#index = new VectorIndex(vectorsMax === undefined ? { ttlMs } : { ttlMs, vectorsMax });
  }

  get entries(): number {
    return this.#index.size;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const { embed, field, now, threshold = THRESHOLD_DEFAULT } = this.#options;
    const { model, version } = request;
    const question = questionOf(request, field);
    if (question === undefined) return this.#inner.infer(request, signal);
    const from = now();
    const vector = await embed(question.text, request, signal);
    const near = vector === undefined ? undefined : this.#index.nearest(question.group, vector, threshold, now());
    if (near !== undefined) {
      const { output, confidence } = near.value;
      return { output: JSON.parse(output), confidence, model, version, latencyMs: now() - from, cached: "semantic", units: 0 };
    }
    const inference = await this.#inner.infer(request, signal);
    if (vector === undefined || "failed" in inference || inference.cached !== "no") return inference;
    if (inference.model !== model || inference.version !== version) return inference;
    const output: string | undefined = JSON.stringify(inference.output);
    if (output !== undefined) this.#index.put(question.group, vector, { output, confidence: inference.confidence }, now());
    return inference;
  }
}

/** The text that may differ, and what must be equal. */
function questionOf(request: InferenceRequest, field: string): { text: string; group: string } | undefined {
  const { model, version, tenant, residency, input } = request;
  const value: unknown = JSON.parse(input);
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, field)) return undefined;
  const { [field]: text, ...rest } = value as Readonly<Record<string, unknown>>;
  if (typeof text !== "string" || text === "") return undefined;
  return {
    text,
    group: hash("sha256", `${canonicalJson([model, version, tenant ?? null, residency ?? null])}\n${canonicalJson(rest)}`, "hex"),
  };
}

/** Asks an embedding model, as any other. `field`: of its input, that takes the text. */
export function embedderOf(embedding: Inferrer, target: Pick<InferenceRequest, "model" | "version">, field: string): Embedder {
  return async (text, request, signal) => {
    const input = canonicalJson({ [field]: text });
    const inference = await embedding.infer({ ...request, ...target, input, id: `${request.id}.embedding` }, signal);
    if ("failed" in inference) return undefined;
    const { output } = inference;
    return Array.isArray(output) && output.length > 0 && output.every((each) => Number.isFinite(each)) ? output : undefined;
  };
}
