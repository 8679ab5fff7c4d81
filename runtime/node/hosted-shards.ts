/**
 * Which worker thread has which shard of a node: shards go round the workers, partition by partition, so that those of
 * one job are spread. Every shard has its place here, whether it runs on this node or not: that the cluster says.
 */
import * as Comlink from "comlink";
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import type { ClusterShards } from "../cluster/cluster.ts";
import type { Standing } from "../cluster/decide.ts";
import { TidemarkError } from "../errors.ts";
import { pumpsBeside } from "../pump/pump-places.ts";
import type { ShardRole } from "../shard/shard-parts.ts";
import type { Standby, Standbys } from "../shard/standby.ts";
import type { HostedPlace } from "../shard/worker.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { SnapshotShards } from "../snapshots/snapshots.ts";
import type { DataDir } from "../store/data-dir.ts";
import type { RunningJob } from "./node.ts";
import type { OtherBuilds, Worker } from "./other-builds.ts";

/** What is folded has to be published and committed first. */
const END_MS = 60_000;
const RESTORE_MS = 4 * 60 * 60 * 1000;

/** A shard that waits for its outputs to be stored for so long has other cares than a snapshot. */
const SETTLE_MS = 60_000;

/** One that is asked what its shards do has to answer so soon, or its thread counts as one that hangs. */
const STANDING_MS = 1_000;

interface Place {
  readonly number: number;
  /** Of the node's own build, or of another one. */
  worker: Worker;
  /** While it is taken from one worker to another. */
  moving: { readonly standing: Standing; readonly done: Promise<void> } | undefined;
  /** While its state is replaced by a snapshot's, it stays where it is. */
  restoring: boolean;
  readonly at: Omit<HostedPlace, "role">;
}

export interface HostedShardsParts {
  /** Of the node's own build. */
  readonly workers: readonly Worker[];
  readonly dataDir: DataDir;
  /** `undefined`: the node runs its own build alone. */
  readonly others: OtherBuilds | undefined;
  /** Of the node's own build of a job. */
  readonly identityOf: (job: Job) => CodeIdentity;
  readonly notice: (message: string) => void;
}

export class HostedShards implements SnapshotShards, ClusterShards, Standbys {
  readonly #own: readonly Worker[];
  readonly #parts: HostedShardsParts;
  readonly #jobs = new Map<string, RunningJob>();
  readonly #places = new Map<string, Place>();
  #followed: Readonly<Record<string, string>> = {};
  #next = 0;

  constructor(parts: HostedShardsParts) {
    this.#parts = parts;
    this.#own = parts.workers;
  }

