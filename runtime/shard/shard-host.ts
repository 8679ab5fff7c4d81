/**
 * Builds and runs the shards of one worker thread: real log, LMDB, output stream, skips and crash marks for each.
 */
import { randomUUID } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import type { Standing } from "../cluster/decide.ts";
import { messageWithPage } from "../doc-page.ts";
import { ThreadCallers } from "../effects/callers.ts";
import { type ErrorCode, isTidemarkError, TidemarkError } from "../errors.ts";
import { LineageFeatures } from "../features/lineage-features.ts";
import type { PumpSetup } from "../pump/shard-pumps.ts";
import { LogCopiers } from "../reference/log-copiers.ts";
import type { ChangedRows } from "../snapshots/changed-rows.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { ReadOptions } from "../snapshots/snapshot-source.ts";
import { stateDamage } from "../store/state-damage.ts";
import { forgetFolder, restoreFolder } from "./folder-state.ts";
import { HandOver, type HandOverReport } from "./hand-over.ts";
import { HostedRole } from "./hosted-role.ts";
import { HostedShard, type ShardPlace } from "./hosted-shard.ts";
import { LogFloor } from "./log-floor.ts";
import type { ShardReport } from "./report.ts";
import { settled } from "./settled.ts";
import { type BuilderOptions, ShardBuilder } from "./shard-builder.ts";
import type { ShardRole } from "./shard-parts.ts";
import type { Standby } from "./standby.ts";

export interface HostOptions extends BuilderOptions {
  /** Of the process that runs models; undefined: no job of the app calls any. */
  readonly inference?: ServiceAddress | undefined;
  /** Told when a shard has ended here that another build goes on with; see {@link HostedShard.needs}. */
  readonly needsOther?: () => void;
}

/** With which a standby begins from a snapshot once more. */
const REBUILT_FOR: ReadonlySet<ErrorCode> = new Set(["OUTPUT_DIVERGED", "STATE_DAMAGED", "LOG_TRIMMED"]);
/** What comes back sooner lies in the log, the outputs or the machine: then it halts. */
const REBUILT_AGAIN_MS = 60 * 60 * 1000;

export class ShardHost {
  readonly #nc: NatsConnection;
  readonly #options: HostOptions;
  readonly #beat: () => void;
  readonly #notice: (message: string) => void;
  #hosted: HostedShard[] = [];
  readonly #features: LineageFeatures;
  readonly #copiers: LogCopiers;
  readonly #callers: ThreadCallers;
  readonly #builder: ShardBuilder;
  /** By job and shard: how often its state was built anew. */
  readonly #rebuilds = new Map<string, number>();
  /** When an error was the cause the last time. */
  readonly #rebuiltForErrorAt = new Map<string, number>();
  #draining = false;

  constructor(nc: NatsConnection, options: HostOptions, beat: () => void, notice: (message: string) => void) {
    this.#nc = nc;
    this.#options = options;
    this.#callers = new ThreadCallers(options.inference);
    this.#builder = new ShardBuilder(nc, options, notice);
    this.#beat = beat;
    this.#notice = notice;
    const sizes = { maxBytes: options.streamMaxBytes, ...options.replication };
    this.#features = new LineageFeatures({ nc, sizes, profile: options.profile, notice });
    this.#copiers = new LogCopiers(nc, notice);
  }

  /**
   * Starts a shard and the pumps beside it in the background; what becomes of them shows in `reports`. One that is here already, or is
   * just ending, stays as it is: two folds would write into one store.
   */
  host(job: Job, place: ShardPlace, pumps: readonly PumpSetup[], role: ShardRole): void {
    if (this.#hostedOf(job.name, place.partition) === undefined) this.#host(job, place, pumps, role);
  }

  /** Makes a shard that is hosted here the owner, or a standby; that is done in the background, and shows in `reports`. */
  setRole(job: string, partition: number, role: ShardRole): void {
    const hosted = this.#hostedOf(job, partition);
    if (hosted === undefined) return;
    hosted.role = role;
    // It may have halted as the owner, with what only standbys are built anew for.
    if (hosted.isOver && !hosted.isTaken && !this.#draining) this.#runAgain(hosted, this.#whyAnew(hosted));
  }

  standbys(): Standby[] {
    return this.#hosted.flatMap((hosted) => {
      const { job, partition: shard, life } = hosted;
      return life === undefined || !this.#mayBeRebuilt(hosted) ? [] : [{ job, shard, life }];
    });
  }

