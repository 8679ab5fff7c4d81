/**
 * Worker of a `SessionPool`: has one model open and does one task at a time. The model is opened with the first task,
 * so that a worker that takes the place of one that ended opens it by itself, and tries again later when it cannot.
 * Answers are plain records, as errors lose their fields between threads.
 */
import { workerData } from "piscina";
import { InferenceError, type InferenceFailure } from "../failures.ts";
import type { ModelAnswer } from "../inference.ts";
import type { ModelContent } from "./model-content.ts";
import { ModelRunner } from "./model-runner.ts";
import type { OnnxServing } from "./onnx-serving.ts";
import { Opening } from "./opening.ts";

export interface WorkerSetup {
  readonly content: ModelContent;
  readonly serving: OnnxServing;
}

export interface WorkerTask {
  /** `null` to open the model and try it. */
  readonly values: readonly unknown[] | null;
  /** Shared: 1 when nobody waits for the task any more. */
  readonly calledOff: Int32Array;
}

export type WorkerAnswer =
  | { readonly trialMs: number | null }
  | { readonly answers: readonly ModelAnswer[] }
  | { readonly failed: InferenceFailure };

const { content, serving } = workerData as WorkerSetup;
const opening = new Opening(
  () => ModelRunner.open(content, serving),
  () => performance.now(),
);

export default async function answer({ values, calledOff }: WorkerTask): Promise<WorkerAnswer> {
  try {
    const runner = await opening.get();
    if (values === null) return { trialMs: await runner.trialMs() };
    return { answers: await runner.run(values, () => Atomics.load(calledOff, 0) === 1) };
  } catch (error) {
    if (error instanceof InferenceError) return { failed: error.failure };
    throw error;
  }
}
