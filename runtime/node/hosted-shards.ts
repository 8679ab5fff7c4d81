/**
 * Which worker thread has which shard of a node: shards go round the workers, partition by partition, so that those of
 * one job are spread. Every shard has its place here, whether it runs on this node or not: that the cluster says.
 */
import * as Comlink from "comlink";
import type { ClusterShards } from "../cluster/cluster.ts";
import type { Standing } from "../cluster/decide.ts";
import { TidemarkError } from "../errors.ts";
import { pumpsBeside } from "../pump/pump-places.ts";
import type { ShardRole } from "../shard/shard-parts.ts";
import type { HostedPlace, ShardWorker } from "../shard/worker.ts";
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

/** One that is asked what its shards do has to answer so soon, or its thread counts as one that hangs. */
const STANDING_MS = 1_000;

interface Place {
  readonly worker: Worker;
  readonly at: Omit<HostedPlace, "role">;
}

export class HostedShards implements SnapshotShards, ClusterShards {
  readonly #workers: readonly Worker[];
  readonly #dataDir: DataDir;
  readonly #jobs = new Map<string, RunningJob>();
  readonly #places = new Map<string, Place>();
  #next = 0;

  constructor(workers: readonly Worker[], dataDir: DataDir) {
    this.#workers = workers;
    this.#dataDir = dataDir;
  }

  /** The shards of a job may run here. `all`: the jobs whose pumps may run beside it. */
  add(running: RunningJob, all: readonly RunningJob[]): void {
    const { job, map } = running;
    this.#jobs.set(job.name, running);
    for (let partition = 0; partition < map.partitions; partition++) {
      const pumps = pumpsBeside({ job, partition }, all);
      const at = { partition, partitions: map.partitions, folder: this.#dataDir.shardFolder(job.name, partition), pumps };
      this.#places.set(`${job.name}/${partition}`, { worker: this.#workers[this.#next++ % this.#workers.length]!, at });
    }
  }

  async host(job: string, shard: number, role: ShardRole): Promise<void> {
    const place = this.#places.get(`${job}/${shard}`);
    if (place === undefined) return;
    await place.worker.call("host", (remote) => remote.host(job, [{ ...place.at, role }]));
  }

  async setRole(job: string, shard: number, role: ShardRole): Promise<void> {
    await this.#workerOf(job, shard).call("set role", (remote) => remote.setRole(job, shard, role));
  }

  async end(job: string, shard: number): Promise<void> {
    await this.#workerOf(job, shard).call("end", (remote) => remote.end(job, shard), END_MS);
  }

  async standings(): Promise<readonly Standing[]> {
    const asked = this.#workers.map((worker) => worker.call("standings", (remote) => remote.standings(), STANDING_MS).catch(() => []));
    return (await Promise.all(asked)).flat();
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
    const worker = this.#places.get(`${job}/${shard}`)?.worker;
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
    const place = this.#places.get(`${job}/${shard}`);
    if (place === undefined) throw new RangeError(`no worker has ${job}/${shard}`);
    return place.worker;
  }
}
