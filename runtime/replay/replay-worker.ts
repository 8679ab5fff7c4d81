/**
 * Entry of a replay thread: loads the app afresh, guards armed, and folds one history several times over.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { withSettings } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";
import { installGuards } from "../shard/guards.ts";
import type { Interruptions } from "./fold-history.ts";
import { type Replayed, replay } from "./replayed.ts";

export interface ReplayTask {
  readonly app: string;
  readonly job: string;
  readonly partition: number;
  readonly partitions: number;
  readonly identity: CodeIdentity;
  readonly epochRoot: number;
  readonly from: number;
  readonly entries: readonly LogEntry[];
  readonly skips?: ReadonlyMap<string, string>;
  /** One fold each, in this order, in this thread: module state of the app lives on between them. */
  readonly ways: readonly Interruptions[];
}

const task = workerData as ReplayTask;

/** Or the record of why the history cannot be folded: an error's class and code do not cross threads. */
async function fold(): Promise<readonly Replayed[] | ErrorRecord> {
  try {
    const guard = installGuards();
    const app = await loadApp(task.app);
    const found = app.jobs.find((candidate) => candidate.name === task.job);
    if (found === undefined) throw new TidemarkError("CONFIG_INVALID", `${task.app} exports no job "${task.job}".`);
    const job = withSettings(found, task.identity.settings);
    return task.ways.map((way) => replay({ ...task, job, guard }, way));
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return error.toRecord();
  }
}

parentPort!.postMessage(await fold());
