/** One version of a model as an `Inferrer`: requests are answered in batches. The bottom of whatever is put around it. */
import { failure, type InferenceFailure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";
import type { MicroBatching } from "./micro-batching.ts";

type Served = Pick<ModelRecord, "name" | "version" | "confidence">;

/** `monotonic`: milliseconds from an arbitrary start. */
export function batchedInferrer(record: Served, batching: MicroBatching, monotonic = () => performance.now()): Inferrer {
  return {
    async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
      const start = monotonic();
      const value = parsed(request.input);
      if (value === undefined) return { failed: failure("INPUT_REFUSED", "the input is no JSON") };
      const answer = await batching.answer({ id: request.id, value }, request.deadline, signal, request.alone === true);
      if ("failed" in answer) return answer;
      const confidence = confidenceOf(record, answer.output);
      if (confidence !== null && typeof confidence !== "number") return { failed: confidence };
      return {
        output: answer.output,
        confidence,
        model: record.name,
        version: record.version,
        latencyMs: monotonic() - start,
        cached: "no",
        units: answer.units,
      };
    },
  };
}

function parsed(input: string): unknown {
  try {
    return JSON.parse(input);
  } catch {
    return undefined;
  }
}

function confidenceOf({ confidence: field }: Served, output: unknown): number | null | InferenceFailure {
  if (field === undefined) return null;
  const has = typeof output === "object" && output !== null && Object.hasOwn(output, field);
  const confidence = has ? (output as Record<string, unknown>)[field] : undefined;
  if (typeof confidence === "number" && confidence >= 0 && confidence <= 1) return confidence;
  return failure("OUTPUT_REFUSED", `${field}, the confidence, is no number from 0 to 1`);
}