  /** Threads that have shards. */
  get workers(): readonly Worker[] {
    return [...this.#own, ...(this.#parts.others?.workers ?? [])];
  }

  /** The shards of a job may run here. `all`: the jobs whose pumps may run beside it. */
  add(running: RunningJob, all: readonly RunningJob[]): void {
    const { job, map } = running;
    this.#jobs.set(job.name, running);
    for (let partition = 0; partition < map.partitions; partition++) {
      const pumps = pumpsBeside({ job, partition }, all);
      const at = { partition, partitions: map.partitions, folder: this.#parts.dataDir.shardFolder(job.name, partition), pumps };
      const number = this.#next++;
      this.#places.set(`${job.name}/${partition}`, {
        number,
        worker: numbered(this.#own, number),
        moving: undefined,
        restoring: false,
        at,
      });
    }
  }

  async host(job: string, shard: number, role: ShardRole): Promise<void> {
    const place = this.#places.get(`${job}/${shard}`);
    if (place === undefined) return;
    await place.moving?.done;
    await place.worker.call("host", (remote) => remote.host(job, [{ ...place.at, role }]));
  }

  async setRole(job: string, shard: number, role: ShardRole): Promise<void> {
    await this.#places.get(`${job}/${shard}`)?.moving?.done;
    await this.#workerOf(job, shard).call("set role", (remote) => remote.setRole(job, shard, role));
  }

  async end(job: string, shard: number): Promise<void> {
    await this.#places.get(`${job}/${shard}`)?.moving?.done;
    await this.#workerOf(job, shard).call("end", (remote) => remote.end(job, shard), END_MS);
  }

  /** One of them needs another build now: it is not left alone until somebody asks. */
  lookAtThem(): void {
    void this.standings();
  }

  /** One that only another build may fold is taken to a thread of that one; meanwhile it counts as one that runs. */
  async standings(): Promise<readonly Standing[]> {
    const asked = this.workers.map((worker) => worker.call("standings", (remote) => remote.standings(), STANDING_MS).catch(() => []));
    const standings = (await Promise.all(asked)).flat();
    for (const standing of standings) if (standing.needs !== undefined) this.#toItsBuild(standing, standing.needs);
    const used = new Set([...this.#places.values()].map(({ worker }) => worker));
    this.#parts.others?.endIdle((worker) => used.has(worker));
    const moving = [...this.#places.values()].flatMap(({ moving: move }) => (move === undefined ? [] : [move.standing]));
    return [...standings.filter((standing) => !moving.some((other) => isSame(standing, other))), ...moving];
  }

  /** The node's own build ends where it hands over: what follows it is started by whoever asked for that. */
  #toItsBuild({ job, shard, role, status }: Standing, build: CodeIdentity): void {
    const place = this.#places.get(`${job}/${shard}`);
    const running = this.#jobs.get(job);
    if (place === undefined || running === undefined || place.moving !== undefined || place.restoring) return;
    if (this.#own.includes(place.worker) && status === "stopped") return;
    const { others, identityOf, notice } = this.#parts;
    const workers = sameCode(identityOf(running.job), build) ? this.#own : others?.workersOf(build);
    if (workers === undefined) return;
    const to = numbered(workers, place.number);
    if (to === place.worker) return;
    const standing: Standing = { job, shard, role, status: "running", ready: false };
    const done = this.#move(place, standing, to)
      .catch((error: unknown) => {
        notice(`${job}/${shard} is not taken to its build: ${error instanceof Error ? error.message : String(error)}`);
      })
      .finally(() => {
        place.moving = undefined;
      });
    place.moving = { standing, done };
  }

  async #move(place: Place, { job, shard, role }: Standing, to: Worker): Promise<void> {
    await Promise.all([
      place.worker.call("end", (remote) => remote.end(job, shard), END_MS),
      to.call("follow", (remote) => remote.follow(this.#followed)),
    ]);
    place.worker = to;
    await to.call("host", (remote) => remote.host(job, [{ ...place.at, role }]));
  }

  /** Behind it no shard is between two threads. */
  async moved(): Promise<void> {
    await Promise.all([...this.#places.values()].map(({ moving }) => moving?.done));
  }

  async standbys(): Promise<readonly Standby[]> {
    return (await Promise.all(this.workers.map((worker) => worker.call("standbys", (remote) => remote.standbys())))).flat();
  }

  async rebuild(standby: Standby, why: string): Promise<boolean> {
    const place = this.#places.get(`${standby.job}/${standby.shard}`);
    return place !== undefined && (await place.worker.call("rebuild", (remote) => remote.rebuild(standby, why)));
  }

  /** The shards of a job end here, and their state with them. */
  async release(job: string): Promise<void> {
    this.#jobs.delete(job);
    await this.moved();
    for (const worker of this.workers) await worker.call("release", (remote) => remote.release(job), END_MS);
    for (const place of [...this.#places.keys()]) if (place.startsWith(`${job}/`)) this.#places.delete(place);
  }

  /** Sinks follow the outputs of these, by job. */
  async follow(active: Readonly<Record<string, string>>): Promise<void> {
    this.#followed = active;
    await Promise.all(this.workers.map((worker) => worker.call("follow", (remote) => remote.follow(active))));
  }

  /** Puts a shard back to a snapshot. Throws as {@link SnapshotSource.restore} does, and RESTORE_BUSY. */
  async restore(manifest: ShardManifest, progress: (doneBytes: number) => void, signal: AbortSignal): Promise<void> {
    const { job, shard } = manifest;
    const place = this.#places.get(`${job}/${shard}`);
    if (place === undefined) throw new TidemarkError("GENERATION_MISSING", `${job} does not run here any more.`);
    if (place.restoring) throw new TidemarkError("RESTORE_BUSY", `${job}/${shard} is being put back to a snapshot.`);
    place.restoring = true;
    // A worker that is gone has given up already.
    const cancel = (): void => void this.cancelRestore(job, shard).catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    try {
      await place.moving?.done;
      signal.throwIfAborted();
      const told = Comlink.proxy(progress);
      await place.worker.ask("restore", (remote) => remote.restore(manifest, told), RESTORE_MS);
    } finally {
      place.restoring = false;
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Gives up what puts a shard back now. */
  async cancelRestore(job: string, shard: number): Promise<void> {
    await this.#workerOf(job, shard).call("cancel restore", (remote) => remote.cancelRestore(job, shard));
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
      folder: this.#parts.dataDir.shardFolder(job.name, shard),
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

function isSame(a: Standing, b: Standing): boolean {
  return a.job === b.job && a.shard === b.shard;
}

function numbered(workers: readonly Worker[], number: number): Worker {
  return workers[number % workers.length]!;
}
