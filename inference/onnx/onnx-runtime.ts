/**
 * ONNX Runtime: the one place that knows its package. It is an optional dependency and large, so it is loaded when the
 * first model is. A session answers one run at a time and blocks its thread meanwhile.
 */
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { failure, InferenceError } from "../failures.ts";
import { REASON_MAX_CHARS } from "./bounds.ts";
import type { Feeds } from "./input-rows.ts";
import { refused } from "./model-structure.ts";
import { isTensorType, type RawTensor } from "./raw-tensor.ts";

const INSTALL = "npm install --ignore-scripts onnxruntime-node@1.30.0";

export interface OnnxSession {
  /** Throws InferenceError MODEL_FAILED, INPUT_REFUSED, OUTPUT_REFUSED or OUT_OF_MEMORY. */
  run(feeds: Feeds, fetches: readonly string[]): Promise<Feeds>;
  close(): Promise<void>;
}

/** Throws InferenceError MODEL_REFUSED. */
export async function openSession(content: Uint8Array): Promise<OnnxSession> {
  const ort = await loadRuntime();
  const session = await createSession(ort, content);
  return {
    async run(feeds, fetches) {
      const tensors: Record<string, Tensor> = {};
      for (const [name, { type, data, dims }] of Object.entries(feeds)) tensors[name] = new ort.Tensor(type, data, dims);
      return rawTensors(await runSession(session, tensors, fetches));
    },
    async close() {
      await session.release();
    },
  };
}

async function loadRuntime(): Promise<typeof import("onnxruntime-node")> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why = code === "ERR_MODULE_NOT_FOUND" ? "is not installed" : `could not be loaded (${clipped(message)})`;
    throw refused(`ONNX models are run by the package onnxruntime-node, which ${why}: ${INSTALL}`);
  }
}

async function createSession({ InferenceSession }: typeof import("onnxruntime-node"), content: Uint8Array): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(content, {
      executionProviders: ["cpu"],
      // Workers are the parallelism: further threads of each session would compete for the same cores.
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      // Whatever it would say comes as an error too.
      logSeverityLevel: 4,
    });
  } catch (error) {
    throw refused(`ONNX Runtime does not take the model: ${clipped(messageOf(error))}`);
  }
}

async function runSession(
  session: InferenceSession,
  feeds: Record<string, Tensor>,
  fetches: readonly string[],
): Promise<InferenceSession.ReturnType> {
  try {
    return await session.run(feeds, fetches);
  } catch (error) {
    throw new InferenceError(runFailure(messageOf(error)));
  }
}

function rawTensors(outputs: InferenceSession.ReturnType): Feeds {
  const raw: Record<string, RawTensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(outputs)) {
    if (!isTensorType(type as never)) throw new InferenceError(failure("OUTPUT_REFUSED", `${name} is of type ${type}`));
    raw[name] = { type, data, dims } as RawTensor;
  }
  return raw;
}

/** What ONNX Runtime says of a run may have values of the input in it, so only what is known to have none is passed on. */
function runFailure(message: string) {
  if (/failed to allocate memory|bad_?alloc|BFCArena/i.test(message))
    return failure("OUT_OF_MEMORY", "ONNX Runtime had no memory left for this input");
  const node = /while running (\w{1,64}) node\. Name:'([^']{0,128})'/.exec(message);
  if (node !== null) return failure("MODEL_FAILED", `the ${node[1]} node ${JSON.stringify(node[2])} failed on this input`);
  const shape = /(Got invalid dimensions for input|Invalid rank for input|Unexpected input data type)[\s\S]{0,300}/.exec(message);
  if (shape !== null) return failure("INPUT_REFUSED", clipped(shape[0]));
  return failure("MODEL_FAILED", "ONNX Runtime failed on this input");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function clipped(text: string): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length > REASON_MAX_CHARS ? `${line.slice(0, REASON_MAX_CHARS)}…` : line;
}
