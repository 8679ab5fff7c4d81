/** A model that is asked with plain JSON: the input is posted as it is, and the answer, or a part of it, is the output. */
import { canonicalJson } from "../../actors/fold/canonical.ts";
import { failure } from "../failures.ts";
import type { ModelAnswer, ModelInput } from "../inference.ts";
import type { Endpoint } from "./endpoint.ts";
import { readPointer, valueAt } from "./json-pointer.ts";
import type { JsonServing } from "./remote-serving.ts";

export async function askJson(serving: JsonServing, endpoint: Endpoint, input: ModelInput, signal: AbortSignal): Promise<ModelAnswer> {
  const json = await endpoint.post(canonicalJson(input.value), [input.id], signal);
  return outputAt(json, serving.output, 1);
}

/** The part of an answer that is the output. */
export function outputAt(json: unknown, pointer: string | undefined, units: number): ModelAnswer {
  const output = pointer === undefined ? json : valueAt(json, readPointer(pointer)!);
  if (output === undefined) return { failed: failure("OUTPUT_REFUSED", `The answer has nothing at ${pointer}.`) };
  return { output, units };
}
