/**
 * Holds a model to its schemas: an input that is not what it takes is never asked, an answer that is not what it should
 * be is never used. Takes the confidence out of the answer. Messages name places and say what must be there, not what was.
 */
import { DATA_DEPTH_MAX } from "../../actors/fold/bounds.ts";
import { type Refusal, readSchema } from "../../actors/fold/readable-schema.ts";
import { failure, type InferenceFailure } from "../failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";

/** What goes into a version of a model and comes out, as checks. */
export interface ModelContract {
  readonly input: Refusal;
  readonly output: Refusal;
  readonly confidence: string | undefined;
}

/** The checks of a record, or the reason why its schemas are not understood. */
export function readContract({ input, output, confidence }: Pick<ModelRecord, "input" | "output" | "confidence">): ModelContract | string {
  const inputCheck = readSchema(input);
  if (typeof inputCheck === "string") return `/input: ${inputCheck}`;
  const outputCheck = readSchema(output);
  if (typeof outputCheck === "string") return `/output: ${outputCheck}`;
  return { input: inputCheck, output: outputCheck, confidence };
}

export class SchemaGuard implements Inferrer {
  readonly #inner: Inferrer;
  readonly #contract: ModelContract;

  constructor(inner: Inferrer, contract: ModelContract) {
    this.#inner = inner;
    this.#contract = contract;
  }

  async infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    const refused = this.#refusalOf(request.input);
    if (refused !== undefined) return { failed: failure("INPUT_REFUSED", `The input: ${refused}.`) };
    const inference = await this.#inner.infer(request, signal);
    if ("failed" in inference) return inference;
    const { output } = inference;
    const unusable = unusableIn(output) ?? this.#contract.output(output);
    if (unusable !== undefined) return outputRefused(unusable);
    const { confidence: field } = this.#contract;
    if (field === undefined) return { ...inference, confidence: null };
    const confidence = confidenceIn(output, field);
    if (confidence === undefined) return outputRefused(`/${field} must be its confidence, a number from 0 to 1`);
    return { ...inference, confidence };
  }

  #refusalOf(input: string): string | undefined {
    let value: unknown;
    try {
      value = JSON.parse(input);
    } catch {
      return "it is no JSON";
    }
    return this.#contract.input(value);
  }
}

function outputRefused(reason: string): { readonly failed: InferenceFailure } {
  return { failed: failure("OUTPUT_REFUSED", `The answer: ${reason}.`) };
}

function confidenceIn(output: unknown, field: string): number | undefined {
  if (typeof output !== "object" || output === null || Array.isArray(output) || !Object.hasOwn(output, field)) return undefined;
  const value = (output as Readonly<Record<string, unknown>>)[field];
  return typeof value === "number" && value >= 0 && value <= 1 ? value : undefined;
}

/** What no fold would take: numbers that JSON does not have, broken texts, harmful names, nesting without end. */
function unusableIn(value: unknown, path = "", depth = 0): string | undefined {
  const place = path.slice(0, 80) || "/";
  switch (typeof value) {
    case "boolean":
      return undefined;
    case "number":
      return Number.isFinite(value) ? undefined : `${place} is NaN or an infinity`;
    case "string":
      return value.isWellFormed() ? undefined : `${place} is a text that is no Unicode`;
    case "object":
      break;
    default:
      return `${place} is nothing that JSON has`;
  }
  if (value === null) return undefined;
  if (depth >= DATA_DEPTH_MAX) return `it is nested deeper than ${DATA_DEPTH_MAX}`;
  const prototype = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return `${place} is nothing that JSON has`;
  for (const [name, part] of Object.entries(value)) {
    if (name === "__proto__" || (name === "constructor" && hasPrototype(part)) || !name.isWellFormed())
      return `${place} has a field that could do harm`;
    const found = unusableIn(part, `${path}/${name}`, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

function hasPrototype(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}
