/**
 * Ends its process when the one that started it is gone. The main thread learns that too, by the end of the channel, but
 * not while it is in native code: without this a model that never comes back would outlive its node.
 */
import { rmSync } from "node:fs";
import { workerData } from "node:worker_threads";
import { ORPHAN_LOOK_MS } from "./bounds.ts";

export interface OrphanWatch {
  /** Process id of the one that started this one. */
  readonly parent: number;
  /** Goes with the process; absent when it has none. */
  readonly directory: string | undefined;
}

const { parent, directory } = workerData as OrphanWatch;

setInterval(() => {
  if (process.ppid === parent && isThere(parent)) return;
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  process.kill(process.pid, "SIGKILL");
}, ORPHAN_LOOK_MS);

/** On Windows a process keeps the number of a parent that is gone. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
