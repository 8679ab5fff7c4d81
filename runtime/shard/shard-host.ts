/**
 * Builds and runs the shards of one worker thread: real log, LMDB, output stream, skips and crash marks for each.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type CodeIdentity, type Epoch, readMeta } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import type { Job } from "../../actors/model/job.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import { messageWithPage } from "../doc-page.ts";
import { CallFeed } from "../effects/call-feed.ts";
import type { Callers } from "../effects/caller.ts";
import { EffectExecutor } from "../effects/executor.ts";
import { HttpCaller } from "../effects/http-caller.ts";
import { HttpConnections } from "../effects/http-exchange.ts";
import { isTidemarkError, type TidemarkError } from "../errors.ts";
import { FeatureSink } from "../features/feature-sink.ts";
import { askApi } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { type NatsOutputStream, openNatsOutputStream } from "../outputs/nats-output-stream.ts";
import { primitives } from "../primitives.ts";
import { type PumpSetup, ShardPumps } from "../pump/shard-pumps.ts";
import { ReferenceCopier } from "../reference/reference-copier.ts";
import { NatsReferenceLog } from "../reference/reference-log.ts";
import { ChangedRows } from "../snapshots/changed-rows.ts";
import { type RestoreProgress, type RestoreReport, restoreNewest } from "../snapshots/restore-newest.ts";
import type { SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
import { refuseDamaged } from "../verify/refusal.ts";
import { clearState } from "./clear-state.ts";
import { FileCrashMarks } from "./crash-marks.ts";
import { installGuards } from "./guards.ts";
import { type HandedOver, HandOver, type HandOverReport } from "./hand-over.ts";
import { announceOwner, findOwner } from "./owner-presence.ts";
import { reportOf, type ShardReport, unstartedReport } from "./report.ts";
import { settled } from "./settled.ts";
import { Shard } from "./shard.ts";
import { SkipList } from "./skips.ts";
import { stateDamage } from "./state-damage.ts";

export interface HostOptions {
  readonly nodeId: string;
  readonly profile: "development" | "production";
  readonly codeHash: string;
  readonly streamMaxBytes: number;
  readonly replicas: number;
  /** Opened when the first shard without state asks. Throws SNAPSHOT_STORE or CONFIG_INVALID. */
  readonly snapshots: () => Promise<SnapshotSource>;
}

export interface ShardPlace {
  readonly partition: number;
  readonly partitions: number;
  /** Folder of its LMDB environment. */
  readonly folder: string;
}

interface Hosted extends HandedOver {
  shard: Shard | undefined;
  /** Of a job that puts out features. */
  features: FeatureSink | undefined;
  pumps: ShardPumps | undefined;
  /** Which rows changed since its last snapshot; from when on its state is known. */
  changed: ChangedRows | undefined;
  restoring: RestoreProgress | undefined;
  restored: RestoreReport | undefined;
  /** Calls that its handlers ask for, and what makes them. */
  readonly calls: CallFeed;
  effects: EffectExecutor | undefined;
  error: TidemarkError | undefined;
  built: Promise<Shard | undefined>;
  stateEpoch: () => Epoch | undefined;
  handOver: HandOver | undefined;
  finished: Promise<void>;
  close: () => Promise<void>;
}

const START_RETRY_MS = 1_000;
const REFERENCE_POLL_MS = 1_000;
const FEATURES_END_MS = 1_000;

export class ShardHost {
  readonly #nc: NatsConnection;
  readonly #options: HostOptions;
  readonly #beat: () => void;
  readonly #notice: (message: string) => void;
  readonly #hosted: Hosted[] = [];
  readonly #connections = new HttpConnections();
  readonly #callers: Callers = new Map([["http", new HttpCaller(this.#connections, systemClock, Math.random)]]);
  /** By log: settled when its reference stream is there. */
  readonly #referenceThere = new Map<string, Promise<void>>();
  #draining = false;

  constructor(nc: NatsConnection, options: HostOptions, beat: () => void, notice: (message: string) => void) {
    this.#nc = nc;
    this.#options = options;
    this.#beat = beat;
    this.#notice = notice;
  }

