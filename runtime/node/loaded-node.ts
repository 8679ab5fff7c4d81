/**
 * A node on its way: first the app in all threads, then NATS and the streams, then the data directory and the shards.
 * Until `open` it holds nothing that another process needs, so that the next build can be ready before the old one ends.
 *
 * Crash-only: when a thread ends or hangs, the process kills itself and the supervisor starts it again.
 */
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type App, loadApp } from "../app.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { connectNats } from "../nats-connect.ts";
import type { ShardWorker, WorkerSetup } from "../shard/worker.ts";
import type { KeeperSetup, SnapshotKeeper } from "../snapshots/keeper.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import { Snapshots } from "../snapshots/snapshots.ts";
import { type DataDir, openDataDir } from "../store/data-dir.ts";
import { moduleUrl, startThread, type Thread } from "../threads/thread-call.ts";
import { type AppBuild, buildOf } from "./app-build.ts";
import type { Config } from "./config.ts";
import { checkEffects } from "./effects-check.ts";
import { HostedShards } from "./hosted-shards.ts";
import { ensureStreams, Node, REPLICAS, type RunningJob } from "./node.ts";
import type { ReaderSetup, StateReader } from "./state-reader.ts";
import { watch } from "./watchdog.ts";

export interface NodeOptions {
  readonly config: Config;
  /** Path of the app's module. */
  readonly app: string;
  readonly notice: (message: string) => void;
  /** Told of each file of the app before it is loaded. */
  readonly onFile?: (file: string) => void;
}

interface Prepared {
  readonly natsUrl: string;
  readonly nc: NatsConnection;
  readonly jobs: readonly RunningJob[];
}

const START_DEADLINE_MS = 60_000;

export class LoadedNode {
  readonly build: AppBuild;
  readonly #options: NodeOptions;
  readonly #app: App;
  readonly #workers: readonly Thread<ShardWorker>[];
  readonly #reader: Thread<StateReader>;
  readonly #onDrained: () => void;
  readonly #lost: (error: TidemarkError) => void;
  #prepared: Prepared | undefined;

  private constructor(
    options: NodeOptions,
    app: App,
    workers: readonly Thread<ShardWorker>[],
    reader: Thread<StateReader>,
    onDrained: () => void,
    lost: (error: TidemarkError) => void,
  ) {
    this.#options = options;
    this.#app = app;
    this.#workers = workers;
    this.#reader = reader;
    this.#onDrained = onDrained;
    this.#lost = lost;
    this.build = buildOf(app, settingsOf(options.config));
  }

  /** Imports the app in every thread. Throws APP_INVALID when it is no app, or when it changed while it was being loaded. */
  static async load(options: NodeOptions): Promise<LoadedNode> {
    const { config, app: path } = options;
    const app = await loadApp(path, options.onFile);
    checkEffects(app.jobs);
    let drained = false;
    const lost = (error: TidemarkError): void => {
      if (drained) return;
      drained = true;
      die(error.message);
    };
    const setups = Array.from({ length: config.workers }, () => workerSetup(options));
    const starting = setups.map((setup, i) => startWorker<ShardWorker>("../shard/worker.ts", `worker ${i}`, setup, lost));
    const readerSetup: ReaderSetup = { app: path, heartbeat: new SharedArrayBuffer(4) };
    const startingReader = startWorker<StateReader>("./state-reader.ts", "reader", readerSetup, lost);
    const [reader, ...workers] = await Promise.all([startingReader, ...starting]);
    const hashes = await Promise.all([
      reader.call("code hash", (remote) => remote.codeHash()),
      ...workers.map((worker) => worker.call("code hash", (remote) => remote.codeHash())),
    ]);
    if (hashes.some((hash) => hash !== app.codeHash)) {
      throw new TidemarkError("APP_INVALID", `${path} changed while it was being loaded.`);
    }
    const watched = [...setups.map(({ heartbeat }, i) => ({ name: `worker ${i}`, heartbeat })), { name: "reader", ...readerSetup }];
    const stopWatching = watch(watched, systemClock, config.hangMs, (name) =>
      die(`${name} showed no sign of life for ${config.hangMs} ms.`),
    );
    const onDrained = (): void => {
      drained = true;
      stopWatching();
    };
    return new LoadedNode(options, app, workers, reader, onDrained, lost);
  }

