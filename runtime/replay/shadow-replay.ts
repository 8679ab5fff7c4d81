/**
 * Replays a job beside the one that runs: a range of its log, or an archive, through a build, into a shadow job
 * `<job>-<generation>`, in threads of its own, a partition at a time in each.
 *
 * Whatever ends it, it is begun again under the same name: what the shadow's output streams have is not published twice,
 * and what they have otherwise is refused. Its state is kept nowhere.
 */
import { mkdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { epochSubject } from "../../actors/fold/subject.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { readSlotMap } from "../log/slot-map.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import { lockDataDir } from "../store/data-dir-lock.ts";
import { moduleUrl, startThread, type Thread } from "../threads/thread-call.ts";
import type { Answer, PartitionProgress, PartitionReplayed, PartitionTask, ReplayedJob, ReplayThread, ThreadSetup } from "./replay-task.ts";

export interface ReplayRequest
  extends Pick<PartitionTask, "job" | "generation" | "from" | "to" | "snapshot" | "archive" | "publish" | "diffFile" | "models"> {
  readonly app: string;
  readonly settings: Partial<FoldSettings>;
  readonly nats: NatsAccess | undefined;
  readonly snapshots: ThreadSetup["snapshots"];
  readonly compare: boolean;
  /** Of an archive for a log that there is not. */
  readonly partitions: number;
  /** Where the state goes meanwhile; a folder in it is made for this replay and taken away again. */
  readonly folder: string;
  /** Of the process that runs models, where any may be asked. */
  readonly inference?: ServiceAddress;
  /** Default: as many as cores. */
  readonly threads?: number;
}

export interface ShadowReplayed {
  readonly job: string;
  readonly shadow: string;
  readonly log: string;
  readonly version: number;
  readonly codeHash: string;
  readonly seconds: number;
  readonly partitions: readonly PartitionReplayed[];
}

/** Of all partitions together. */
export interface ReplayProgress {
  readonly entries: number;
  readonly events: number;
  readonly done: number;
  readonly total: number;
  /** Whole partitions that are done. */
  readonly partitions: number;
}

/** A partition may take days. */
const NO_DEADLINE_MS = 2 ** 31 - 1;
const PROGRESS_MS = 100;

/**
 * `progress` is told several times a second. When `signal` is aborted the partitions stop where they are; what they came
 * to says so. Rejects with what made one of them fail: SHADOW_DIVERGED, LOG_TRIMMED, SHADOW_TAKEN, DATA_DIR_LOCKED, …
 */
export async function replayShadow(
  request: ReplayRequest,
  progress: (progress: ReplayProgress) => void,
  signal: AbortSignal,
): Promise<ShadowReplayed> {
  const shadow = `${request.job}-${request.generation}`;
  const from = systemClock.monotonic();
  const first = startReplayThread(request);
  const threads = [first];
  const nc = request.nats === undefined ? undefined : await connectNats(request.nats, "tidemark replay");
  try {
    const job = await opened(first, request);
    const partitions = await partitionsOf(nc, job.log, request);
    const wanted = partitionsOfRange(request, partitions);
    if (nc !== undefined) await refuseTaken(nc, job.log, shadow, wanted);
    const folder = join(request.folder, shadow);
    mkdirSync(folder, { recursive: true });
    const lock = await lockDataDir(folder, () => ({ pid: process.pid, startedAt: new Date().toISOString() }));
    try {
      const count = Math.min(request.threads ?? availableParallelism(), wanted.length);
      for (let i = 1; i < count; i++) threads.push(startReplayThread(request));
      await Promise.all(threads.slice(1).map((thread) => opened(thread, request)));
      const tasks = wanted.map((partition) => taskOf(request, partition, partitions, join(folder, String(partition))));
      const replayed = await runTasks(threads, tasks, progress, signal);
      const seconds = (systemClock.monotonic() - from) / 1000;
      const { log, version, codeHash } = job;
      return { job: request.job, shadow, log, version, codeHash, seconds, partitions: replayed };
    } finally {
      for (const partition of wanted) rmSync(join(folder, String(partition)), { recursive: true, force: true });
      await lock.release();
    }
  } finally {
    await Promise.all(threads.map(end));
    await nc?.close();
  }
}

function startReplayThread({ app, settings, nats, snapshots, inference }: ReplayRequest): Thread<ReplayThread> {
  // As nodes run: what a handler makes of a date or a text must not depend on where it is folded.
  const env = { ...process.env, TZ: "UTC", LC_ALL: "C", LANG: "C" };
  const setup: ThreadSetup = { app, settings, nats, snapshots, inference };
  return startThread<ReplayThread>(moduleUrl("./shadow-worker.ts", import.meta.url), { name: "replay", workerData: setup, env }, () => {});
}

async function end(thread: Thread<ReplayThread>): Promise<void> {
  // A thread that was lost has nothing to close; its loss was told.
  await thread.call("close", (remote) => remote.close()).catch(() => {});
  await thread.worker.terminate();
}

async function opened(thread: Thread<ReplayThread>, { job, generation }: ReplayRequest): Promise<ReplayedJob> {
  return okOf(await thread.call("open", (remote) => remote.open(job, generation), NO_DEADLINE_MS));
}

function okOf<T>(answer: Answer<T>): T {
  if (answer.failed !== undefined) throw new TidemarkError(answer.failed.code, answer.failed.detail);
  return answer.ok as T;
}

/** As its slot map says; an archive needs no log. */
async function partitionsOf(nc: NatsConnection | undefined, log: string, request: ReplayRequest): Promise<number> {
  const map = nc === undefined ? undefined : await readMap(nc, log);
  if (map !== undefined) return map;
  if (request.archive === undefined) throw new TidemarkError("LOG_MISSING", `There is no log ${log}.`);
  return request.partitions;
}

async function readMap(nc: NatsConnection, log: string): Promise<number | undefined> {
  try {
    return (await readSlotMap(nc, log))?.partitions;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === "LOG_MISSING") return undefined;
    throw error;
  }
}

