/**
 * A node: one process with one data directory, its shards in worker threads, its questions answered by a reader
 * thread. This, the main thread, holds no state of a shard.
 *
 * Crash-only: when a thread ends or hangs, the process kills itself and the supervisor starts it again.
 */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { type App, loadApp } from "../app.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { ensureLogStreams, probeMapping } from "../log/log-streams.ts";
import { openSlotMap, type SlotMap } from "../log/slot-map.ts";
import { connectNats } from "../nats-connect.ts";
import { ensureOutputStream } from "../outputs/output-layout.ts";
import { OutputReader } from "../outputs/output-reader.ts";
import type { ShardReport } from "../shard/report.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardWorker, WorkerSetup } from "../shard/worker.ts";
import { type DataDir, openDataDir } from "../store/data-dir.ts";
import { moduleUrl, startThread, type Thread } from "../threads/thread-call.ts";
import type { Config } from "./config.ts";
import { checkEffects } from "./effects-check.ts";
import type { ReaderSetup, StateReader } from "./state-reader.ts";
import { watch } from "./watchdog.ts";

export interface NodeOptions {
  readonly config: Config;
  /** Path of the app's module. */
  readonly app: string;
  readonly natsUrl: string;
  readonly notice: (message: string) => void;
}

/** Shards of one job, and the map of its log. */
export interface RunningJob {
  readonly job: Job;
  readonly map: SlotMap;
}

const REPLICAS = 1;
const START_DEADLINE_MS = 60_000;

export class Node {
  readonly id: string;
  readonly jobs: readonly RunningJob[];
  readonly nc: NatsConnection;
  readonly outputs: OutputReader;
  readonly reader: Thread<StateReader>;
  /** False while the main thread's connection to NATS is down. */
  connected = true;
  readonly #dataDir: DataDir;
  readonly #workers: readonly Thread<ShardWorker>[];
  readonly #drainMs: number;
  readonly #stopWatching: () => void;
  #stopping = false;

  private constructor(parts: {
    readonly dataDir: DataDir;
    readonly jobs: readonly RunningJob[];
    readonly nc: NatsConnection;
    readonly jsm: JetStreamManager;
    readonly reader: Thread<StateReader>;
    readonly workers: readonly Thread<ShardWorker>[];
    readonly drainMs: number;
    readonly stopWatching: () => void;
  }) {
    this.id = parts.dataDir.nodeId;
    this.jobs = parts.jobs;
    this.nc = parts.nc;
    this.outputs = new OutputReader(parts.jsm);
    this.reader = parts.reader;
    this.#dataDir = parts.dataDir;
    this.#workers = parts.workers;
    this.#drainMs = parts.drainMs;
    this.#stopWatching = parts.stopWatching;
    void this.#followConnection();
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.nc.status()) {
      if (type === "disconnect" || type === "staleConnection") this.connected = false;
      else if (type === "reconnect") this.connected = true;
    }
    this.connected = false;
  }

  static async start(options: NodeOptions): Promise<Node> {
    const { config, notice } = options;
    const app = await loadApp(options.app);
    checkEffects(app.jobs);
    const dataDir = await openDataDir(config.dataDir, { nodeId: config.nodeId });
    const nc = await connectNats(options.natsUrl, `tidemark ${dataDir.nodeId} main`);
    const jobs = await ensureStreams(nc, app, config, notice);
    const workers: Thread<ShardWorker>[] = [];
    let ending = false;
    const lost = (error: TidemarkError): void => {
      if (ending) return;
      ending = true;
      die(error.message);
    };
    const setups = Array.from({ length: config.workers }, () => workerSetup(options, dataDir.nodeId));
    for (const [i, workerData] of setups.entries()) {
      workers.push(await startWorker<ShardWorker>("../shard/worker.ts", `worker ${i}`, workerData, lost));
    }
    const reader = await startWorker<StateReader>("./state-reader.ts", "reader", { app: options.app } satisfies ReaderSetup, lost);
    const watched = setups.map(({ heartbeat }, i) => ({ name: `worker ${i}`, heartbeat }));
    const stopWatching = watch(watched, systemClock, config.hangMs, (name) =>
      die(`${name} showed no sign of life for ${config.hangMs} ms.`),
    );
    await assign(jobs, workers, dataDir);
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const node = new Node({ dataDir, jobs, nc, jsm, reader, workers, drainMs: config.drainMs, stopWatching });
    node.#onStop = () => {
      ending = true;
    };
    return node;
  }

  #onStop: () => void = () => {};

  async shards(): Promise<ShardReport[]> {
    const reports = await Promise.all(this.#workers.map((worker) => worker.call("shards", (remote) => remote.reports())));
    return reports.flat().sort((a, b) => (a.job < b.job ? -1 : a.job > b.job ? 1 : a.shard - b.shard));
  }

  shardFolder(job: string, partition: number): string {
    return this.#dataDir.shardFolder(job, partition);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /** Publishes and commits what was folded, then gives the data directory back. Throws WORKER_LOST beyond its bound. */
  async drain(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    await Promise.all(this.#workers.map((worker) => worker.call("drain", (remote) => remote.drain(), this.#drainMs)));
    this.#onStop();
    this.#stopWatching();
    await this.nc.close();
    await this.#dataDir.release();
  }
}

async function ensureStreams(nc: NatsConnection, app: App, config: Config, notice: (message: string) => void): Promise<RunningJob[]> {
  const maps = new Map<string, SlotMap>();
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const jobs: RunningJob[] = [];
  for (const job of app.jobs) {
    let map = maps.get(job.log);
    if (map === undefined) {
      const opened = await openSlotMap(nc, job.log, config.partitions, REPLICAS);
      if (opened.notice !== undefined) notice(opened.notice);
      map = opened.map;
      maps.set(job.log, map);
      await ensureLogStreams(nc, job.log, map, { maxBytes: config.streamMaxBytes, replicas: REPLICAS });
      if (!(await probeMapping(nc, job.log))) {
        notice(
          `The NATS account has no mapping for ${job.log}.*: publish to ${job.log}.<slot>.e.<key>, through the API, or add it (docs/nats.md).`,
        );
      }
    }
    await SkipList.ensure(nc, job.name, REPLICAS);
    for (let partition = 0; partition < map.partitions; partition++) {
      await ensureOutputStream(jsm, job.name, partition, { maxBytes: config.streamMaxBytes, replicas: REPLICAS });
    }
    jobs.push({ job, map });
  }
  return jobs;
}

function workerSetup(options: NodeOptions, nodeId: string): WorkerSetup {
  const { config } = options;
  return {
    app: options.app,
    natsUrl: options.natsUrl,
    nodeId,
    profile: config.profile,
    streamMaxBytes: config.streamMaxBytes,
    replicas: REPLICAS,
    settings: config.maxAheadMs === undefined ? {} : { maxAheadMs: config.maxAheadMs },
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

/** Shards go round the workers, partition by partition, so that the shards of one job are spread. */
async function assign(jobs: readonly RunningJob[], workers: readonly Thread<ShardWorker>[], dataDir: DataDir): Promise<void> {
  let next = 0;
  for (const { job, map } of jobs) {
    for (let partition = 0; partition < map.partitions; partition++) {
      const place = { partition, partitions: map.partitions, folder: dataDir.shardFolder(job.name, partition) };
      await workers[next++ % workers.length]!.call("host", (remote) => remote.host(job.name, [place]));
    }
  }
}

function die(reason: string): void {
  process.stderr.write(`tidemark: ${reason} Ending the process; the supervisor starts it again.\n`);
  process.kill(process.pid, "SIGKILL");
}
