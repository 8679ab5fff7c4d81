/**
 * Snapshots of a node's jobs: on a schedule, on demand, at an epoch. It lives in the main thread and works through two
 * others: the keeper, which reads rows and writes blobs, and the workers, whose shards say which rows changed.
 *
 * In a cluster the owner of a job's first shard keeps the schedule, and each owner takes its shards' part; whoever is asked for a
 * snapshot asks the others.
 *
 * One snapshot is taken at a time. A job's snapshot counts when its manifest does; a death before leaves blobs that
 * nobody names. A snapshot that fails is told, counted and tried again with the next turn of the schedule.
 */
import * as Comlink from "comlink";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { Histogram } from "../../inference/histogram.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { LastSnapshot, SnapshotMeasures } from "../shard/report.ts";
import type { DamagedBlob, KeeperThread, SnapshotKeeper } from "./keeper.ts";
import { type JobManifest, type ShardManifest, SNAPSHOT_FORMAT, type SnapshotReason, storedBytes } from "./manifest.ts";
import type { RowsChanged } from "./row-keys.ts";
import type { SnapshotShard } from "./shard-snapshot.ts";

/** Shards whose owner is another node: it takes their part of a snapshot. */
export interface OtherOwners {
  /** `undefined`: the owner is this node. Throws NODE_UNREACHABLE where nobody owns the shard. */
  ownerOf(job: string, shard: number): string | undefined;
  hasChanged(node: string, job: string, shard: number): Promise<boolean>;
  /** Fails with NODE_UNREACHABLE when the owner is gone meanwhile, and as {@link Snapshots.takeShard} does. */
  takeShard(node: string, job: string, shard: number, reason: SnapshotReason, signal: AbortSignal): Promise<ShardManifest | undefined>;
}

/** What a snapshot asks of the shards of this node. */
export interface SnapshotShards {
  /** Those of a job on this node. */
  of(job: string): readonly ShardPlace[];
  /** Resolves when what the shard has folded now is committed. */
  settled(job: string, shard: number): Promise<void>;
  changedRows(job: string, shard: number, since: string | undefined, at: string): Promise<RowsChanged>;
  taken(job: string, shard: number, at: string): Promise<void>;
  hasChanged(job: string, shard: number): Promise<boolean>;
}

type ShardPlace = SnapshotShard & { readonly folder: string };

export interface SnapshotsOptions {
  readonly keeper: KeeperThread;
  readonly shards: SnapshotShards;
  readonly others: OtherOwners;
  readonly jobs: () => readonly string[];
  readonly clock: Clock;
  /** 0: only on demand. */
  readonly everyMs: number;
  /** How long daily snapshots are kept. */
  readonly keepMs: number;
  readonly notice: (message: string) => void;
}

export interface TakeOptions {
  readonly reason: SnapshotReason;
  readonly progress?: (rows: number) => void;
  /** Gives it up. */
  readonly signal?: AbortSignal;
}

const TAKE_DEADLINE_MS = 4 * 60 * 60 * 1000;
/** Of the time, what the keeper may work at a snapshot that nobody waits for. */
const SCHEDULED_SHARE = 0.5;
const DURATION_BOUNDS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Old snapshots are cleared away behind every so many of a job. */
const CLEAR_EVERY = 5;

