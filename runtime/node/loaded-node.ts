/**
 * A node on its way: first the app in all threads, then NATS and the streams, then the data directory and the shards.
 * Until `open` it holds nothing that another process needs, so that the next build can be ready before the old one ends.
 *
 * Crash-only: when a thread ends or hangs, the process kills itself and the supervisor starts it again.
 */
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import * as Comlink from "comlink";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { type Job, withSettings } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import { type App, identityOf, loadApp } from "../app.ts";
import { BuildStore } from "../builds/build-store.ts";
import { NodeBuilds } from "../builds/node-builds.ts";
import { systemClock } from "../clock.ts";
import { Cluster } from "../cluster/cluster.ts";
import { TidemarkError } from "../errors.ts";
import { clearDropped } from "../generations/dropped-folders.ts";
import { GenerationBucket } from "../generations/generation-bucket.ts";
import { History, type PastShard } from "../history/history.ts";
import { type HistoryThread, startHistoryThread } from "../history/history-thread.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { ModelBucket } from "../models/model-bucket.ts";
import { ModelContents } from "../models/model-contents.ts";
import { Models } from "../models/models.ts";
import { connectNats, type NatsAccess } from "../nats-connect.ts";
import { NatsReferenceLog } from "../reference/reference-log.ts";
import type { Standbys } from "../shard/standby.ts";
import type { ShardWorker, WorkerSetup } from "../shard/worker.ts";
import type { KeeperSetup, KeeperThread, SnapshotKeeper } from "../snapshots/keeper.ts";
import { openCatalogue, resultPlace, resultPlaceIfThere, whenAsked } from "../snapshots/open-catalogue.ts";
import { Snapshots } from "../snapshots/snapshots.ts";
import { type DataDir, openDataDir } from "../store/data-dir.ts";
import type { Thread } from "../threads/thread-call.ts";
import { Verification } from "../verify/verification.ts";
import { type AppBuild, buildOf } from "./app-build.ts";
import { type Config, foldSettingsOf } from "./config.ts";
import { HostedShards } from "./hosted-shards.ts";
import { NatsWatch } from "./nats-watch.ts";
import { ensureStreams, Node, type RunningJob } from "./node.ts";
import { NodeLife } from "./node-life.ts";
import { NodeModels } from "./node-models.ts";
import { startedWhenCalled, startNodeThread } from "./node-thread.ts";
import { type GenerationSetup, openedGenerations } from "./opened-generations.ts";
import { OtherBuilds, startBuild } from "./other-builds.ts";
import { otherOwners, putBackAnywhere, restoreMethods, snapshotMethods } from "./other-owners.ts";
import { secretOriginsOf, serviceSettings } from "./service-settings.ts";
import { type ShardPlace, ShardReads } from "./shard-reads.ts";
import { replicationOf, snapshotSettings, streamSizes } from "./snapshot-settings.ts";
import { StandbyCare } from "./standby-care.ts";
import type { ReaderSetup, StateReader } from "./state-reader.ts";

export interface NodeOptions {
  readonly config: Config;
  /** Path of the app's module. */
  readonly app: string;
  readonly notice: (message: string) => void;
  /** Told of each file of the app before it is loaded. */
  readonly onFile?: (file: string) => void;
}

interface Prepared {
  readonly nats: NatsAccess;
  readonly nc: NatsConnection;
  readonly jobs: readonly RunningJob[];
}

/** Lets a worker begin its work. */
type Opening = (worker: Comlink.Remote<ShardWorker>) => Promise<void>;

function openingOf(nats: NatsAccess, node: string, inference: ServiceAddress | undefined, needsOther: () => void): Opening {
  return (worker) => worker.open(nats, node, inference, Comlink.proxy(needsOther));
}

export class LoadedNode {
  readonly build: AppBuild;
  readonly #options: NodeOptions;
  readonly #app: App;
  readonly #workers: readonly Thread<ShardWorker>[];
  readonly #reader: Thread<StateReader>;
  readonly #life: NodeLife;
  #prepared: Prepared | undefined;

  private constructor(
    options: NodeOptions,
    app: App,
    workers: readonly Thread<ShardWorker>[],
    reader: Thread<StateReader>,
    life: NodeLife,
  ) {
    this.#options = options;
    this.#app = app;
    this.#workers = workers;
    this.#reader = reader;
    this.#life = life;
    this.build = buildOf(app, foldSettingsOf(options.config));
  }