  /** Starts a shard and the pumps beside it in the background; what becomes of them shows in `reports`. */
  host(job: Job, place: ShardPlace, pumps: readonly PumpSetup[] = []): void {
    const hosted: Hosted = {
      job: job.name,
      partition: place.partition,
      shard: undefined,
      features: undefined,
      pumps: undefined,
      changed: undefined,
      restoring: undefined,
      restored: undefined,
      calls: new CallFeed(),
      effects: undefined,
      error: undefined,
      built: Promise.resolve(undefined),
      stateEpoch: () => undefined,
      handOver: undefined,
      finished: Promise.resolve(),
      close: async () => {},
    };
    this.#hosted.push(hosted);
    hosted.finished = this.#run(hosted, job, place, pumps);
  }

  reports(): ShardReport[] {
    return this.#hosted.map(({ job, partition, shard, features, pumps, effects, restoring, restored, error }) => {
      if (shard !== undefined) {
        return reportOf(shard, { features: features?.report(), pumps: pumps?.reports(), effects: effects?.measures(), restored });
      }
      return unstartedReport(job, partition, this.#options.nodeId, { restoring, error: error?.toRecord() });
    });
  }

  /** Which rows of a shard changed; `undefined` when it has not found its state yet. */
  changedRows(job: string, partition: number): ChangedRows | undefined {
    return this.#hosted.find((hosted) => hosted.job === job && hosted.partition === partition)?.changed;
  }

  /** See {@link settled}. */
  async settled(job: string, partition: number): Promise<void> {
    const shard = this.#hosted.find((hosted) => hosted.job === job && hosted.partition === partition)?.shard;
    if (shard !== undefined) await settled(shard);
  }

  /** Asks the shards of a job to hand over to `next`; what becomes of it shows in `handOvers`. Asked twice, it is done once; one that failed is tried again. */
  handOver(job: string, next: CodeIdentity): void {
    for (const hosted of this.#hosted) {
      if (hosted.job !== job || hosted.handOver?.failed === false) continue;
      hosted.handOver = new HandOver(hosted, next);
      void hosted.handOver.append(systemClock, () => this.#draining, this.#notice);
    }
  }

  handOvers(): HandOverReport[] {
    return this.#hosted.flatMap(({ handOver }) => (handOver === undefined ? [] : [handOver.report()]));
  }

  /** Stops all shards: what was folded is published and committed. */
  async drain(): Promise<void> {
    this.#draining = true;
    for (const { shard } of this.#hosted) shard?.stop();
    await Promise.all(this.#hosted.map((hosted) => hosted.finished));
    this.#connections.close();
    for (const hosted of this.#hosted) await hosted.close();
  }

  async #run(hosted: Hosted, job: Job, place: ShardPlace, setups: readonly PumpSetup[]): Promise<void> {
    try {
      hosted.built = this.#buildPatiently(hosted, job, place);
      const shard = await hosted.built;
      if (shard === undefined) return;
      hosted.shard = shard;
      const copier = this.#copierOf(shard);
      const features = this.#featuresOf(hosted, shard);
      const pumps = new ShardPumps(this.#nc, setups, shard, this.#notice);
      hosted.pumps = pumps;
      pumps.start();
      const hide = announceOwner(this.#nc, job.name, place.partition, this.#options.nodeId);
      const effects = this.#executorOf(hosted, shard);
      hosted.effects = effects;
      const turn = (): void => {
        this.#beat();
        effects?.turn();
      };
      await shard.run(turn).finally(() => {
        copier.stop();
        hosted.features?.stop();
        pumps.stop();
        hide();
      });
      await effects?.stop();
      // One that waits for NATS ends with the connection.
      await Promise.race([features, systemClock.sleep(FEATURES_END_MS)]);
      if (shard.error !== undefined) this.#notice(`${job.name}/${place.partition} halted: ${messageWithPage(shard.error)}`);
    } catch (thrown) {
      const error = stateDamage(thrown) ?? thrown;
      if (!isTidemarkError(error)) throw error;
      hosted.error = error;
      this.#notice(`${job.name}/${place.partition} did not start: ${messageWithPage(error)}`);
    }
  }

  /** Keeps the features that the job puts out, until the shard ends. */
  async #featuresOf(hosted: Hosted, { parts: { job, partition } }: Shard): Promise<void> {
    if (job.features.size === 0) return;
    const { streamMaxBytes: maxBytes, replicas, profile } = this.#options;
    hosted.features = new FeatureSink({
      nc: this.#nc,
      job,
      shard: partition,
      sizes: { maxBytes, replicas },
      clock: systemClock,
      notice: this.#notice,
      // Every job has a shard 0.
      jobGone: async (other) => profile === "development" && (await findOwner(this.#nc, other, 0)) === undefined,
    });
    await hosted.features.run();
  }

  /** `undefined` when there is nothing to call for. */
  #executorOf({ calls }: Hosted, shard: Shard): EffectExecutor | undefined {
    const asks = shard.parts.job.actors.some(({ effects }) => effects.length > 0);
    // A build without effects still has to close what an earlier one asked for.
    return asks || shard.fold.meta.calls > 0 ? new EffectExecutor(shard, calls, this.#callers) : undefined;
  }

  /** Copies what is put for the log into the shard's partition, from when on there is something. */
  #copierOf({ fold, parts: { job, partition, log } }: Shard): ReferenceCopier {
    const copier = new ReferenceCopier({
      logName: job.log,
      partition,
      log,
      source: new NatsReferenceLog(this.#nc, job.log),
      clock: systemClock,
      notice: this.#notice,
      folded: () => ({ next: fold.meta.cursor.sequence, source: fold.meta.referenceSource }),
    });
    let there = this.#referenceThere.get(job.log);
    if (there === undefined) {
      there = this.#untilReference(job.log);
      this.#referenceThere.set(job.log, there);
    }
    void there.then(() => copier.run());
    return copier;
  }

  /** The stream comes with the first table that is read or the first schema that is activated: one question a moment for all shards of the log. */
  async #untilReference(log: string): Promise<void> {
    const stream = new NatsReferenceLog(this.#nc, log);
    while (!this.#draining) {
      // A server that does not answer is asked again.
      if (await stream.exists().catch(() => false)) return;
      await systemClock.sleep(REFERENCE_POLL_MS);
    }
  }

  /** A server that is away is waited for: a shard that starts is no different from one that runs. `undefined` when drained meanwhile. */
  async #buildPatiently(hosted: Hosted, job: Job, place: ShardPlace): Promise<Shard | undefined> {
    while (!this.#draining) {
      try {
        return await this.#build(hosted, job, place);
      } catch (error) {
        if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
        this.#notice(`${job.name}/${place.partition} waits for NATS: ${error.message}`);
        await hosted.close();
        hosted.close = async () => {};
        await systemClock.sleep(START_RETRY_MS);
      }
    }
    return undefined;
  }

  async #build(hosted: Hosted, job: Job, place: ShardPlace): Promise<Shard> {
    const { partition, partitions, folder } = place;
    const store = openLmdbStore(folder);
    hosted.stateEpoch = () => epochOfState(store);
    const marks = new FileCrashMarks(join(folder, "crash-mark"));
    hosted.close = async () => {
      marks.close();
      await store.close();
    };
    const outputs = await this.#openOutputs(job, partition);
    hosted.close = async () => {
      outputs.close();
      marks.close();
      await store.close();
    };
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
      profile: this.#options.profile,
      node: this.#options.nodeId,
      log: new NatsPartitionLog(this.#nc, job.log, partition),
      store,
      outputs,
      marks,
      skips,
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
  async #restore(hosted: Hosted, job: Job, { partition, partitions }: ShardPlace, store: ShardStore, outputs: number): Promise<void> {
    hosted.restored = await restoreNewest(await this.#options.snapshots(), {
      job: job.name,
      log: job.log,
      partition,
      partitions,
      store,
      clear: () => clearState(store),
      outputs,
      clock: systemClock,
      notice: this.#notice,
      progress: (restoring) => {
        hosted.restoring = restoring;
      },
    });
    hosted.restoring = undefined;
  }

  #openOutputs(job: Job, partition: number): Promise<NatsOutputStream> {
    const { replicas, streamMaxBytes } = this.#options;
    return openNatsOutputStream(this.#nc, job.name, partition, { maxBytes: streamMaxBytes, replicas });
  }

  async #deleteOutputs(stream: string, job: Job, partition: number): Promise<void> {
    await askApi(this.#nc, `STREAM.DELETE.${stream}`, undefined);
    (await this.#openOutputs(job, partition)).close();
  }
}

function epochOfState(store: ShardStore): Epoch | undefined {
  const row = store.get(META_ROW);
  return row === undefined ? undefined : readMeta(row)?.epoch;
}