interface ShardMeasure {
  readonly duration: Histogram;
  bytes: number;
  failures: number;
  last: LastSnapshot | null;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #measures = new Map<string, ShardMeasure>();
  readonly #takenOf = new Map<string, number>();
  readonly #lastIds = new Map<string, string>();
  readonly #abort = new AbortController();
  #queue: Promise<unknown> = Promise.resolve();
  #shardQueue: Promise<unknown> = Promise.resolve();
  #schedule: Promise<void> = Promise.resolve();

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Begins the schedule. */
  start(): void {
    if (this.#options.everyMs > 0) this.#schedule = this.#run();
  }

  /** Ends the schedule and gives up the snapshot that is being taken. */
  async stop(): Promise<void> {
    this.#abort.abort();
    const { keeper } = this.#options;
    if (keeper.hasStarted) await keeper.call("stop snapshots", (remote) => remote.stop());
    await this.#schedule;
  }

  /**
   * Takes one of a job; `undefined` when none of its shards has committed anything. Throws SNAPSHOT_INCOMPLETE, SNAPSHOT_STORE,
   * SNAPSHOT_DAMAGED or SNAPSHOT_KEY_MISSING.
   */
  take(job: string, { reason, progress = () => {}, signal }: TakeOptions): Promise<JobManifest | undefined> {
    const { keeper } = this.#options;
    const given = AbortSignal.any([this.#abort.signal, ...(signal === undefined ? [] : [signal])]);
    return this.#inTurn(async () => {
      given.throwIfAborted();
      const giveUp = (): void => {
        if (keeper.hasStarted) keeper.call("give up", (remote) => remote.giveUp()).catch(() => {});
      };
      signal?.addEventListener("abort", giveUp);
      try {
        return await this.#take(job, reason, progress, given);
      } finally {
        signal?.removeEventListener("abort", giveUp);
      }
    });
  }

  async list(job: string): Promise<{ readonly snapshots: readonly JobManifest[]; readonly damaged: readonly DamagedBlob[] }> {
    return await this.#options.keeper.ask("list", (keeper) => keeper.list(job), TAKE_DEADLINE_MS);
  }

  /** Throws SNAPSHOT_MISSING, SNAPSHOT_DAMAGED or SNAPSHOT_FORMAT. */
  async get(id: string): Promise<{ readonly snapshot: JobManifest; readonly shards: readonly ShardManifest[] }> {
    return await this.#options.keeper.ask("get", (keeper) => keeper.get(id), TAKE_DEADLINE_MS);
  }

  /** Reads all of it and checks it against its state hashes. Throws as `get` does. */
  async verify(id: string, progress: (doneBytes: number, totalBytes: number) => void): Promise<{ readonly bytes: number }> {
    const told = Comlink.proxy(progress);
    return await this.#options.keeper.ask("verify", (keeper) => keeper.verify(id, told), TAKE_DEADLINE_MS);
  }

  /** Of a shard, since the node started. */
  measuresOf(job: string, shard: number): { readonly last: LastSnapshot | null; readonly measures: SnapshotMeasures } | undefined {
    const known = this.#measures.get(`${job}/${shard}`);
    if (known === undefined) return undefined;
    const { last, duration, bytes, failures } = known;
    return { last, measures: { duration: duration.toRecord(), bytes, failures } };
  }

  async #run(): Promise<void> {
    const { clock, everyMs, jobs, notice } = this.#options;
    const { signal } = this.#abort;
    for (;;) {
      await clock.sleep(everyMs, signal);
      for (const job of jobs()) {
        if (signal.aborted) return;
        try {
          if (await this.#anyChanged(job)) await this.take(job, { reason: "schedule" });
        } catch (error) {
          // The next turn tries again; until then the newest snapshot is older than it should be, which `age` tells.
          if (!signal.aborted) notice(`${job}: no snapshot was taken: ${error instanceof Error ? error.message : String(error)}`);
        }
      }
      if (signal.aborted) return;
    }
  }

  /** Of those of this schedule. */
  async #anyChanged(job: string): Promise<boolean> {
    const { shards, others } = this.#options;
    const places = shards.of(job);
    if (places.length === 0 || others.ownerOf(job, places[0]!.shard) !== undefined) return false;
    for (const { shard } of places) {
      const owner = others.ownerOf(job, shard);
      if (await (owner === undefined ? shards.hasChanged(job, shard) : others.hasChanged(owner, job, shard))) return true;
    }
    return false;
  }

  /** The part of one shard that this node owns: it is in no job's snapshot yet. Throws as `take` does. */
  takeShard(job: string, shard: number, reason: SnapshotReason): Promise<ShardManifest | undefined> {
    const place = this.#options.shards.of(job).find((each) => each.shard === shard);
    return place === undefined ? Promise.resolve(undefined) : this.#takeShard(place, reason, () => {}, this.#abort.signal);
  }

