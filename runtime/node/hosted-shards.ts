/**
 * Which worker thread has which shard of a node: shards go round the workers, partition by partition, so that those of
 * one job are spread.
 */
import * as Comlink from "comlink";
import { TidemarkError } from "../errors.ts";
import { pumpsBeside } from "../pump/pump-places.ts";
import type { ShardWorker } from "../shard/worker.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { SnapshotShards } from "../snapshots/snapshots.ts";
import type { DataDir } from "../store/data-dir.ts";
import type { Thread } from "../threads/thread-call.ts";
import type { RunningJob } from "./node.ts";

/** What is folded has to be published and committed first. */
const END_MS = 60_000;
const RESTORE_MS = 4 * 60 * 60 * 1000;

type Worker = Thread<ShardWorker>;

/** A shard that waits for its outputs to be stored for so long has other cares than a snapshot. */
const SETTLE_MS = 60_000;

export class HostedShards implements SnapshotShards {
  readonly #workers: readonly Worker[];
  readonly #dataDir: DataDir;
  readonly #jobs = new Map<string, RunningJob>();
  readonly #places = new Map<string, Worker>();
  #next = 0;

  constructor(workers: readonly Worker[], dataDir: DataDir) {
    this.#workers = workers;
    this.#dataDir = dataDir;
  }

  /** Starts the shards of a job. `all`: the jobs that run, whose pumps may run beside it. */
  async assign(running: RunningJob, all: readonly RunningJob[]): Promise<void> {
    const { job, map } = running;
    this.#jobs.set(job.name, running);
    for (let partition = 0; partition < map.partitions; partition++) {
      const pumps = pumpsBeside({ job, partition }, all);
      const place = { partition, partitions: map.partitions, folder: this.#dataDir.shardFolder(job.name, partition), pumps };
      const worker = this.#workers[this.#next++ % this.#workers.length]!;
      this.#places.set(`${job.name}/${partition}`, worker);
      await worker.call("host", (remote) => remote.host(job.name, [place]));
    }
  }

  /** The shards of a job end here, and their state with them. */
  async release(job: string): Promise<void> {
    this.#jobs.delete(job);
    for (const worker of this.#workers) await worker.call("release", (remote) => remote.release(job), END_MS);
    for (const place of [...this.#places.keys()]) if (place.startsWith(`${job}/`)) this.#places.delete(place);
  }

  /** Sinks follow the outputs of these, by job. */
  async follow(active: Readonly<Record<string, string>>): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.call("follow", (remote) => remote.follow(active))));
  }

  /** Puts a shard back to a snapshot. Throws as {@link SnapshotSource.restore} does. */
  async restore(manifest: ShardManifest, progress: (doneBytes: number) => void, signal: AbortSignal): Promise<void> {
    const { job, shard } = manifest;
    const worker = this.#places.get(`${job}/${shard}`);
    if (worker === undefined) throw new TidemarkError("GENERATION_MISSING", `${job} does not run here any more.`);
    signal.throwIfAborted();
    const told = Comlink.proxy(progress);
    const cancel = (): void => {
      // A worker that is gone has given up already.
      worker.call("cancel restore", (remote) => remote.cancelRestore(job, shard)).catch(() => {});
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      await worker.ask("restore", (remote) => remote.restore(manifest, told), RESTORE_MS);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  of(name: string): ReturnType<SnapshotShards["of"]> {
    const running = this.#jobs.get(name);
    return running === undefined ? [] : this.placesOf(running);
  }

  placesOf({ job, map }: RunningJob): ReturnType<SnapshotShards["of"]> {
    return Array.from({ length: map.partitions }, (_, shard) => ({
      job: job.name,
      log: job.log,
      shard,
      partitions: map.partitions,
      mapVersion: map.version,
      folder: this.#dataDir.shardFolder(job.name, shard),
    }));
  }

  async settled(job: string, shard: number): Promise<void> {
    await this.#workerOf(job, shard).ask("settle", (remote) => remote.settled(job, shard), SETTLE_MS);
  }

  changedRows(job: string, shard: number, since: string | undefined, at: string): ReturnType<SnapshotShards["changedRows"]> {
    return this.#workerOf(job, shard).call("changed rows", (remote) => remote.changedRows(job, shard, since, at));
  }

  async taken(job: string, shard: number, at: string): Promise<void> {
    await this.#workerOf(job, shard).call("snapshot taken", (remote) => remote.snapshotTaken(job, shard, at));
  }

  hasChanged(job: string, shard: number): Promise<boolean> {
    return this.#workerOf(job, shard).call("has changed", (remote) => remote.hasChanged(job, shard));
  }

  #workerOf(job: string, shard: number): Worker {
    const worker = this.#places.get(`${job}/${shard}`);
    if (worker === undefined) throw new RangeError(`no worker has ${job}/${shard}`);
    return worker;
  }
}
