/**
 * What a build would make of the state in a data directory: its migrations, tried over every actor and undone. It opens
 * the environments for reading alone, so the node that writes them may run meanwhile; nothing of the state changes.
 *
 * In a thread of its own, for it runs code of the app's.
 */
import { Worker } from "node:worker_threads";
import { type ErrorRecord, TidemarkError } from "../errors.ts";
import type { AppBuild } from "../node/app-build.ts";
import { moduleUrl } from "../threads/thread-call.ts";
import type { DryRunTask } from "./dry-run-worker.ts";
import type { ActorFindings } from "./findings.ts";

/** From the thread: how far it is, and in the end what it found or why it could not. */
export type DryRunMessage = { readonly tried: number } | DryRun | { readonly failed: ErrorRecord };

export interface DryRun {
  /** Of the app as it was tried. */
  readonly build: AppBuild;
  /** One record for each actor type of the app's jobs, or of their state. */
  readonly found: readonly ActorFindings[];
}

/** Rejects with APP_INVALID, STATE_FORMAT or STATE_MISSING. `progress` is told now and then how many keys were tried. */
export async function dryRunMigrations(task: DryRunTask, progress: (tried: number) => void): Promise<DryRun> {
  // As nodes run: what a migration makes of a date must not depend on where it is tried.
  process.env.TZ = "UTC";
  return await new Promise((resolve, reject) => {
    const worker = new Worker(moduleUrl("./dry-run-worker.ts", import.meta.url), { workerData: task, name: "dry run" });
    worker.on("message", (message: DryRunMessage) => {
      if ("tried" in message) progress(message.tried);
      else if ("found" in message) resolve(message);
      else reject(new TidemarkError(message.failed.code, message.failed.detail));
    });
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the thread of the dry run ended with code ${code}`)));
  });
}