  async #take(
    job: string,
    reason: SnapshotReason,
    progress: (rows: number) => void,
    signal: AbortSignal,
  ): Promise<JobManifest | undefined> {
    const { clock, shards, others } = this.#options;
    const taken: ShardManifest[] = [];
    let rowsBefore = 0;
    for (const shard of shards.of(job)) {
      let rows = 0;
      const told = (count: number): void => {
        rows = count;
        progress(rowsBefore + count);
      };
      const owner = others.ownerOf(job, shard.shard);
      const manifest = await (owner === undefined
        ? this.#takeShard(shard, reason, told, signal)
        : others.takeShard(owner, job, shard.shard, reason, signal));
      signal.throwIfAborted();
      rowsBefore += rows;
      if (manifest !== undefined) taken.push(manifest);
    }
    const first = taken[0];
    if (first === undefined) return undefined;
    if (taken.length < first.partitions) {
      // Beside whole ones it would only push them out: nobody could begin from it.
      const missing = Array.from({ length: first.partitions }, (_, shard) => shard).filter(
        (shard) => !taken.some((one) => one.shard === shard),
      );
      throw new TidemarkError("SNAPSHOT_INCOMPLETE", `${job}: nothing is committed in shard ${missing.join(", ")}.`);
    }
    const takenAt = clock.now();
    const manifest: JobManifest = {
      format: SNAPSHOT_FORMAT,
      kind: "job",
      id: this.#idOf(job, takenAt),
      job,
      log: first.log,
      partitions: first.partitions,
      takenAt,
      reason,
      shards: taken.map(({ shard, id }) => ({ shard, snapshot: id })),
    };
    signal.throwIfAborted();
    await this.#options.keeper.ask("seal", (keeper) => keeper.seal(manifest), TAKE_DEADLINE_MS);
    for (const shard of taken) this.#measureOf(job, shard.shard).last = lastOf(manifest, shard);
    await this.#clearNowAndThen(job);
    return manifest;
  }

  /** One shard at a time, and never while another node is waited for: two nodes may ask each other. */
  #takeShard(
    shard: ShardPlace,
    reason: SnapshotReason,
    progress: (rows: number) => void,
    signal: AbortSignal,
  ): Promise<ShardManifest | undefined> {
    const done = this.#shardQueue.then(() => this.#takeShardNow(shard, reason, progress, signal));
    this.#shardQueue = done.catch(() => {});
    return done;
  }

  async #takeShardNow(
    { folder, ...shard }: ShardPlace,
    reason: SnapshotReason,
    progress: (rows: number) => void,
    signal: AbortSignal,
  ): Promise<ShardManifest | undefined> {
    const { keeper, shards, clock } = this.#options;
    const { job } = shard;
    // Who asks for one means what he has seen folded; the schedule takes what is committed.
    if (reason === "request") await shards.settled(job, shard.shard);
    const measure = this.#measureOf(job, shard.shard);
    const from = clock.monotonic();
    const changed = Comlink.proxy((since: string | undefined, at: string) => shards.changedRows(job, shard.shard, since, at));
    const told = Comlink.proxy(progress);
    const share = reason === "schedule" ? SCHEDULED_SHARE : 1;
    // Asked again when its thread has started, which takes a while the first time.
    const take = (remote: Comlink.Remote<SnapshotKeeper>): ReturnType<typeof remote.take> => {
      signal.throwIfAborted();
      return remote.take({ shard, folder, share }, changed, told);
    };
    try {
      signal.throwIfAborted();
      const taken = await keeper.ask("take", take, TAKE_DEADLINE_MS);
      if (taken === undefined) return undefined;
      const { manifest, written } = taken;
      if (!written) return manifest;
      await shards.taken(job, shard.shard, manifest.stateHash);
      measure.duration.record((clock.monotonic() - from) / 1000);
      measure.bytes += storedBytes({ parts: manifest.parts.slice(-1) });
      return manifest;
    } catch (error) {
      measure.failures++;
      throw error;
    }
  }

  /** What is cleared away too late costs room and nothing else. */
  async #clearNowAndThen(job: string): Promise<void> {
    const count = this.#takenOf.get(job) ?? 0;
    this.#takenOf.set(job, count + 1);
    if (count % CLEAR_EVERY !== 0) return;
    const { keeper, clock, keepMs, notice } = this.#options;
    try {
      const options = { now: clock.now(), keepMs };
      await keeper.ask("clear", (remote) => remote.clear(job, options), TAKE_DEADLINE_MS);
    } catch (error) {
      if (!(error instanceof TidemarkError)) throw error;
      notice(`${job}: old snapshots are still there: ${error.message}`);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(work, work);
    this.#queue = done.catch(() => {});
    return done;
  }

  /** Two of one millisecond get names of their own. */
  #idOf(job: string, takenAt: number): string {
    const id = `${job}.${formatInstant(takenAt).replace(/[-:.]/g, "")}`;
    const last = this.#lastIds.get(job);
    const unique = last?.startsWith(id) === true ? `${id}${nextLetter(last.slice(id.length))}` : id;
    this.#lastIds.set(job, unique);
    return unique;
  }

  #measureOf(job: string, shard: number): ShardMeasure {
    const name = `${job}/${shard}`;
    let known = this.#measures.get(name);
    if (known === undefined) {
      known = { duration: new Histogram(DURATION_BOUNDS_S), bytes: 0, failures: 0, last: null };
      this.#measures.set(name, known);
    }
    return known;
  }
}

function nextLetter(letter: string): string {
  return letter === "" ? "a" : String.fromCharCode(letter.charCodeAt(0) + 1);
}

function lastOf({ id, takenAt }: JobManifest, shard: ShardManifest): LastSnapshot {
  const { sequence, index } = shard.last;
  return { id, position: formatPosition(shard.shard, sequence, index), takenAt: formatInstant(takenAt), bytes: storedBytes(shard) };
}
