/**
 * Builds and runs the shards of one worker thread: real log, LMDB, output stream, skips and crash marks for each.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { META_ROW } from "../../actors/fold/keys.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import type { Job } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import { messageWithPage } from "../doc-page.ts";
import { ThreadCallers } from "../effects/callers.ts";
import { EffectExecutor } from "../effects/executor.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { LineageFeatures } from "../features/lineage-features.ts";
import { askApi } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { Replication } from "../log/replication.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../outputs/nats-output-stream.ts";
import { primitives } from "../primitives.ts";
import { type PumpSetup, ShardPumps } from "../pump/shard-pumps.ts";
import { LogCopiers } from "../reference/log-copiers.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { ChangedRows } from "../snapshots/changed-rows.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import { restoreNewest } from "../snapshots/restore-newest.ts";
import type { ReadOptions, SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { stateDamage } from "../store/state-damage.ts";
import { refuseDamaged } from "../verify/refusal.ts";
import { clearState } from "./clear-state.ts";
import { FileCrashMarks } from "./crash-marks.ts";
import { CRASH_MARK, epochOfState, forgetFolder, restoreFolder } from "./folder-state.ts";
import { installGuards } from "./guards.ts";
import { HandOver, type HandOverReport } from "./hand-over.ts";
import { HostedShard, type ShardPlace } from "./hosted-shard.ts";
import { LogFloor } from "./log-floor.ts";
import { announceOwner, findOwner } from "./owner-presence.ts";
import type { ShardReport } from "./report.ts";
import { settled } from "./settled.ts";
import { Shard } from "./shard.ts";
import { SkipList } from "./skips.ts";

export interface HostOptions {
  readonly nodeId: string;
  readonly profile: "development" | "production";
  readonly codeHash: string;
  readonly streamMaxBytes: number;
  readonly replication: Replication;
  /** Default true. */
  readonly timelineIndex?: boolean;
  /** Of the process that runs models; undefined: no job of the app calls any. */
  readonly inference?: ServiceAddress | undefined;
  /** Opened when the first shard without state asks. Throws SNAPSHOT_STORE or CONFIG_INVALID. */
  readonly snapshots: () => Promise<SnapshotSource>;
  /** Where large results lie; see {@link resultPlace}. */
  readonly results: () => Promise<BlobPlace>;
}

const START_RETRY_MS = 1_000;
const START_RETRY_MAX_MS = 15_000;
const PAUSE_STEP_MS = 250;

export class ShardHost {
  readonly #nc: NatsConnection;
  readonly #options: HostOptions;
  readonly #beat: () => void;
  readonly #notice: (message: string) => void;
  #hosted: HostedShard[] = [];
  readonly #features: LineageFeatures;
  readonly #copiers: LogCopiers;
  readonly #callers: ThreadCallers;
  #draining = false;

  constructor(nc: NatsConnection, options: HostOptions, beat: () => void, notice: (message: string) => void) {
    this.#nc = nc;
    this.#options = options;
    this.#callers = new ThreadCallers(options.inference);
    this.#beat = beat;
    this.#notice = notice;
    const sizes = { maxBytes: options.streamMaxBytes, ...options.replication };
    this.#features = new LineageFeatures({ nc, sizes, profile: options.profile, notice });
    this.#copiers = new LogCopiers(nc, notice);
  }

  /** Starts a shard and the pumps beside it in the background; what becomes of them shows in `reports`. */
  host(job: Job, place: ShardPlace, pumps: readonly PumpSetup[] = []): void {
    this.#host(job, place, pumps);
  }

