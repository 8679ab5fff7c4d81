/**
 * Entry of a replay thread: loads the app afresh, guards armed, and folds one history several times over.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { withSettings } from "../../actors/model/job.ts";
import { loadApp } from "../app.ts";
import { installGuards } from "../shard/guards.ts";
import type { Interruptions } from "./fold-history.ts";
import { replay } from "./replayed.ts";

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
const guard = installGuards();
const app = await loadApp(task.app);
const found = app.jobs.find((candidate) => candidate.name === task.job);
if (found === undefined) throw new Error(`the app has no job "${task.job}"`);
const job = withSettings(found, task.identity.settings);
const replayed = task.ways.map((way) => replay({ ...task, job, guard }, way));
parentPort!.postMessage(replayed);
