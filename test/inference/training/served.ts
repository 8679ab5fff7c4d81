/** A trained model as a node serves it: its file on a disk, opened in this thread. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ServedModel } from "../../../inference/inference.ts";
import { MODEL_FORMAT, type ModelRecord } from "../../../inference/model-record.ts";
import { encodeModel, type ModelProto } from "../../../inference/onnx/onnx-proto.ts";
import { openOnnxModel } from "../../../inference/onnx/open-model.ts";
import type { ModelDeclaration, Served } from "../../../inference/training/trained-model.ts";

export interface ServedFile extends AsyncDisposable {
  /** Outputs for inputs, in their order. */
  answers(inputs: readonly unknown[]): Promise<readonly unknown[]>;
}

export async function servedGraph(graph: ModelProto, served: Served): Promise<ServedFile> {
  const content = encodeModel(graph);
  return await servedFile(content, { ...served, sha256: createHash("sha256").update(content).digest("hex") });
}

export async function servedFile(content: Uint8Array, declaration: ModelDeclaration): Promise<ServedFile> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-trained-"));
  const path = join(folder, "model.onnx");
  writeFileSync(path, content);
  const record: ModelRecord = {
    ...declaration,
    format: MODEL_FORMAT,
    name: "model",
    version: 1,
    contentBytes: content.length,
    serving: { ...declaration.serving, execution: "thread" } as ModelRecord["serving"],
  };
  const model = await openOnnxModel(record, path);
  return {
    answers: (inputs) => answersOf(model, inputs),
    [Symbol.asyncDispose]: async () => {
      await model.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function answersOf(model: ServedModel, inputs: readonly unknown[]): Promise<unknown[]> {
  const outputs: unknown[] = [];
  for (let from = 0; from < inputs.length; from += model.batchMax) {
    const batch = inputs.slice(from, from + model.batchMax).map((value, i) => ({ id: `${from + i}`, value }));
    for (const answer of await model.run(batch, new AbortController().signal)) {
      if ("failed" in answer) throw new Error(answer.failed.message);
      outputs.push(answer.output);
    }
  }
  return outputs;
}