  #host(job: Job, place: ShardPlace, pumps: readonly PumpSetup[]): HostedShard {
    const hosted = new HostedShard(job, place, pumps);
    this.#hosted.push(hosted);
    hosted.finished = this.#run(hosted, job, place, pumps);
    return hosted;
  }

  reports(): ShardReport[] {
    return this.#hosted.map((hosted) => hosted.report(this.#options.nodeId));
  }

  /** Sinks follow the outputs of these from now on, by job. */
  follow(active: Readonly<Record<string, string>>): void {
    this.#features.active = active;
    for (const { declared, features } of this.#hosted) features?.follow(this.#features.isFollowed(declared));
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
        const again = this.#host(declared, place, setups);
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

  /** Asks the shards of a job to hand over to `next`; what becomes of it shows in `handOvers`. Asked twice, it is done once; one that failed is tried again. */
  handOver(job: string, next: CodeIdentity): void {
    for (const hosted of this.#hosted) {
      if (hosted.job !== job || hosted.handOver?.failed === false) continue;
      this.#ask(hosted, next);
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
    this.#copiers.stop();
    for (const { shard, putBack } of this.#hosted) {
      putBack?.abort.abort();
      shard?.stop();
    }
    await Promise.all(this.#hosted.flatMap(({ finished, putBack, released }) => [finished, putBack?.ended, released]));
    this.#callers.close();
    for (const hosted of this.#hosted) await hosted.close();
  }

  async #run(hosted: HostedShard, job: Job, place: ShardPlace, setups: readonly PumpSetup[]): Promise<void> {
    try {
      hosted.built = this.#buildPatiently(hosted, job, place);
      const shard = await hosted.built;
      if (shard === undefined) return;
      hosted.shard = shard;
      if (hosted.ending) shard.stop();
      const copier = this.#copiers.start(shard);
      hosted.features = this.#features.of(job, place.partition);
      const pumps = new ShardPumps(this.#nc, setups, shard, () => this.#features.isFollowed(job), this.#notice);
      hosted.pumps = pumps;
      pumps.start();
      const hide = announceOwner(this.#nc, job.name, place.partition, this.#options.nodeId);
      const effects = this.#executorOf(hosted, shard);
      hosted.effects = effects;
      const floor = new LogFloor(shard, systemClock);
      const turn = (): void => {
        this.#beat();
        floor.turn();
        effects?.turn();
      };
      await shard.run(turn).finally(() => {
        copier.stop();
        hosted.features?.stop();
        pumps.stop();
        hide();
      });
      await effects?.stop();
      await hosted.features?.ended();
      if (shard.error !== undefined) this.#notice(`${job.name}/${place.partition} halted: ${messageWithPage(shard.error)}`);
    } catch (thrown) {
      const error = stateDamage(thrown) ?? thrown;
      if (!isTidemarkError(error)) throw error;
      hosted.error = error;
      this.#notice(`${job.name}/${place.partition} did not start: ${messageWithPage(error)}`);
    }
  }

  /** `undefined` when there is nothing to call for. */
  #executorOf({ calls }: HostedShard, shard: Shard): EffectExecutor | undefined {
    const asks = shard.parts.job.actors.some(({ effects }) => effects.length > 0);
    // A build without effects still has to close what an earlier one asked for.
    return asks || shard.fold.meta.calls > 0 ? new EffectExecutor(shard, calls, this.#callers.byKind) : undefined;
  }

  /** NATS, or the place of the snapshots, that is away is waited for, as by a shard that runs. `undefined` when drained meanwhile. */
  async #buildPatiently(hosted: HostedShard, job: Job, place: ShardPlace): Promise<Shard | undefined> {
    for (let tries = 0; !this.#draining && !hosted.ending; tries++) {
      try {
        return await this.#build(hosted, job, place);
      } catch (error) {
        if (!isTidemarkError(error, "NATS_UNREACHABLE") && !isTidemarkError(error, "SNAPSHOT_STORE")) throw error;
        // Said again when it is another one: the message is long, and it may be a night.
        const isNews = hosted.waitsFor?.detail !== error.detail;
        await hosted.close();
        hosted.waitsFor = error;
        if (isNews) this.#notice(`${job.name}/${place.partition} waits: ${messageWithPage(error)}`);
        await this.#pause(hosted, Math.min(START_RETRY_MS * 2 ** tries, START_RETRY_MAX_MS));
      } finally {
        hosted.restoring = undefined;
      }
    }
    return undefined;
  }

  /** Ends early for one that is to end. */
  async #pause(hosted: HostedShard, ms: number): Promise<void> {
    for (let left = ms; left > 0 && !this.#draining && !hosted.ending; left -= PAUSE_STEP_MS) {
      await systemClock.sleep(Math.min(left, PAUSE_STEP_MS));
    }
  }

  async #build(hosted: HostedShard, job: Job, place: ShardPlace): Promise<Shard> {
    const { partition, partitions, folder } = place;
    const store = openLmdbStore(folder);
    hosted.opened(() => store.close());
    hosted.stateEpoch = () => epochOfState(store);
    const marks = new FileCrashMarks(join(folder, CRASH_MARK));
    hosted.opened(() => marks.close());
    const outputs = await this.#openOutputs(job, partition);
    hosted.opened(() => outputs.close());
    if (store.get(META_ROW) === undefined) await this.#restore(hosted, job, place, store, (await outputs.last()).sequence);
    hosted.changed = new ChangedRows(committedStateHash(store, primitives));
    const skipList = new SkipList(this.#nc, job.name, partition);
    const { conviction } = marks;
    if (conviction !== undefined) {
      const last = await outputs.last();
      if (last.sequence > conviction.outputs)
        this.#notice(`${job.name}/${partition}: ${conviction.unit} is not skipped: another owner has passed it`);
      else {
        await refuseDamaged(job.name, partition, folder);
        this.#notice(`${job.name}/${partition}: skipping ${conviction.unit}: it took the process down twice`);
        await skipList.append(conviction);
      }
    }
    const skips = new Map(await skipList.read());
    return await Shard.start({
      job,
      partition,
      partitions,
      identity: identityOf(job, this.#options.codeHash),
      // Nobody begins a generation anew but an operator.
      profile: job.origin === undefined ? this.#options.profile : "production",
      node: this.#options.nodeId,
      log: wholeLogOf(this.#nc, job, partition, this.#options.results, {
        clock: systemClock,
        notice: (message) => this.#notice(`${job.name}/${partition}: ${message}`),
      }),
      store,
      outputs,
      marks,
      skips,
      timelineIndex: this.#options.timelineIndex ?? true,
      guard: installGuards(),
      clock: systemClock,
      ownerToken: randomBytes(16).toString("hex"),
      calls: hosted.calls,
      changed: hosted.changed,
      notice: this.#notice,
      onFailure: (position, handler, thrown) => {
        this.#notice(
          `${job.name}/${partition}: ${handler} failed at ${position}: ${thrown instanceof Error ? thrown.stack : String(thrown)}`,
        );
      },
      otherOwner: () => findOwner(this.#nc, job.name, partition),
      deleteOutputs: async () => {
        await this.#deleteOutputs(outputs.stream, job, partition);
        // What the code before could not survive this one may: its skips go with its history.
        await skipList.clear();
        skips.clear();
      },
      clearState: () => clearState(store),
    });
  }

  /** From the newest snapshot, where there is one to go on from. */
  async #restore(hosted: HostedShard, job: Job, { partition, partitions }: ShardPlace, store: ShardStore, outputs: number): Promise<void> {
    hosted.restored = await restoreNewest(await this.#options.snapshots(), {
      job: job.name,
      log: job.log,
      partition,
      partitions,
      store,
      clear: () => clearState(store),
      outputs,
      storedAt: async (sequence) => {
        const entry = await new NatsPartitionLog(this.#nc, job.log, partition).firstOn(">", sequence);
        return entry?.sequence === sequence ? entry.logTime : undefined;
      },
      clock: systemClock,
      notice: this.#notice,
      progress: (restoring) => {
        hosted.restoring = restoring;
      },
    });
  }

  #openOutputs(job: Job, partition: number): Promise<NatsOutputStream> {
    return openNatsOutputStream(this.#nc, job.name, partition, { maxBytes: this.#options.streamMaxBytes, ...this.#options.replication });
  }

  async #deleteOutputs(stream: string, job: Job, partition: number): Promise<void> {
    await askApi(this.#nc, `STREAM.DELETE.${stream}`, undefined);
    (await this.#openOutputs(job, partition)).close();
  }
}

function endsHere(job: string): TidemarkError {
  return new TidemarkError("GENERATION_MISSING", `${job} ends here: it is not put back.`);
}

function busy({ job, partition }: HostedShard): TidemarkError {
  return new TidemarkError("RESTORE_BUSY", `${job}/${partition} is being put back to a snapshot.`);
}
