/**
 * An inference process whose models are made of their name: `echo` gives the input back, and does what the input says
 * first. It is what the tests start, kill and let end.
 */
import { setTimeout as delay } from "node:timers/promises";
import { failure, InferenceError } from "../../../inference/failures.ts";
import type { Inference, InferenceRequest, Inferrer } from "../../../inference/inference.ts";
import type { FoundModel, OpenedModel } from "../../../inference/service/model-source.ts";
import { runInferenceProcess } from "../../../inference/service/process-life.ts";
import { heapBytes } from "./heap-bytes.ts";

export interface EchoInput {
  /** Ends the process as native code does. */
  readonly abort?: boolean;
  /** Ends the process when it is not run alone. */
  readonly abortWithOthers?: boolean;
  /** Ends the process when it has run something before. */
  readonly abortIfUsed?: boolean;
  /** Never comes back, and lets nothing else run. */
  readonly spin?: boolean;
  /** Answers when it is cancelled. */
  readonly hang?: boolean;
  readonly waitMs?: number;
  readonly outputChars?: number;
  readonly reject?: boolean;
  /** Gives the bytes of the heap that are in use. */
  readonly heap?: boolean;
  readonly value?: unknown;
}

let opened = 0;
let cancelled = 0;
let runs = 0;

runInferenceProcess(() => async ({ record }: FoundModel, others: Inferrer): Promise<OpenedModel> => {
  opened++;
  if (record.name.startsWith("broken")) throw new InferenceError(failure("MODEL_REFUSED", `Opened ${opened} times.`));
  if (record.name === "fatal") process.abort();
  const echo: Inferrer = { infer: (request, signal) => infer(request, signal) };
  const fallback = record.settings?.fallback;
  const whole: Inferrer = fallback === undefined ? echo : { infer: (request, signal) => others.infer({ ...request, ...fallback }, signal) };
  return { stream: whole, onDemand: whole, plain: echo, close: async () => {} };
});

async function infer(request: InferenceRequest, signal: AbortSignal): Promise<Inference> {
  const input = JSON.parse(request.input) as EchoInput;
  runs++;
  if (input.abort === true || (input.abortWithOthers === true && request.alone !== true)) process.abort();
  if (input.abortIfUsed === true && runs > 1) process.abort();
  while (input.spin === true);
  if (input.reject === true) throw new TypeError("a fault of ours");
  if (input.waitMs !== undefined) await delay(input.waitMs);
  if (input.hang === true) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    cancelled++;
  }
  const value = input.heap === true ? heapBytes() : input.value;
  const output = { value, pid: process.pid, opened, cancelled, text: "x".repeat(input.outputChars ?? 0) };
  return { output, confidence: null, model: request.model, version: request.version, latencyMs: 0, cached: "no", units: 1 };
}
