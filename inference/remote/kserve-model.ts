/** A model on a server that speaks KServe v2, as Triton does: the rows of a batch in one request. A row costs one unit. */
import { failure, InferenceError } from "../failures.ts";
import type { ModelAnswer, ModelInput } from "../inference.ts";
import type { Endpoint } from "./endpoint.ts";
import { outputsOf, type TensorRow, TensorWriter } from "./kserve-tensors.ts";
import type { KserveServing } from "./remote-serving.ts";
import { askInHalves } from "./split-batch.ts";

interface Row {
  readonly id: string;
  readonly tensors: TensorRow;
}

export class KserveModel {
  readonly #serving: KserveServing;
  readonly #endpoint: Endpoint;
  readonly #writer: TensorWriter;

  constructor(serving: KserveServing, endpoint: Endpoint) {
    this.#serving = serving;
    this.#endpoint = endpoint;
    this.#writer = new TensorWriter(serving);
  }

  async ask(inputs: readonly ModelInput[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    const read = inputs.map(({ value }) => this.#writer.rowOf(value));
    const rows: Row[] = [];
    for (const [i, tensors] of read.entries()) if (typeof tensors !== "string") rows.push({ id: inputs[i]!.id, tensors });
    const answers = rows.length === 0 ? [] : await askInHalves(rows, (part) => this.#post(part, signal));
    let next = 0;
    return read.map((row) => (typeof row === "string" ? { failed: failure("INPUT_REFUSED", `The input ${row}.`) } : answers[next++]!));
  }

  async #post(rows: readonly Row[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    const { outputs: expected } = this.#serving;
    const body = JSON.stringify({
      inputs: this.#writer.tensorsOf(rows.map(({ tensors }) => tensors)),
      outputs: [...new Set(expected.map(({ tensor }) => tensor))].map((name) => ({ name })),
    });
    const json = await this.#endpoint.post(
      body,
      rows.map(({ id }) => id),
      signal,
    );
    const outputs = outputsOf(json, expected, rows.length);
    if (typeof outputs === "string") throw new InferenceError(failure("OUTPUT_REFUSED", outputs));
    return outputs.map((output) => ({ output, units: 1 }));
  }
}

export function kservePath({ model, modelVersion }: KserveServing): string {
  const version = modelVersion === undefined ? "" : `/versions/${encodeURIComponent(modelVersion)}`;
  return `/v2/models/${encodeURIComponent(model)}${version}/infer`;
}
