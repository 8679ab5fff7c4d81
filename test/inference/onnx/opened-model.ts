/** Writes a model into a fresh folder and opens it as a node does, with its record. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { InferenceError, type InferenceFailure } from "../../../inference/failures.ts";
import type { ModelAnswer } from "../../../inference/inference.ts";
import type { ModelRecord } from "../../../inference/model-record.ts";
import { encodeModel, type ModelProto } from "../../../inference/onnx/onnx-proto.ts";
import { type OnnxServing, readOnnxServing } from "../../../inference/onnx/onnx-serving.ts";
import { type OnnxOptions, openOnnxModel, type ServedOnnxModel } from "../../../inference/onnx/open-model.ts";

export const NO_ABORT = new AbortController().signal;

export function writtenModel(t: TestContext, content: Uint8Array): { readonly path: string; readonly sha256: string } {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-onnx-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "model.onnx");
  writeFileSync(path, content);
  return { path, sha256: createHash("sha256").update(content).digest("hex") };
}

export function recordOf(serving: Omit<OnnxServing, "kind">, sha256: string): ModelRecord {
  const read = readOnnxServing({ kind: "onnx", ...serving });
  if (typeof read === "string") throw new Error(read);
  return { format: 1, name: "model", version: 1, sha256, contentBytes: 0, serving: read, input: {}, output: {} };
}

/** In this thread: most tests are not about workers. */
export async function openedHere(
  t: TestContext,
  content: ModelProto | Uint8Array,
  serving: Omit<OnnxServing, "kind"> = {},
): Promise<ServedOnnxModel> {
  return await opened(t, content, { execution: "thread", ...serving });
}

export async function opened(
  t: TestContext,
  model: ModelProto | Uint8Array,
  serving: Omit<OnnxServing, "kind"> = {},
  options: OnnxOptions = {},
): Promise<ServedOnnxModel> {
  const { path, sha256 } = writtenModel(t, model instanceof Uint8Array ? model : encodeModel(model));
  const served = await openOnnxModel(recordOf(serving, sha256), path, options);
  t.after(() => served.close());
  return served;
}

export async function run(model: ServedOnnxModel, values: readonly unknown[], signal = NO_ABORT): Promise<readonly ModelAnswer[]> {
  return await model.run(
    values.map((value, i) => ({ id: `${i}`, value })),
    signal,
  );
}

export async function outputs(model: ServedOnnxModel, values: readonly unknown[]): Promise<readonly unknown[]> {
  return (await run(model, values)).map((answer) => ("failed" in answer ? answer.failed.code : answer.output));
}

export async function failureOf(work: Promise<unknown>): Promise<InferenceFailure> {
  try {
    await work;
  } catch (error) {
    if (error instanceof InferenceError) return error.failure;
    throw error;
  }
  throw new Error("it did not fail");
}