  /** See {@link Standbys.rebuild}. */
  rebuild({ job, shard, life }: Standby, why: string): boolean {
    const hosted = this.#hostedOf(job, shard);
    if (hosted?.life !== life || !this.#mayBeRebuilt(hosted)) return false;
    if (hosted.isOver) this.#runAgain(hosted, why);
    else {
      hosted.anew = why;
      hosted.shard?.stop();
    }
    return true;
  }

  #mayBeRebuilt(hosted: HostedShard): boolean {
    const { role, shard, isOver, failure, anew, isTaken } = hosted;
    if (this.#draining || isTaken || anew !== undefined || role === "owner") return false;
    return isOver ? failure !== undefined : shard?.role === "standby";
  }

  #runAgain(hosted: HostedShard, why: string | undefined): void {
    if (why === undefined) return;
    hosted.anew = why;
    hosted.finished = this.#run(hosted);
  }

  /** Ends a shard, whose state stays. */
  async end(job: string, partition: number): Promise<void> {
    for (;;) {
      const hosted = this.#hostedOf(job, partition);
      if (hosted === undefined || hosted.leaving) return;
      if (hosted.putBack === undefined) {
        await hosted.end();
        this.#hosted = this.#hosted.filter((candidate) => candidate !== hosted);
        return;
      }
      // It is hosted anew behind that.
      await hosted.putBack.ended;
    }
  }

