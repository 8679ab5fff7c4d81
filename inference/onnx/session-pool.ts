/**
 * Workers that have one model open, each for one task at a time: a worker that runs out of memory ends the one task
 * that it had, and another worker takes its place.
 *
 * A worker is never ended while it runs the model: ONNX Runtime would come back to a thread that is no more, and abort
 * the process, as it does when memory ends within its own code. A task that is called off is forgotten at once, and its worker stops after the run that it is in. A run
 * that never ends can be ended only with its process.
 */
import { Piscina } from "piscina";
import { failure, InferenceError, type InferenceFailure } from "../failures.ts";
import type { ModelAnswer } from "../inference.ts";
import type { WorkerAnswer, WorkerSetup, WorkerTask } from "./onnx-worker.ts";

export interface PoolLimits {
  readonly workers: number;
  /** JavaScript memory of one worker in MiB. */
  readonly workerMemoryMb: number;
  /** Tasks that wait for a worker. */
  readonly queueMax: number;
}

export class SessionPool {
  readonly #pool: Piscina<WorkerTask, WorkerAnswer>;
  readonly #workers: number;
  readonly #tasks = new Map<Promise<WorkerAnswer>, Int32Array>();

  constructor(setup: WorkerSetup, { workers, workerMemoryMb, queueMax }: PoolLimits) {
    const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
    this.#workers = workers;
    this.#pool = new Piscina({
      filename: new URL(`./onnx-worker.${extension}`, import.meta.url).href,
      minThreads: workers,
      maxThreads: workers,
      concurrentTasksPerWorker: 1,
      maxQueue: queueMax,
      workerData: setup,
      resourceLimits: { maxOldGenerationSizeMb: workerMemoryMb },
      // What the process was started with may be for its main thread alone.
      execArgv: [],
    });
    // Of a worker that ends without a task nobody is to be told: the next task starts another one.
    this.#pool.on("error", () => {});
  }

  /** Opens the model in every worker; milliseconds that it took for a small batch. Throws InferenceError. */
  async load(signal: AbortSignal): Promise<number | null> {
    const [answer] = await Promise.all(Array.from({ length: this.#workers }, () => this.#do(null, signal)));
    return (answer as { readonly trialMs: number | null }).trialMs;
  }

  /** Throws InferenceError; whatever, when `signal` is aborted. */
  async run(values: readonly unknown[], signal: AbortSignal): Promise<readonly ModelAnswer[]> {
    return ((await this.#do(values, signal)) as { readonly answers: readonly ModelAnswer[] }).answers;
  }

  /** Calls off what there is, and ends once no worker runs the model. */
  async close(): Promise<void> {
    for (const calledOff of this.#tasks.values()) Atomics.store(calledOff, 0, 1);
    await Promise.allSettled(this.#tasks.keys());
    await this.#pool.destroy();
  }

  async #do(values: WorkerTask["values"], signal: AbortSignal): Promise<WorkerAnswer> {
    signal.throwIfAborted();
    const calledOff = new Int32Array(new SharedArrayBuffer(4));
    const task = this.#pool.run({ values, calledOff });
    this.#tasks.set(task, calledOff);
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => {
      Atomics.store(calledOff, 0, 1);
      aborted.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    const done = task.finally(() => {
      this.#tasks.delete(task);
      signal.removeEventListener("abort", onAbort);
    });
    let answer: WorkerAnswer;
    try {
      answer = await Promise.race([done, aborted.promise]);
    } catch (error) {
      if (signal.aborted) throw error;
      throw new InferenceError(endOf(error));
    }
    if ("failed" in answer) throw new InferenceError(answer.failed);
    return answer;
  }
}

function endOf(error: unknown): InferenceFailure {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ERR_WORKER_OUT_OF_MEMORY") return failure("OUT_OF_MEMORY", "the worker that ran it had no memory left");
  if (/^(Task queue is at limit|No task queue available)/.test(message)) {
    return failure("OVERLOADED", "too many runs wait for a worker of the model", { again: true });
  }
  return failure("MODEL_FAILED", `the worker that ran it ended (${code ?? message.slice(0, 100)})`, { again: true });
}
