/**
 * Restores: a job's shards put back to a snapshot, from which they fold on, or a generation begun from it or from a moment
 * of the past.
 *
 * Putting back rewrites nothing: what is folded again is compared with the outputs that are there. What is asked for is
 * checked before anything is stopped, and a snapshot that somebody named is read as a whole before.
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import type { History } from "../history/history.ts";
import type { Operation, Operations, Progress } from "../node/operations.ts";
import type { JobManifest, ShardManifest } from "../snapshots/manifest.ts";
import { storedBytes } from "../snapshots/manifest.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import { type BeginRequest, generationJob } from "./generation-begin.ts";
import { type Generations, isDamage } from "./generations.ts";
import { foldBases, type JobMoment, nameOfMoment, pastsAt } from "./past-bases.ts";
import { checkShards, type RestorableJob } from "./shard-checks.ts";
export interface RestoresParts {
  readonly nc: NatsConnection;
  readonly snapshots: Pick<Snapshots, "get" | "list" | "verify">;
  readonly history: Pick<History, "past" | "detach">;
  readonly operations: Operations;
  readonly generations: Pick<Generations, "begin">;
  /** `undefined` when this node does not run it. */
  readonly jobNamed: (name: string) => RestorableJob | undefined;
  /** Stops a shard, puts it back and starts it. */
  readonly putBack: (manifest: ShardManifest, progress: (doneBytes: number) => void, signal: AbortSignal) => Promise<void>;
  readonly notice: (message: string) => void;
}

export interface RestoreRequest {
  /** Id of a job snapshot, or `newest` with the job. */
  readonly snapshot: string;
  readonly job?: string;
  /** All when absent. */
  readonly shards?: readonly number[];
  /** Begins one of that name; without it the job itself is put back. */
  readonly generation?: string;
  readonly who: string;
}

export interface PastRestoreRequest {
  readonly job: string;
  readonly at: JobMoment;
  readonly generation: string;
  readonly who: string;
}

export const NEWEST = "newest";

interface Chosen {
  readonly snapshot: JobManifest;
  readonly shards: readonly ShardManifest[];
}

export class Restores {
  readonly #parts: RestoresParts;
  /** Jobs that are being put back. */
  readonly #busy = new Set<string>();

  constructor(parts: RestoresParts) {
    this.#parts = parts;
  }

  /**
   * Checks what is asked for and starts it. Throws what stands in its way: SNAPSHOT_MISSING, SNAPSHOT_DAMAGED,
   * SNAPSHOT_FORMAT, SNAPSHOT_FOREIGN, CODE_UNAVAILABLE, LOG_TRUNCATED, LOG_TRIMMED, OUTPUTS_TRUNCATED, RESTORE_BUSY,
   * GENERATION_INVALID, GENERATION_TAKEN or OPERATIONS_BUSY.
   */
  async start(request: RestoreRequest): Promise<Operation> {
    const candidates = await this.#candidates(request);
    const first = candidates[0]!;
    const running = this.#running(first.job);
    if (request.generation !== undefined) return await this.#begin(request, request.generation, running, candidates);
    return await this.#putBack(request, running, candidates);
  }

  /**
   * Begins a generation with the job's state as of a moment of the past. Throws what stands in its way: INPUT_INVALID, NOT_YET,
   * HISTORY_TRIMMED, CODE_UNAVAILABLE, SNAPSHOT_FOREIGN, GENERATION_INVALID, GENERATION_TAKEN or OPERATIONS_BUSY.
   */
  async startAt({ job: name, at, generation, who }: PastRestoreRequest): Promise<Operation> {
    const running = this.#running(name);
    const { job, identity, mapVersion } = running;
    generationJob(job, generation);
    const pasts = await pastsAt(this.#parts, running, at);
    const of = nameOfMoment(at);
    return await this.#parts.generations.begin({ origin: job, identity, mapVersion, generation, of, who }, "entries", async (progress) => {
      return { bases: await foldBases(this.#parts, running, at, pasts, progress), of };
    });
  }

  /** The snapshots that may serve, the best first: of `newest` the older ones too. */
  async #candidates({ snapshot, job }: RestoreRequest): Promise<readonly JobManifest[]> {
    const { snapshots, notice } = this.#parts;
    if (snapshot !== NEWEST) {
      const { snapshot: found } = await snapshots.get(snapshot);
      if (job !== undefined && found.job !== job)
        throw new TidemarkError("SNAPSHOT_FOREIGN", `${snapshot} is of the job ${found.job}, not of ${job}.`);
      return [found];
    }
    if (job === undefined) throw new TidemarkError("SNAPSHOT_MISSING", "Of which job the newest snapshot is meant is not said.");
    this.#running(job);
    const { snapshots: all, damaged } = await snapshots.list(job);
    for (const { name, message } of damaged) notice(`${name} is passed over: ${message}`);
    if (all.length === 0) throw new TidemarkError("SNAPSHOT_MISSING", `There is no snapshot of ${job}.`);
    return all;
  }