/** A position is of one partition. */
function partitionsOfRange({ from, to }: ReplayRequest, partitions: number): readonly number[] {
  const named = [from, to].flatMap((point) => (point.kind === "position" ? [point.partition] : []));
  const [one = 0, other = one] = named;
  if (one !== other) throw new TidemarkError("USAGE_INVALID", `Partition ${one} and partition ${other} have nothing between them.`);
  if (one >= partitions) throw new TidemarkError("USAGE_INVALID", `The log has ${partitions} partitions, from 0 on; there is no ${one}.`);
  return named.length > 0 ? [one] : Array.from({ length: partitions }, (_, partition) => partition);
}

/** A generation that nodes run has a journal of its own; a replay under its name would write into its outputs. */
async function refuseTaken(nc: NatsConnection, log: string, shadow: string, partitions: readonly number[]): Promise<void> {
  for (const partition of partitions) {
    const epoch = await lastEpoch(new NatsPartitionLog(nc, log, partition), epochSubject(log, partition, shadow));
    if (epoch !== undefined) throw new TidemarkError("SHADOW_TAKEN", `${shadow} is a generation that was begun at entry ${epoch}.`);
  }
}

async function lastEpoch(log: NatsPartitionLog, subject: string): Promise<number | undefined> {
  try {
    return (await log.lastOn(subject))?.sequence;
  } catch (error) {
    if (error instanceof TidemarkError && error.code === "LOG_MISSING") return undefined;
    throw error;
  }
}

function taskOf(request: ReplayRequest, partition: number, partitions: number, folder: string): PartitionTask {
  const { job, generation, from, to, snapshot, archive, models, publish, compare, diffFile } = request;
  // What a replay that was killed has left is no state to go on with.
  rmSync(folder, { recursive: true, force: true });
  return { job, generation, partition, partitions, folder, from, to, snapshot, archive, models, publish, compare, diffFile };
}

async function runTasks(
  threads: readonly Thread<ReplayThread>[],
  tasks: readonly PartitionTask[],
  progress: (progress: ReplayProgress) => void,
  signal: AbortSignal,
): Promise<PartitionReplayed[]> {
  const waiting = [...tasks];
  const replayed: PartitionReplayed[] = [];
  let failed = false;
  const stop = (): void => {
    waiting.length = 0;
    for (const thread of threads) void thread.call("stop", (remote) => remote.stop()).catch(() => {});
  };
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const run = async (thread: Thread<ReplayThread>): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const next = task;
      replayed.push(okOf(await thread.call("replay", (remote) => remote.replay(next), NO_DEADLINE_MS)));
    }
  };
  const work = Promise.all(
    threads.map((thread) =>
      run(thread).catch((error: unknown) => {
        // One that failed makes the rest useless; they are brought to a stop before their folders go.
        failed = true;
        stop();
        return error;
      }),
    ),
  );
  const watch = new AbortController();
  const watching = follow(threads, replayed, tasks.length, progress, watch.signal);
  const errors = (await work).filter((error) => error !== undefined);
  watch.abort();
  await watching;
  signal.removeEventListener("abort", stop);
  if (failed) throw errors[0];
  return replayed.sort((a, b) => a.partition - b.partition);
}

async function follow(
  threads: readonly Thread<ReplayThread>[],
  replayed: readonly PartitionReplayed[],
  partitions: number,
  progress: (progress: ReplayProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const each = await Promise.all(threads.map((thread) => thread.call("progress", (remote) => remote.progress()).catch(() => undefined)));
    if (signal.aborted) return;
    progress(together(each, replayed, partitions));
    await systemClock.sleep(PROGRESS_MS, signal);
  }
}

/** What has not begun is taken to be as long as the others. */
function together(
  each: readonly (PartitionProgress | undefined)[],
  replayed: readonly PartitionReplayed[],
  partitions: number,
): ReplayProgress {
  const running = each.filter((one) => one !== undefined);
  const shares = running.map(({ done, total }) => (total === 0 ? 0 : Math.min(1, done / total)));
  const sum = (count: (one: PartitionProgress) => number): number => running.reduce((total, one) => total + count(one), 0);
  return {
    entries: sum(({ entries }) => entries) + replayed.reduce((total, { entries }) => total + entries, 0),
    events: sum(({ events }) => events) + replayed.reduce((total, { counts }) => total + counts.in, 0),
    done: replayed.length + shares.reduce((total, share) => total + share, 0),
    total: partitions,
    partitions: replayed.length,
  };
}
