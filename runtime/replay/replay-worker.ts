/**
 * Entry of a replay thread: loads the app afresh, guards armed, and folds one history several times over.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { withSettings } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { type ErrorRecord, isTidemarkError } from "../errors.ts";
import { installGuards } from "../shard/guards.ts";
import { foldHistory, type Interruptions } from "./fold-history.ts";

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

/** What one way of folding gave; a record, for it crosses threads. */
export interface Replayed {
  readonly outputs: readonly { readonly subject: string; readonly text: string; readonly chain: string }[];
  readonly stateHash: string;
}

const task = workerData as ReplayTask;
const guard = installGuards();
const app = await loadApp(task.app);
const found = app.jobs.find((candidate) => candidate.name === task.job);
if (found === undefined) throw new Error(`the app has no job "${task.job}"`);
const job = withSettings(found, task.identity.settings);
/** A record of what the history cannot be folded for, where it cannot: an error's class and code do not cross threads. */
function replay(): readonly Replayed[] | ErrorRecord {
  try {
    return task.ways.map((way): Replayed => {
      const { outputs, stateHash } = foldHistory({ ...task, job, guard }, way);
      return {
        stateHash,
        outputs: outputs.map(({ subject, payload, chain }) => ({ subject, chain, text: Buffer.from(payload).toString() })),
      };
    });
  } catch (error) {
    if (!isTidemarkError(error)) throw error;
    return error.toRecord();
  }
}

parentPort!.postMessage(replay());