  #running(job: string): RestorableJob {
    const running = this.#parts.jobNamed(job);
    if (running === undefined) throw new TidemarkError("SNAPSHOT_FOREIGN", `The job ${job} does not run here.`);
    return running;
  }

  async #begin(
    request: RestoreRequest,
    generation: string,
    running: RestorableJob,
    candidates: readonly JobManifest[],
  ): Promise<Operation> {
    if (request.shards !== undefined) throw new TidemarkError("GENERATION_INVALID", "A generation has all shards of its job; name none.");
    const { job, identity, mapVersion } = running;
    const named = request.snapshot !== NEWEST;
    if (named) await checkShards(this.#parts.nc, (await this.#chosen(candidates[0]!)).shards, running, false);
    const { who } = request;
    return await this.#parts.generations.begin(
      { origin: job, identity, mapVersion, generation, of: request.snapshot, who },
      "bytes",
      async (progress) => {
        const chosen = await this.#whole(candidates, running, false, progress);
        const bases = chosen.shards.map((manifest): BeginRequest["bases"][number] => ({
          source: { kind: "snapshot", manifest },
          cursor: manifest.cursor.sequence,
          last: manifest.last,
        }));
        return { bases, of: chosen.snapshot.id };
      },
    );
  }

  async #putBack(request: RestoreRequest, running: RestorableJob, candidates: readonly JobManifest[]): Promise<Operation> {
    const { operations, putBack } = this.#parts;
    const { name } = running.job;
    const { who, shards } = request;
    const outside = shards?.find((shard) => shard >= running.partitions);
    if (outside !== undefined) throw new TidemarkError("SNAPSHOT_MISSING", `${name} has no shard ${outside}.`);
    if (this.#busy.has(name)) throw new TidemarkError("RESTORE_BUSY", `${name} is being put back already.`);
    this.#busy.add(name);
    try {
      if (request.snapshot !== NEWEST)
        await checkShards(this.#parts.nc, (await this.#chosen(candidates[0]!, shards)).shards, running, true);
      return operations.start({ kind: "restore", unit: "bytes", who }, async (progress) => {
        try {
          const chosen = await this.#whole(candidates, running, true, progress, shards);
          const total = chosen.shards.reduce((sum, shard) => sum + storedBytes(shard), 0);
          let before = 0;
          for (const manifest of chosen.shards) {
            progress.signal.throwIfAborted();
            await putBack(manifest, (done) => progress.report(before + done, total), progress.signal);
            before += storedBytes(manifest);
          }
          return { job: name, snapshot: chosen.snapshot.id, shards: chosen.shards.map(({ shard }) => shard) };
        } finally {
          this.#busy.delete(name);
        }
      });
    } catch (error) {
      this.#busy.delete(name);
      throw error;
    }
  }

  /** The first one that may be restored and is whole. */
  async #whole(
    candidates: readonly JobManifest[],
    running: RestorableJob,
    published: boolean,
    { report, signal }: Progress,
    shards?: readonly number[],
  ): Promise<Chosen> {
    const { nc, snapshots, notice } = this.#parts;
    for (const [i, candidate] of candidates.entries()) {
      signal.throwIfAborted();
      try {
        const chosen = await this.#chosen(candidate, shards);
        await checkShards(nc, chosen.shards, running, published);
        await snapshots.verify(candidate.id, (done, total) => report(done, total));
        return chosen;
      } catch (error) {
        const ahead = error instanceof TidemarkError && (error.code === "LOG_TRUNCATED" || error.code === "OUTPUTS_TRUNCATED");
        if (i === candidates.length - 1 || !(isDamage(error) || ahead)) throw error;
        notice(`${candidate.id} is passed over for an older one: ${(error as TidemarkError).message}`);
      }
    }
    throw new TidemarkError("SNAPSHOT_MISSING", `There is no snapshot of ${running.job.name}.`);
  }

  async #chosen({ id, job }: JobManifest, wanted?: readonly number[]): Promise<Chosen> {
    const { snapshot, shards: all } = await this.#parts.snapshots.get(id);
    const shards = wanted === undefined ? all : all.filter(({ shard }) => wanted.includes(shard));
    const count = wanted?.length ?? this.#running(job).partitions;
    if (shards.length < count)
      throw new TidemarkError("SNAPSHOT_MISSING", `${id} has only the shards ${all.map(({ shard }) => shard).join(", ")}.`);
    return { snapshot, shards };
  }
}
