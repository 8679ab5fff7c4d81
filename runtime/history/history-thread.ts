/** Starts a history thread of one build, and ends it: asked to close what it has, and gone by itself; it is never cut off. */
import { once } from "node:events";
import { TidemarkError } from "../errors.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { NodeLife } from "../node/node-life.ts";
import { startNodeThread } from "../node/node-thread.ts";
import type { Thread } from "../threads/thread-call.ts";
import type { HistorySetup, HistoryWorker } from "./history-worker.ts";

export interface HistoryThread extends Thread<HistoryWorker> {
  /** Resolves when the thread is gone. Throws WORKER_LOST when that takes too long. */
  end(): Promise<void>;
}

export interface HistoryThreadStart {
  readonly setup: Omit<HistorySetup, "heartbeat">;
  /** That the app must have. */
  readonly codeHash: string;
  readonly nats: NatsAccess;
  readonly nodeId: string;
  readonly life: Pick<NodeLife, "lost" | "watch">;
}

const END_MS = 15_000;

/** Throws APP_INVALID when the app is not, or no longer, of that hash. */
export async function startHistoryThread({ setup, codeHash, nats, nodeId, life }: HistoryThreadStart): Promise<HistoryThread> {
  const heartbeat = new SharedArrayBuffer(4);
  let ending = false;
  const lost = (error: TidemarkError): void => {
    if (!ending) life.lost(error);
  };
  const thread = await startNodeThread<HistoryWorker>("../history/history-worker.ts", "history", { ...setup, heartbeat }, lost);
  const unwatch = life.watch([{ name: "history", heartbeat }]);
  // It beats as long as it lives.
  thread.worker.once("exit", unwatch);
  const end = async (): Promise<void> => {
    ending = true;
    const signal = AbortSignal.timeout(END_MS);
    const gone = once(thread.worker, "exit", { signal });
    gone.catch(() => {});
    // Gone with its last words unsaid is gone as well.
    await thread.call("end", (remote) => remote.end()).catch(() => {});
    try {
      await gone;
    } catch {
      throw new TidemarkError("WORKER_LOST", `A history thread did not end within ${END_MS} ms.`);
    }
  };
  await thread.call("open", (remote) => remote.open(nats, nodeId));
  if ((await thread.call("code hash", (remote) => remote.codeHash())) === codeHash) return { ...thread, end };
  await end();
  throw new TidemarkError("APP_INVALID", `${setup.app} is not, or no longer, the build ${codeHash.slice(0, 12)}.`);
}