  /** Imports the app in every thread. Throws APP_INVALID when it is no app, or when it changed while it was being loaded. */
  static async load(options: NodeOptions): Promise<LoadedNode> {
    const { config, app: path } = options;
    const app = await loadApp(path, options.onFile);
    const life = new NodeLife(config.hangMs);
    const setups = Array.from({ length: config.workers }, () => workerSetup(options));
    const starting = setups.map((setup, i) => startNodeThread<ShardWorker>("../shard/worker.ts", `worker ${i}`, setup, life.lost));
    const readerSetup: ReaderSetup = { app: path, heartbeat: new SharedArrayBuffer(4) };
    const startingReader = startNodeThread<StateReader>("./state-reader.ts", "reader", readerSetup, life.lost);
    const [reader, ...workers] = await Promise.all([startingReader, ...starting]);
    const hashes = await Promise.all([
      reader.ask("code hash", (remote) => remote.codeHash()),
      ...workers.map((worker) => worker.call("code hash", (remote) => remote.codeHash())),
    ]);
    if (hashes.some((hash) => hash !== app.codeHash)) {
      throw new TidemarkError("APP_INVALID", `${path} changed while it was being loaded.`);
    }
    life.watch([...setups.map(({ heartbeat }, i) => ({ name: `worker ${i}`, heartbeat })), { name: "reader", ...readerSetup }]);
    return new LoadedNode(options, app, workers, reader, life);
  }

