/**
 * Opens one version of an ONNX model to be served here. It is opened and tried in a worker first: what takes long or all
 * memory does so there. A model that a small batch takes less than about a millisecond of is then run in this thread,
 * where a batch costs no hop; the others stay in their workers, where they block nobody.
 */
import type { ModelInput, ServedModel } from "../inference.ts";
import type { ModelRecord } from "../model-record.ts";
import { BATCH_MAX, LOAD_MAX_MS, POOL_QUEUE_MAX, THREAD_BATCH_MAX_MS, THREAD_RUN_MAX_MS, TRIAL_ROWS, WORKER_MEMORY_MB } from "./bounds.ts";
import { ModelRunner } from "./model-runner.ts";
import { refused } from "./model-structure.ts";
import type { WorkerSetup } from "./onnx-worker.ts";
import { SessionPool } from "./session-pool.ts";

export interface OnnxOptions {
  /** JavaScript memory of one worker in MiB; 256. */
  readonly workerMemoryMb?: number;
  /** Batches that wait for a worker; 64. */
  readonly queueMax?: number;
  /** Milliseconds in which the model has to open and to answer its trial; 120,000. */
  readonly loadMaxMs?: number;
}

export interface ServedOnnxModel extends ServedModel {
  readonly execution: "thread" | "pool";
  /** Calls of `run` that are of use at a time. */
  readonly concurrency: number;
  /** Milliseconds that its trial took; `null` for one that was not tried, or failed on it. */
  readonly trialMs: number | null;
}

/** Throws InferenceError MODEL_HASH, MODEL_REFUSED or OUT_OF_MEMORY. */
export async function openOnnxModel(record: ModelRecord, contentPath: string, options: OnnxOptions = {}): Promise<ServedOnnxModel> {
  const { serving, sha256 } = record;
  if (serving.kind !== "onnx") throw refused(`it is of kind ${serving.kind}, which is not run here`);
  const setup = { content: { path: contentPath, sha256 }, serving };
  if (serving.execution === "thread") return await openInThread(setup, null);
  const tried = await openInPool(setup, options);
  if (serving.execution === "pool" || tried.trialMs === null || tried.trialMs >= THREAD_RUN_MAX_MS) return tried;
  await tried.close();
  return await openInThread(setup, tried.trialMs);
}

async function openInThread({ content, serving }: WorkerSetup, trialMs: number | null): Promise<ServedOnnxModel> {
  const runner = await ModelRunner.open(content, serving);
  return {
    execution: "thread",
    concurrency: 1,
    trialMs,
    batchMax: batchInThread(serving.batchMax ?? BATCH_MAX, trialMs),
    async run(inputs, signal) {
      const answers = await runner.run(valuesOf(inputs), () => signal.aborted);
      signal.throwIfAborted();
      return answers;
    },
    close: () => runner.close(),
  };
}

function batchInThread(most: number, trialMs: number | null): number {
  if (trialMs === null) return most;
  return Math.min(most, Math.floor((TRIAL_ROWS * THREAD_BATCH_MAX_MS) / trialMs));
}

async function openInPool(setup: WorkerSetup, options: OnnxOptions): Promise<ServedOnnxModel> {
  const { workerMemoryMb = WORKER_MEMORY_MB, queueMax = POOL_QUEUE_MAX, loadMaxMs = LOAD_MAX_MS } = options;
  const { workers = 1, batchMax = BATCH_MAX } = setup.serving;
  const pool = new SessionPool(setup, { workers, workerMemoryMb, queueMax });
  const signal = AbortSignal.timeout(loadMaxMs);
  try {
    return {
      execution: "pool",
      concurrency: workers,
      trialMs: await pool.load(signal),
      batchMax,
      run: (inputs, aborted) => pool.run(valuesOf(inputs), aborted),
      close: () => pool.close(),
    };
  } catch (error) {
    // Not waited for: a run that never ends would keep whoever is to hear of it.
    if (signal.aborted) void pool.close();
    else await pool.close();
    throw signal.aborted ? refused(`it did not open and answer a first run within ${loadMaxMs} ms`) : error;
  }
}

function valuesOf(inputs: readonly ModelInput[]): readonly unknown[] {
  return inputs.map(({ value }) => value);
}
