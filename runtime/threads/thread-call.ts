/**
 * Calls to a worker thread through Comlink that cannot hang: each has a deadline, and all fail when the worker ends.
 * Comlink alone knows neither (a call to a dead worker never settles).
 */
import { Worker, type WorkerOptions } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { TidemarkError } from "../errors.ts";
import { type Outcome, outcomeValue } from "./outcome.ts";

const DEADLINE_MS = 15_000;

export interface Thread<T> {
  readonly worker: Worker;
  /** Rejects with WORKER_LOST when the worker ends or `deadlineMs` passes. */
  call<R>(name: string, run: (remote: Comlink.Remote<T>) => Promise<R>, deadlineMs?: number): Promise<R>;
  /** As `call`, of what gives an outcome: its value, or throws its error. */
  ask<R>(name: string, run: (remote: Comlink.Remote<T>) => Promise<Outcome<R>>, deadlineMs?: number): Promise<R>;
}

/** Starts a worker whose module exposes a `T`. `onExit` is called once, when it ended for whatever reason. */
export function startThread<T>(module: URL, options: WorkerOptions, onExit: (error: TidemarkError) => void): Thread<T> {
  const worker = new Worker(module, options);
  const remote = Comlink.wrap<T>(nodeEndpoint(worker));
  const pending = new Set<(error: TidemarkError) => void>();
  let lost: TidemarkError | undefined;
  const end = (detail: string): void => {
    if (lost !== undefined) return;
    lost = new TidemarkError("WORKER_LOST", `${options.name ?? "A worker"} ended: ${detail}.`);
    for (const reject of pending) reject(lost);
    onExit(lost);
  };
  worker.on("error", (error) => end(error instanceof Error ? (error.stack ?? error.message) : String(error)));
  worker.on("exit", (code) => end(`exit code ${code}`));
  const thread: Thread<T> = {
    worker,
    async call(name, run, deadlineMs = DEADLINE_MS) {
      if (lost !== undefined) throw lost;
      let timer: NodeJS.Timeout | undefined;
      let reject: (error: TidemarkError) => void = () => {};
      const failed = new Promise<never>((_, fail) => {
        reject = fail;
        timer = setTimeout(() => fail(new TidemarkError("WORKER_LOST", `${name} took longer than ${deadlineMs} ms.`)), deadlineMs);
      });
      pending.add(reject);
      try {
        return await Promise.race([run(remote), failed]);
      } finally {
        clearTimeout(timer);
        pending.delete(reject);
      }
    },
    async ask(name, run, deadlineMs) {
      return outcomeValue(await thread.call(name, run, deadlineMs));
    },
  };
  return thread;
}

/** URL of a sibling module in the form that this process runs: `.ts` from the repository, `.js` from the package. */
export function moduleUrl(path: string, from: string): URL {
  return new URL(from.endsWith(".ts") ? path : path.replace(/\.ts$/, ".js"), from);
}