  /** Connects, and creates or checks the streams of all jobs. */
  async prepare(nats: NatsAccess): Promise<void> {
    const { config, notice } = this.#options;
    const nc = await connectNats(nats, "tidemark main");
    const jobs = await ensureStreams(nc, this.#app, config, notice);
    this.#prepared = { nats, nc, jobs };
  }

  /** Takes the data directory and starts the shards; what becomes of each shows in `shards`. Call it behind `prepare`. */
  async open(): Promise<Node> {
    if (this.#prepared === undefined) throw new Error("a node is opened before it is prepared");
    const { nats, nc, jobs } = this.#prepared;
    const { config } = this.#options;
    const workers = this.#workers;
    const dataDir = await openDataDir(config.dataDir, { nodeId: config.nodeId });
    const models = this.#openModels(nc, dataDir, jobs);
    const open = openingOf(nats, dataDir.nodeId, models.address, () => shards.lookAtThem());
    const kept = this.#openBuilds(nc, dataDir, () => node.stopping);
    const shards: HostedShards = this.#hostedShards(dataDir, kept, open);
    await Promise.all(workers.map((worker) => worker.call("open", open)));
    const bucket = await GenerationBucket.open(nc, replicationOf(config));
    await clearDropped(bucket, dataDir, jobs);
    await shards.follow(await bucket.active());
    const cluster = await this.#join(nc, dataDir.nodeId, shards, () => node.natsAway === undefined);
    const host = this.#hostIn(cluster, shards, jobs);
    for (const running of jobs) host.start(running);
    const begun: RunningJob[] = [];
    const { snapshots, keeper } = this.#openSnapshots(nats, dataDir, () => [...jobs, ...begun], shards, cluster, nc);
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const { notice } = this.#options;
    const folderOf = (job: string, partition: number): string => dataDir.shardFolder(job, partition);
    const isHere = (job: string, partition: number): boolean => cluster.isHere(job, partition);
    const reads = new ShardReads({ nc, cluster, clock: systemClock, reader: this.#reader, folderOf, isHere });
    const history = this.#historyOf(dataDir, nats, nc, kept, reads);
    const verification = this.#verificationOf(dataDir, nats, kept, shards, () => [...jobs, ...begun]);
    const ownerOf = (job: string, shard: number): string | undefined => cluster.ownerOf(job, shard);
    const care = new StandbyCare({ standbys: shards, reads, ownerOf, verification, clock: systemClock, notice });
    const storing = { bucket, keeper, snapshots, history, notice };
    const putBack = putBackAnywhere(nc, cluster, shards, systemClock);
    const setup = { nc, jsm, node: dataDir.nodeId, app: this.#app, config, jobs, begun, shards, host, putBack, ...storing };
    const node: Node = new Node({
      dataDir,
      cluster,
      kept,
      models,
      results: resultPlace(nc, snapshotSettings(config)),
      resultsIfThere: resultPlaceIfThere(nc, snapshotSettings(config)),
      snapshots,
      jobs,
      builds: this.build.jobs,
      begun,
      generations: (operations, reports) => openedGenerations(setup, operations, reports),
      nc,
      natsWatch: new NatsWatch(nc, systemClock, notice),
      jsm,
      reader: this.#reader,
      reads,
      history,
      verification,
      care,
      workers,
      shards,
      rolling: config.rolling,
      drainMs: config.drainMs,
      streamSizes: streamSizes(config),
      onDrained: this.#life.drained,
    });
    node.answerOthers({ ...reads.methods, ...snapshotMethods(snapshots, shards, cluster), ...restoreMethods(shards, cluster) });
    await cluster.start();
    care.start();
    await node.generations.open();
    models.ship();
    void kept.keep();
    // In development the successor of a build that was cut off is not coming: the history is begun anew.
    if (config.profile === "production") void this.#finishHandOver(node);
    return node;
  }

  #hostedShards(dataDir: DataDir, kept: NodeBuilds, open: Opening): HostedShards {
    const { notice, config } = this.#options;
    const settings = foldSettingsOf(config);
    const others = new OtherBuilds({
      appOf: (build) => kept.appOf(build),
      start: (app, build) => {
        const setup = { ...workerSetup(this.#options), app, settings: { maxAheadMs: build.settings.maxAheadMs } };
        return startBuild(build, { setup, threads: this.#workers.length, open, life: this.#life });
      },
      clock: systemClock,
      notice,
    });
    const identityOfJob = (job: Job): CodeIdentity => identityOf(withSettings(job, settings), this.#app.codeHash);
    return new HostedShards({
      workers: this.#workers,
      dataDir,
      others: config.rolling ? others : undefined,
      identityOf: identityOfJob,
      notice,
    });
  }

  #join(nc: NatsConnection, node: string, shards: HostedShards, connected: () => boolean): Promise<Cluster> {
    const { zone, leaseMs, standbys } = this.#options.config;
    const { notice } = this.#options;
    const onTaken = ({ message }: TidemarkError): void => this.#life.lost(new TidemarkError("NODE_ID_TAKEN", message));
    return Cluster.join({
      nc,
      node,
      zone,
      leaseMs,
      standbys,
      replication: replicationOf(this.#options.config),
      shards,
      clock: systemClock,
      connected,
      notice,
      onTaken,
    });
  }

  #hostIn(cluster: Cluster, shards: HostedShards, jobs: readonly RunningJob[]): GenerationSetup["host"] {
    const { codeHash } = this.#app;
    return {
      start(running) {
        const { job, map } = running;
        shards.add(running, jobs);
        cluster.add({ name: job.name, partitions: map.partitions, version: job.version, codeHash });
      },
      async end(name) {
        await cluster.remove(name);
        await shards.release(name);
      },
    };
  }

  /** In a thread of their own, on a schedule from now on. */
  #openSnapshots(
    nats: NatsAccess,
    dataDir: DataDir,
    jobs: () => readonly RunningJob[],
    shards: HostedShards,
    cluster: Cluster,
    nc: NatsConnection,
  ): { readonly snapshots: Snapshots; readonly keeper: KeeperThread } {
    const { config, notice } = this.#options;
    const setup: KeeperSetup = {
      nats,
      nodeId: dataDir.nodeId,
      settings: snapshotSettings(config),
      scratch: dataDir.scratchFolder("snapshots"),
      heartbeat: new SharedArrayBuffer(4),
    };
    // Most nodes that live for less than the schedule never need it.
    const keeper = startedWhenCalled(() => startNodeThread<SnapshotKeeper>("../snapshots/keeper.ts", "snapshots", setup, this.#life.lost));
    const snapshots = new Snapshots({
      keeper,
      shards,
      others: otherOwners(nc, cluster, systemClock),
      jobs: () => jobs().map(({ job }) => job.name),
      clock: systemClock,
      everyMs: config.snapshotEveryMs,
      keepMs: config.snapshotKeepMs,
      notice,
    });
    snapshots.start();
    return { snapshots, keeper };
  }

  #historyOf(dataDir: DataDir, nats: NatsAccess, nc: NatsConnection, kept: NodeBuilds, reads: ShardReads): History {
    const placeOf = ({ job, partition }: PastShard): ShardPlace => ({ job: job.name, partition });
    return new History({
      folder: dataDir.scratchFolder("history"),
      entriesMax: this.#options.config.historyEntries,
      codeHash: this.#app.codeHash,
      clock: systemClock,
      appOf: (epoch) => kept.appOf(epoch),
      startThread: (codeHash, app) => this.#startHistory(codeHash, app ?? this.#options.app, nats, dataDir.nodeId),
      logOf: ({ job, partition }) => new NatsPartitionLog(nc, job.log, partition),
      committed: (shard) => reads.read("committed", placeOf(shard), []),
      touches: async (shard, token, from, max) => await reads.read("touches", placeOf(shard), [token, from, max]),
    });
  }

  #openModels(nc: NatsConnection, dataDir: DataDir, jobs: readonly RunningJob[]): NodeModels {
    const { config, notice } = this.#options;
    const open = whenAsked(() => openCatalogue(nc, snapshotSettings(config)));
    const models = new Models({
      nc,
      bucket: new ModelBucket(nc, replicationOf(config)),
      contents: new ModelContents(join(dataDir.path, "models"), open),
      jobs: () => jobs.map(({ job }) => job),
      secretOrigins: secretOriginsOf(config),
      ensureReference: (log) => NatsReferenceLog.ensure(nc, log, streamSizes(config)),
    });
    return new NodeModels({ models, jobs, settings: serviceSettings(config), clock: systemClock, notice });
  }

  #openBuilds(nc: NatsConnection, dataDir: DataDir, stopped: () => boolean): NodeBuilds {
    const { config, notice } = this.#options;
    return new NodeBuilds({
      app: this.#app,
      profile: config.profile,
      dataDir: dataDir.path,
      clock: systemClock,
      notice,
      stopped,
      open: async () => {
        const { blobs, seal } = await openCatalogue(nc, snapshotSettings(config));
        return new BuildStore(blobs, seal);
      },
    });
  }

  #verificationOf(
    dataDir: DataDir,
    nats: NatsAccess,
    kept: NodeBuilds,
    standbys: Standbys,
    jobs: () => readonly RunningJob[],
  ): Verification {
    const { app, config, notice } = this.#options;
    const verification = new Verification({
      app,
      codeHash: this.#app.codeHash,
      appOf: (epoch) => kept.appOf(epoch),
      settings: foldSettingsOf(config),
      snapshots: snapshotSettings(config),
      nats,
      clock: systemClock,
      scratch: dataDir.scratchFolder("verify"),
      shards: () =>
        jobs().flatMap(({ job, map: { partitions } }) =>
          Array.from({ length: partitions }, (_, shard) => ({
            job: job.name,
            shard,
            partitions,
            folder: dataDir.shardFolder(job.name, shard),
          })),
        ),
      standbys,
      scrubEveryMs: config.scrubEveryMs,
      notice,
    });
    verification.start();
    return verification;
  }

  #startHistory(codeHash: string, app: string, nats: NatsAccess, nodeId: string): Promise<HistoryThread> {
    const { config } = this.#options;
    const setup = { app, settings: foldSettingsOf(config), snapshots: snapshotSettings(config) };
    return startHistoryThread({ setup, codeHash, nats, nodeId, life: this.#life });
  }

  async #finishHandOver(node: Node): Promise<void> {
    const { notice } = this.#options;
    try {
      await node.handOvers.resume(notice, () => node.stopping);
      const ended = await node.handOvers.resumed();
      if (ended?.status === "succeeded") notice("every shard has handed over; end this node and start the build that follows");
      else if (ended?.status === "failed") notice(`the hand-over could not be finished: ${ended.error!.code}: ${ended.error!.detail}`);
    } catch (error) {
      if (!node.stopping) notice(`the hand-over could not be looked at: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function workerSetup({ app, config }: NodeOptions): WorkerSetup {
  return {
    app,
    profile: config.profile,
    streamMaxBytes: config.streamMaxBytes,
    replication: replicationOf(config),
    timelineIndex: config.timelineIndex,
    settings: foldSettingsOf(config),
    snapshots: snapshotSettings(config),
    heartbeat: new SharedArrayBuffer(4),
  };
}
