/** A model that makes vectors of texts: the texts of a batch in one request. What it costs is counted in tokens. */
import { failure, InferenceError } from "../failures.ts";
import type { ModelAnswer, ModelInput } from "../inference.ts";
import { DIMENSIONS_MAX } from "./bounds.ts";
import type { Endpoint } from "./endpoint.ts";
import { readPointer, valueAt } from "./json-pointer.ts";
import type { OpenAiEmbeddingsServing } from "./remote-serving.ts";
import { askInHalves } from "./split-batch.ts";
import { tokensUsed } from "./tokens-used.ts";

interface Row {
  readonly id: string;
  readonly text: string;
}

export class OpenAiEmbeddings {
  readonly #serving: OpenAiEmbeddingsServing;
  readonly #endpoint: Endpoint;
  readonly #names: readonly string[];

  constructor(serving: OpenAiEmbeddingsServing, endpoint: Endpoint) {
    this.#serving = serving;
    this.#endpoint = endpoint;
    this.#names = readPointer(serving.text)!;
  }

  async ask(inputs: readonly ModelInput[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    const texts = inputs.map(({ value }) => valueAt(value, this.#names));
    // Servers refuse a whole batch for one empty text.
    const isText = (text: unknown): text is string => typeof text === "string" && text !== "";
    const rows: Row[] = [];
    for (const [i, text] of texts.entries()) if (isText(text)) rows.push({ id: inputs[i]!.id, text });
    const answers = rows.length === 0 ? [] : await askInHalves(rows, (part) => this.#post(part, signal));
    const message = `The input has no text at ${this.#serving.text || "its root"}.`;
    let next = 0;
    return texts.map((text) => (isText(text) ? answers[next++]! : { failed: failure("INPUT_REFUSED", message) }));
  }

  async #post(rows: readonly Row[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    const { model, dimensions } = this.#serving;
    const body = JSON.stringify({
      model,
      input: rows.map(({ text }) => text),
      encoding_format: "float",
      ...(dimensions === undefined ? {} : { dimensions }),
    });
    const json = await this.#endpoint.post(
      body,
      rows.map(({ id }) => id),
      signal,
    );
    const vectors = vectorsOf(json, rows.length, dimensions);
    if (typeof vectors === "string") throw new InferenceError(failure("BAD_RESPONSE", vectors));
    const total = tokensUsed(json) ?? Buffer.byteLength(body);
    // Shared out so that the parts make up the whole.
    const each = Math.floor(total / rows.length);
    return vectors.map((output, i) => ({ output, units: i === 0 ? total - each * (rows.length - 1) : each }));
  }
}

/** By their index, for servers may answer in another order; or what is wrong with them. */
function vectorsOf(json: unknown, count: number, dimensions: number | undefined): readonly (readonly number[])[] | string {
  const data = valueAt(json, ["data"]);
  if (!Array.isArray(data) || data.length !== count) return "The answer has not one embedding for each text.";
  const vectors: (readonly number[])[] = [];
  for (const item of data as readonly unknown[]) {
    const index = valueAt(item, ["index"]);
    const vector = valueAt(item, ["embedding"]);
    if (typeof index !== "number" || !Number.isInteger(index) || index < 0 || index >= count)
      return "The answer has an embedding of no text.";
    if (vectors[index] !== undefined) return "The answer has two embeddings of one text.";
    if (!isVector(vector)) return "The answer has an embedding that is no list of numbers.";
    vectors[index] = vector;
  }
  const length = dimensions ?? vectors[0]!.length;
  if (length > DIMENSIONS_MAX) return `The answer has embeddings of more than ${DIMENSIONS_MAX} numbers.`;
  return vectors.every((vector) => vector.length === length) ? vectors : `The answer has embeddings that are not ${length} numbers long.`;
}

function isVector(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "number" && Number.isFinite(each));
}