  #host(job: Job, place: ShardPlace, pumps: readonly PumpSetup[], role: ShardRole): HostedShard {
    const hosted = new HostedShard(job, place, pumps, role);
    this.#hosted.push(hosted);
    hosted.finished = this.#run(hosted);
    return hosted;
  }

  standings(): Standing[] {
    return this.#hosted.map(({ job, partition, role, shard, error, needs }) => {
      const status = shard?.status ?? (error === undefined ? "starting" : "halted");
      const ready = shard?.status === "running" && shard.ownership.ready;
      return { job, shard: partition, role: shard?.role ?? role, status, ready, ...(needs === undefined ? {} : { needs }) };
    });
  }

  reports(): ShardReport[] {
    return this.#hosted.map((hosted) => {
      const rebuilds = this.#rebuilds.get(nameOf(hosted));
      return { ...hosted.report(this.#options.nodeId), ...(rebuilds === undefined ? {} : { rebuilds }) };
    });
  }

  /** Sinks follow the outputs of these from now on, by job. */
  follow(active: Readonly<Record<string, string>>): void {
    this.#features.active = active;
    for (const { declared, work } of this.#hosted) work?.features?.follow(this.#features.isFollowed(declared));
  }

  /** The shards of a job end here, and their state with them. One that is being put back is given up. */
  async release(job: string): Promise<void> {
    const leaving = this.#hosted.filter((hosted) => hosted.job === job);
    for (const hosted of leaving) {
      hosted.leaving = true;
      hosted.putBack?.abort.abort(endsHere(job));
    }
    for (const hosted of leaving) {
      hosted.released ??= this.#forget(hosted).finally(() => {
        hosted.released = undefined;
      });
      await hosted.released;
    }
  }

  async #forget(hosted: HostedShard): Promise<void> {
    await hosted.putBack?.ended;
    await hosted.end();
    await forgetFolder(hosted.place.folder);
    this.#hosted = this.#hosted.filter((candidate) => candidate !== hosted);
  }

  /**
   * Puts a shard back to a snapshot, from which it folds on. When that fails, or the process dies on the way, it starts as any shard
   * without state does. Throws RESTORE_BUSY, GENERATION_MISSING for one that is being dropped, and as {@link SnapshotSource.restore}.
   */
  async restore(manifest: ShardManifest, progress: (doneBytes: number, totalBytes: number) => void): Promise<void> {
    const { job, shard } = manifest;
    const hosted = this.#hostedOf(job, shard);
    if (hosted === undefined || hosted.leaving || this.#draining) throw endsHere(job);
    if (hosted.putBack !== undefined || hosted.ending) throw busy(hosted);
    const abort = new AbortController();
    const work = this.#putBack(hosted, manifest, { progress, signal: abort.signal });
    hosted.putBack = { abort, ended: work.catch(() => {}) };
    await work.finally(() => {
      hosted.putBack = undefined;
    });
  }

  /** Gives up what puts a shard back now. */
  cancelRestore(job: string, partition: number): void {
    this.#hostedOf(job, partition)?.putBack?.abort.abort();
  }

  async #putBack(hosted: HostedShard, manifest: ShardManifest, { progress, signal }: Required<ReadOptions>): Promise<void> {
    const { declared, place, setups } = hosted;
    const source = await this.#options.snapshots();
    signal.throwIfAborted();
    const told = (doneBytes: number, totalBytes: number): void => {
      hosted.restoring = { snapshot: manifest.id, doneBytes, totalBytes };
      progress(doneBytes, totalBytes);
    };
    try {
      await hosted.end();
      hosted.error = undefined;
      signal.throwIfAborted();
      await restoreFolder(place.folder, source, manifest, { progress: told, signal });
    } finally {
      if (!this.#draining && !hosted.leaving) {
        this.#hosted = this.#hosted.filter((candidate) => candidate !== hosted);
        const again = this.#host(declared, place, setups, hosted.role);
        // Whoever asked for the hand-over waits for every shard of the job.
        if (hosted.handOver !== undefined) this.#ask(again, hosted.handOver.next);
      }
    }
  }

  #hostedOf(job: string, partition: number): HostedShard | undefined {
    return this.#hosted.find((hosted) => hosted.job === job && hosted.partition === partition);
  }

  /** Which rows of a shard changed; `undefined` when it has not found its state yet. */
  changedRows(job: string, partition: number): ChangedRows | undefined {
    return this.#hostedOf(job, partition)?.changed;
  }

  /** See {@link settled}. Throws RESTORE_BUSY for one that is being put back: it has no state that anybody means. */
  async settled(job: string, partition: number): Promise<void> {
    const hosted = this.#hostedOf(job, partition);
    if (hosted?.putBack !== undefined) throw busy(hosted);
    if (hosted?.shard !== undefined) await settled(hosted.shard);
  }

  /**
   * Asks these shards of a job, or all, as far as this thread owns them and folds them with `from`, or with whatever, to hand over to `next`; what becomes of it shows in
   * `handOvers`. Asked twice, it is done once; one that failed is tried again, and one that this build folds already is left as it is.
   */
  handOver(job: string, next: CodeIdentity, from?: CodeIdentity, shards?: readonly number[]): void {
    for (const hosted of this.#hosted) {
      const isMeant = hosted.job === job && (shards?.includes(hosted.partition) ?? true);
      if (!isMeant || hosted.role !== "owner" || hosted.handOver?.failed === false) continue;
      const own = identityOf(hosted.declared, this.#options.codeHash);
      if (!sameCode(own, next) && (from === undefined || sameCode(own, from))) this.#ask(hosted, next);
    }
  }

  #ask(hosted: HostedShard, next: CodeIdentity): void {
    hosted.handOver = new HandOver(hosted, next);
    const ends = (): boolean => this.#draining || hosted.ending;
    void hosted.handOver.append(systemClock, ends, this.#notice);
  }

  handOvers(): HandOverReport[] {
    return this.#hosted.flatMap(({ handOver }) => (handOver === undefined ? [] : [handOver.report()]));
  }

  /** Stops all shards: what was folded is published and committed. */
  async drain(): Promise<void> {
    this.#draining = true;
    this.#builder.drain();
    this.#copiers.stop();
    for (const { shard, putBack } of this.#hosted) {
      putBack?.abort.abort();
      shard?.stop();
    }
    await Promise.all(this.#hosted.flatMap(({ finished, putBack, released }) => [finished, putBack?.ended, released]));
    this.#callers.close();
    for (const hosted of this.#hosted) await hosted.close();
  }

  /** A standby whose state leads nowhere runs once more, from a snapshot. */
  async #run(hosted: HostedShard): Promise<void> {
    hosted.isOver = false;
    do {
      await this.#runOnce(hosted);
      hosted.anew ??= this.#whyAnew(hosted);
    } while (hosted.anew !== undefined && !hosted.ending && !this.#draining);
    // Whoever hosts it next must not go on with what was to be thrown away.
    if (hosted.anew !== undefined && hosted.role === "standby") {
      const { anew } = hosted;
      await this.#throwAway(hosted, anew).catch((error: unknown) => this.#notice(`${nameOf(hosted)}: ${String(error)}`));
    }
    hosted.isOver = true;
    if (hosted.needs !== undefined) this.#options.needsOther?.();
    const { error, failure } = hosted;
    if (failure === undefined) return;
    this.#notice(`${nameOf(hosted)} ${error === undefined ? "halted" : "did not start"}: ${messageWithPage(failure)}`);
  }

  /** What keeps it from going on is its `failure`; without one it was told to end, or has handed over. */
  async #runOnce(hosted: HostedShard): Promise<void> {
    const { declared: job, place, setups, calls } = hosted;
    try {
      if (hosted.anew !== undefined) await this.#throwAway(hosted, hosted.anew);
      hosted.built = this.#builder.build(hosted, job, place);
      const shard = await hosted.built;
      if (shard === undefined) return;
      hosted.shard = shard;
      hosted.life = randomUUID();
      if (hosted.ending || this.#draining) shard.stop();
      const beside = {
        nc: this.#nc,
        copiers: this.#copiers,
        features: this.#features,
        callers: this.#callers.byKind,
        notice: this.#notice,
      };
      const role = new HostedRole(hosted, shard, { job, setups, calls, ...beside });
      const floor = new LogFloor(shard, systemClock);
      const turn = (): void => {
        this.#beat();
        floor.turn();
        role.turn();
      };
      await shard.run(turn).finally(() => role.stop());
    } catch (thrown) {
      const error = stateDamage(thrown) ?? thrown;
      if (!isTidemarkError(error)) throw error;
      hosted.error = error;
      hosted.life = randomUUID();
    }
  }

  /** For what it halted with: once an hour, for what a snapshot does not mend comes back at once. */
  #whyAnew(hosted: HostedShard): string | undefined {
    const { failure, role } = hosted;
    if (failure === undefined || role !== "standby" || !REBUILT_FOR.has(failure.code)) return undefined;
    const now = systemClock.monotonic();
    if (now - (this.#rebuiltForErrorAt.get(nameOf(hosted)) ?? Number.NEGATIVE_INFINITY) < REBUILT_AGAIN_MS) return undefined;
    this.#rebuiltForErrorAt.set(nameOf(hosted), now);
    return messageWithPage(failure);
  }

  async #throwAway(hosted: HostedShard, why: string): Promise<void> {
    this.#rebuilds.set(nameOf(hosted), (this.#rebuilds.get(nameOf(hosted)) ?? 0) + 1);
    this.#notice(`${nameOf(hosted)}: ${why}; the state of this standby is built anew`);
    hosted.anew = undefined;
    hosted.life = undefined;
    hosted.error = undefined;
    await hosted.close();
    try {
      await forgetFolder(hosted.place.folder);
    } catch (error) {
      // Also what LMDB says of pages that are damaged.
      const what = `the state in ${hosted.place.folder} cannot be emptied: ${error instanceof Error ? error.message : String(error)}.`;
      throw new TidemarkError("STATE_DAMAGED", `${nameOf(hosted)}: ${what}`, { cause: error });
    }
  }
}

function nameOf({ job, partition }: HostedShard): string {
  return `${job}/${partition}`;
}

function endsHere(job: string): TidemarkError {
  return new TidemarkError("GENERATION_MISSING", `${job} ends here: it is not put back.`);
}

function busy(hosted: HostedShard): TidemarkError {
  return new TidemarkError("RESTORE_BUSY", `${nameOf(hosted)} is being put back to a snapshot.`);
}