  /** Connects, and creates or checks the streams of all jobs. */
  async prepare(natsUrl: string): Promise<void> {
    const { config, notice } = this.#options;
    const nc = await connectNats(natsUrl, "tidemark main");
    const jobs = await ensureStreams(nc, this.#app, config, notice);
    this.#prepared = { natsUrl, nc, jobs };
  }

  /** Takes the data directory and starts the shards; what becomes of each shows in `shards`. Call it behind `prepare`. */
  async open(): Promise<Node> {
    if (this.#prepared === undefined) throw new Error("a node is opened before it is prepared");
    const { natsUrl, nc, jobs } = this.#prepared;
    const { config } = this.#options;
    const workers = this.#workers;
    const dataDir = await openDataDir(config.dataDir, { nodeId: config.nodeId });
    await Promise.all(workers.map((worker) => worker.call("open", (remote) => remote.open(natsUrl, dataDir.nodeId))));
    const shards = new HostedShards(workers, dataDir);
    for (const running of jobs) await shards.assign(running, jobs);
    const snapshots = await this.#openSnapshots(natsUrl, dataDir, jobs, shards);
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    return new Node({
      dataDir,
      snapshots,
      jobs,
      nc,
      jsm,
      reader: this.#reader,
      workers,
      drainMs: config.drainMs,
      streamMaxBytes: config.streamMaxBytes,
      onDrained: this.#onDrained,
    });
  }

  /** In a thread of their own, on a schedule from now on. */
  async #openSnapshots(natsUrl: string, dataDir: DataDir, jobs: readonly RunningJob[], shards: HostedShards): Promise<Snapshots> {
    const { config, notice } = this.#options;
    const setup: KeeperSetup = {
      natsUrl,
      nodeId: dataDir.nodeId,
      settings: snapshotSettings(config),
      scratch: join(dataDir.path, "scratch", "snapshots"),
      heartbeat: new SharedArrayBuffer(4),
    };
    const keeper = await startWorker<SnapshotKeeper>("../snapshots/keeper.ts", "snapshots", setup, this.#lost);
    const snapshots = new Snapshots({
      keeper,
      shards,
      jobs: () => jobs.map(({ job }) => job.name),
      clock: systemClock,
      everyMs: config.snapshotEveryMs,
      keepMs: config.snapshotKeepMs,
      notice,
    });
    snapshots.start();
    return snapshots;
  }
}

function settingsOf(config: Config): WorkerSetup["settings"] {
  return config.maxAheadMs === undefined ? {} : { maxAheadMs: config.maxAheadMs };
}

function snapshotSettings({ snapshots, s3Endpoint, snapshotKeys: keysFile, streamMaxBytes: maxBytes }: Config): SnapshotSettings {
  return { snapshots, s3Endpoint, keysFile, maxBytes, replicas: REPLICAS };
}

function workerSetup({ app, config }: NodeOptions): WorkerSetup {
  return {
    app,
    profile: config.profile,
    streamMaxBytes: config.streamMaxBytes,
    replicas: REPLICAS,
    settings: settingsOf(config),
    snapshots: snapshotSettings(config),
    heartbeat: new SharedArrayBuffer(4),
  };
}

/** Resolves when the module has said that it is ready. */
async function startWorker<T>(path: string, name: string, workerData: unknown, lost: (error: TidemarkError) => void): Promise<Thread<T>> {
  const env = { ...process.env, TZ: "UTC", LC_ALL: "C", LANG: "C" };
  let fail: (error: TidemarkError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  let ready = false;
  const thread = startThread<T>(moduleUrl(path, import.meta.url), { name, workerData, env }, (error) => {
    if (ready) lost(error);
    else fail(error);
  });
  const started = new Promise<void>((resolve) => {
    thread.worker.on("message", (message: unknown) => {
      if (message === "ready") resolve();
    });
  });
  const timer = setTimeout(
    () => fail(new TidemarkError("WORKER_LOST", `${name} did not start within ${START_DEADLINE_MS} ms.`)),
    START_DEADLINE_MS,
  );
  await Promise.race([started, failed]);
  clearTimeout(timer);
  ready = true;
  return thread;
}

function die(reason: string): void {
  process.stderr.write(`tidemark: ${reason} Ending the process; the supervisor starts it again.\n`);
  process.kill(process.pid, "SIGKILL");
}
