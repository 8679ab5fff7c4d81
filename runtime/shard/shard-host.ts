/**
 * Builds and runs the shards of one worker thread: real log, LMDB, output stream, skips and crash marks for each.
 */
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

export interface HostOptions extends BuilderOptions {
  /** Of the process that runs models; undefined: no job of the app calls any. */
  readonly inference?: ServiceAddress | undefined;
}

/** With which a standby begins from a snapshot once more. */
const REBUILT_FOR: ReadonlySet<ErrorCode> = new Set(["OUTPUT_DIVERGED", "STATE_DAMAGED"]);

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
    if (hosted !== undefined) hosted.role = role;
  }

  /** Ends a shard, whose state stays. */
  async end(job: string, partition: number): Promise<void> {
    const hosted = this.#hostedOf(job, partition);
    if (hosted === undefined || hosted.leaving) return;
    await hosted.putBack?.ended;
    await hosted.end();
    this.#hosted = this.#hosted.filter((candidate) => candidate !== hosted);
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
    return this.#hosted.map((hosted) => hosted.report(this.#options.nodeId));
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
    if (hosted.putBack !== undefined) throw busy(hosted);
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
   * Asks the shards of a job that this thread owns to hand over to `next`; what becomes of it shows in `handOvers`. Asked twice, it is
   * done once; one that failed is tried again, and one that this build folds already is left as it is.
   */
  handOver(job: string, next: CodeIdentity): void {
    for (const hosted of this.#hosted) {
      if (hosted.job !== job || hosted.role !== "owner" || hosted.handOver?.failed === false) continue;
      if (!sameCode(identityOf(hosted.declared, this.#options.codeHash), next)) this.#ask(hosted, next);
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

  async #run(hosted: HostedShard): Promise<void> {
    const { job, partition } = hosted;
    try {
      do {
        await this.#runOnce(hosted);
      } while (await this.#isBuiltAnew(hosted));
      const error = hosted.shard?.error;
      if (error !== undefined) this.#notice(`${job}/${partition} halted: ${messageWithPage(error)}`);
    } catch (thrown) {
      const error = stateDamage(thrown) ?? thrown;
      if (!isTidemarkError(error)) throw error;
      hosted.error = error;
      this.#notice(`${job}/${partition} did not start: ${messageWithPage(error)}`);
    }
  }

  async #runOnce(hosted: HostedShard): Promise<void> {
    const { declared: job, place, setups, calls } = hosted;
    hosted.built = this.#builder.build(hosted, job, place);
    const shard = await hosted.built;
    if (shard === undefined) return;
    hosted.shard = shard;
    if (hosted.ending) shard.stop();
    const beside = { nc: this.#nc, copiers: this.#copiers, features: this.#features, callers: this.#callers.byKind, notice: this.#notice };
    const role = new HostedRole(hosted, shard, { job, setups, calls, ...beside });
    const floor = new LogFloor(shard, systemClock);
    const turn = (): void => {
      this.#beat();
      floor.turn();
      role.turn();
    };
    await shard.run(turn).finally(() => role.stop());
  }

  /** Of a standby whose state leads nowhere: it has folded what its owner skipped, differs from it, or is too old for the log. Once. */
  async #isBuiltAnew(hosted: HostedShard): Promise<boolean> {
    const { outdated, ending, job, partition, place, shard, rebuilt } = hosted;
    const code = shard?.error?.code;
    const differs = hosted.role === "standby" && !rebuilt && code !== undefined && REBUILT_FOR.has(code);
    if (!(outdated || differs) || ending || this.#draining) return false;
    const why = outdated ? "its owner skipped what was folded here" : messageWithPage(shard!.error!);
    this.#notice(`${job}/${partition}: ${why}; the state of this standby is built anew`);
    hosted.rebuilt = true;
    hosted.outdated = false;
    await hosted.close();
    await forgetFolder(place.folder);
    return true;
  }
}

function endsHere(job: string): TidemarkError {
  return new TidemarkError("GENERATION_MISSING", `${job} ends here: it is not put back.`);
}

function busy({ job, partition }: HostedShard): TidemarkError {
  return new TidemarkError("RESTORE_BUSY", `${job}/${partition} is being put back to a snapshot.`);
}
