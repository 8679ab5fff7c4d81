/**
 * A node: one process with one data directory, its shards in worker threads, its questions answered by a reader
 * thread. This, the main thread, holds no state of a shard.
 */
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import type { App } from "../app.ts";
import type { NodeBuilds } from "../builds/node-builds.ts";
import { systemClock } from "../clock.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { answerNodes, askNode, askNodes, type NodeMethods } from "../cluster/node-calls.ts";
import { docPage } from "../doc-page.ts";
import type { Generations } from "../generations/generations.ts";
import type { Restores } from "../generations/restores.ts";
import type { History } from "../history/history.ts";
import { ensureLogStreams, probeMapping } from "../log/log-streams.ts";
import { openSlotMap, type SlotMap } from "../log/slot-map.ts";
import { ensureOutputStream, type OutputStreamSizes } from "../outputs/output-layout.ts";
import { OutputReader } from "../outputs/output-reader.ts";
import { logOfSource, logsOf } from "../pump/pump-places.ts";
import { NatsReferenceLog } from "../reference/reference-log.ts";
import { type HandOverReport, isSettled } from "../shard/hand-over.ts";
import type { ShardReport } from "../shard/report.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardWorker } from "../shard/worker.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { DataDir } from "../store/data-dir.ts";
import type { Thread } from "../threads/thread-call.ts";
import type { Verification } from "../verify/verification.ts";
import type { JobBuild } from "./app-build.ts";
import type { Config } from "./config.ts";
import { type BuildStep, HandOvers } from "./hand-overs.ts";
import type { HostedShards } from "./hosted-shards.ts";
import { type FoldedShard, foldToLogEnd } from "./log-end.ts";
import { checkReplicas, checkServers } from "./nats-safety.ts";
import type { NatsWatch } from "./nats-watch.ts";
import type { NodeModels } from "./node-models.ts";
import { type NodeState, nodeState, nodesEverywhere } from "./node-state.ts";
import type { OpenedGenerations } from "./opened-generations.ts";
import { Operations } from "./operations.ts";
import type { ShardReads } from "./shard-reads.ts";
import { byShard, ownersEverywhere, shardsEverywhere } from "./shards-everywhere.ts";
import { streamSizes } from "./snapshot-settings.ts";
import type { StandbyCare } from "./standby-care.ts";
import type { StateReader } from "./state-reader.ts";
import { type ThreadLoad, ThreadLoadMeter } from "./thread-load.ts";

/** Shards of one job, and the map of its log. */
export interface RunningJob {
  readonly job: Job;
  readonly map: SlotMap;
  /** By pump: the map of the log whose partitions its source has. */
  readonly sources: ReadonlyMap<string, SlotMap>;
}

/** What a node is made of; `LoadedNode` puts it together. */
export interface NodeParts {
  readonly dataDir: DataDir;
  readonly cluster: Cluster;
  readonly jobs: readonly RunningJob[];
  readonly builds: readonly JobBuild[];
  readonly kept: NodeBuilds;
  readonly nc: NatsConnection;
  readonly natsWatch: NatsWatch;
  readonly jsm: JetStreamManager;
  readonly reader: Thread<StateReader>;
  readonly reads: ShardReads;
  /** Of its own build. */
  readonly workers: readonly Thread<ShardWorker>[];
  readonly shards: HostedShards;
  readonly rolling: boolean;
  readonly snapshots: Snapshots;
  readonly models: NodeModels;
  /** Where large results lie; see {@link resultPlace}. */
  readonly results: () => Promise<BlobPlace>;
  readonly resultsIfThere: () => Promise<BlobPlace | undefined>;
  readonly history: History;
  /** Generations that run, as they come and go. */
  readonly begun: readonly RunningJob[];
  readonly generations: (operations: Operations, shards: () => Promise<readonly ShardReport[]>) => OpenedGenerations;
  readonly verification: Verification;
  readonly care: StandbyCare;
  readonly drainMs: number;
  readonly streamSizes: OutputStreamSizes;
  /** Called once everything is committed: from then on a thread may end. */
  readonly onDrained: () => void;
}

const HAND_OVER_POLL_MS = 10;
const BESIDE_END_MS = 5_000;
/** Where NATS is away, the leases are over by themselves. */
const DEPART_MS = 2_000;

export class Node {
  readonly id: string;
  readonly nc: NatsConnection;
  readonly outputs: OutputReader;
  readonly reads: ShardReads;
  readonly history: History;
  readonly operations = new Operations(systemClock);
  readonly verification: Verification;
  readonly care: StandbyCare;
  readonly snapshots: Snapshots;
  readonly handOvers: HandOvers;
  readonly cluster: Cluster;
  readonly kept: NodeBuilds;
  readonly models: NodeModels;
  readonly results: () => Promise<BlobPlace>;
  readonly resultsIfThere: () => Promise<BlobPlace | undefined>;
  readonly #natsWatch: NatsWatch;
  readonly generations: Generations;
  readonly restores: Restores;
  readonly #jobs: readonly RunningJob[];
  readonly #begun: readonly RunningJob[];
  readonly #dataDir: DataDir;
  readonly #shards: HostedShards;
  readonly #loadMeter: ThreadLoadMeter;
  #asked: Promise<ShardReport[]> | undefined;
  #askedNext: Promise<ShardReport[]> | undefined;
  readonly #drainMs: number;
  readonly #streamSizes: OutputStreamSizes;
  readonly #onDrained: () => void;
  #stopping = false;
  #silence: () => void = () => {};

  constructor(parts: NodeParts) {
    this.id = parts.dataDir.nodeId;
    this.#jobs = parts.jobs;
    this.nc = parts.nc;
    this.cluster = parts.cluster;
    this.outputs = new OutputReader(parts.jsm);
    this.reads = parts.reads;
    this.snapshots = parts.snapshots;
    this.models = parts.models;
    this.results = parts.results;
    this.resultsIfThere = parts.resultsIfThere;
    this.history = parts.history;
    this.#begun = parts.begun;
    const { generations, restores } = parts.generations(this.operations, async () =>
      (await this.shards()).filter(({ role }) => role === "owner"),
    );
    this.generations = generations;
    this.restores = restores;
    this.verification = parts.verification;
    this.care = parts.care;
    this.#dataDir = parts.dataDir;
    this.#shards = parts.shards;
    this.#loadMeter = new ThreadLoadMeter(
      parts.reader.worker,
      parts.workers.map(({ worker }) => worker),
    );
    this.#drainMs = parts.drainMs;
    this.#streamSizes = parts.streamSizes;
    this.#onDrained = parts.onDrained;
    this.kept = parts.kept;
    this.handOvers = new HandOvers({
      nc: parts.nc,
      clock: systemClock,
      operations: this.operations,
      builds: parts.jobs.map(({ job, map: { partitions } }) => {
        const { name, log, identity } = parts.builds.find((build) => build.name === job.name)!;
        return { job: name, log, partitions, identity };
      }),
      lineage: (job) => this.#lineage(job),
      rolling: parts.rolling,
      ask: async (job, step, shards) => {
        // Whoever did not take it is asked again.
        await Promise.all([this.#askLineage(job, step, shards).catch(() => {}), this.#askOthers("handOver", [job, step, shards])]);
      },
      reports: async () => {
        const [own, others] = await Promise.all([this.#handOverReports(), this.#askOthers<HandOverReport[]>("handOvers", [])]);
        return [...own, ...others.flat()];
      },
      shards: async () => (await this.shards()).filter(({ role }) => role === "owner"),
      snapshot: (jobs) => this.#takeEpochSnapshots(jobs),
    });
    this.#natsWatch = parts.natsWatch;
  }

  /** Why NATS does not serve; `undefined` while it does. */
  get natsAway(): string | undefined {
    return this.#natsWatch.away;
  }

  /** All nodes, this one first. */
  nodes(): Promise<readonly NodeState[]> {
    return nodesEverywhere(this);
  }

  /** Lets a node give its shards away, or take its share again. Throws NODE_UNREACHABLE. */
  async setDraining(node: string, draining: boolean): Promise<NodeState> {
    if (node !== this.id) return await askNode(this.nc, node, "setDraining", [draining]);
    await this.cluster.setDraining(draining);
    return await nodeState(this);
  }

  /** Every copy of every shard on the nodes that answer, of a shard the owner's first; a stand-in where there is none. */
  async shards(): Promise<readonly ShardReport[]> {
    return await shardsEverywhere(this);
  }

  /** What the owner of each shard says of it. Throws NODE_UNREACHABLE where one has none, or it does not answer. */
  async owners(): Promise<readonly ShardReport[]> {
    return await ownersEverywhere(this);
  }

  /** Answers the other nodes from now on. */
  answerOthers(methods: NodeMethods): void {
    this.#silence = answerNodes(this.nc, this.id, {
      ...methods,
      shards: () => this.shardsHere(),
      node: () => nodeState(this),
      setDraining: (draining: boolean) => this.setDraining(this.id, draining),
      handOver: (job: string, step: BuildStep, shards: readonly number[]) => this.#askLineage(job, step, shards),
      handOvers: () => this.#handOverReports(),
    });
  }

  /** What this node's shards say of themselves. However many ask, the workers are asked once at a time; nobody gets an answer older than his question. */
  shardsHere(): Promise<ShardReport[]> {
    if (this.#asked === undefined) return this.#askShards();
    const again = (): Promise<ShardReport[]> => {
      this.#askedNext = undefined;
      return this.#askShards();
    };
    this.#askedNext ??= this.#asked.then(again, again);
    return this.#askedNext;
  }

  #askShards(): Promise<ShardReport[]> {
    const asked = Promise.all(this.#shards.workers.map((worker) => worker.call("shards", (remote) => remote.reports())))
      .then((reports) => reports.flat().map((report) => this.#withSnapshots(report)))
      .then((reports) => reports.sort(byShard))
      .finally(() => {
        this.#asked = undefined;
      });
    this.#asked = asked;
    return asked;
  }

  #withSnapshots(said: ShardReport): ShardReport {
    const owner = said.role === "owner" ? this.id : this.cluster.ownerOf(said.job, said.shard);
    const report = owner === undefined ? said : { ...said, owner };
    const known = this.snapshots.measuresOf(report.job, report.shard);
    return known === undefined ? report : { ...report, lastSnapshot: known.last, snapshots: known.measures };
  }

  /** Those of the app, then the generations that run. */
  get jobs(): readonly RunningJob[] {
    return [...this.#jobs, ...this.#begun];
  }

  /** Threads that hold shards. */
  get workers(): number {
    return this.#shards.workers.length;
  }

  /** How busy the threads were since the last call. */
  load(): ThreadLoad {
    return this.#loadMeter.read();
  }

  /** Creates the stream `<log>-reference` when it is missing. */
  async ensureReference(log: string): Promise<void> {
    await NatsReferenceLog.ensure(this.nc, log, this.#streamSizes);
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /**
   * Hands the shards of the named jobs over to other builds: each folds up to its successor's epoch entry, publishes and commits.
   * Resolves when all have, or cannot; has no bound of time, for a backlog may lie before the entries. `onProgress` is told meanwhile.
   */
  async handOver(
    jobs: Readonly<Record<string, CodeIdentity>>,
    onProgress: (reports: readonly HandOverReport[]) => void = () => {},
  ): Promise<readonly HandOverReport[]> {
    for (const [job, next] of Object.entries(jobs)) await this.#askLineage(job, { next });
    for (;;) {
      const reports = await this.#handOverReports();
      if (reports.every(isSettled)) return reports;
      onProgress(reports);
      await systemClock.sleep(HAND_OVER_POLL_MS);
    }
  }

  #askOthers<T>(method: string, args: readonly unknown[]): Promise<T[]> {
    return askNodes<T>(this.nc, this.cluster.members.others(), method, args);
  }

  /** Those of the shards that this node owns; all of them with `undefined`. */
  async #askLineage(job: string, { from, next }: Partial<BuildStep> & Pick<BuildStep, "next">, shards?: readonly number[]): Promise<void> {
    const names = this.#lineage(job);
    for (const worker of this.#shards.workers) {
      for (const name of names) await worker.call("hand over", (remote) => remote.handOver(name, next, from, shards));
    }
  }

  async #handOverReports(): Promise<readonly HandOverReport[]> {
    const each = await Promise.all(this.#shards.workers.map((worker) => worker.call("hand-overs", (remote) => remote.handOvers())));
    return each.flat().sort(byShard);
  }

  async #takeEpochSnapshots(jobs: readonly string[]): Promise<readonly string[]> {
    const ids: (string | undefined)[] = [];
    for (const job of jobs.flatMap((name) => this.#lineage(name))) ids.push((await this.snapshots.take(job, { reason: "epoch" }))?.id);
    return ids.filter((id) => id !== undefined);
  }

  /** Resolves when every shard has folded to the log's end as it is now, or up to its successor's epoch, or cannot. */
  async foldToLogEnd(): Promise<readonly FoldedShard[]> {
    const { nc, jobs } = this;
    await this.handOvers.resumed();
    const handOvers = (): Promise<readonly HandOverReport[]> => this.#handOverReports();
    const shards = (): Promise<readonly ShardReport[]> => this.owners();
    const folded = await foldToLogEnd({ nc, jobs, clock: systemClock, shards, handOvers, stopped: () => this.#stopping });
    // One that has handed over has its snapshot.
    const kept = new Set(folded.filter(({ handedOver, error }) => !handedOver && error === undefined).map(({ job }) => job));
    for (const job of kept) await this.snapshots.take(job, { reason: "request" });
    return folded;
  }

  /** Of a job and its generations: they run the same code. */
  #lineage(job: string): string[] {
    return [job, ...this.#begun.filter((running) => running.job.origin === job).map((running) => running.job.name)];
  }

  /** Publishes and commits what was folded, then gives the data directory back. Throws WORKER_LOST beyond its bound. */
  async drain(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    // None of these holds up the shards: what does not end in time, as with a place of snapshots that hangs, ends with the process.
    const running = [this.snapshots, this.operations, this.generations, this.history, this.verification, this.care];
    const beside = running.map((each) => each.stop());
    const leaving = this.cluster.leave(this.#drainMs / 2);
    await Promise.race([Promise.allSettled([...beside, leaving]), systemClock.sleep(Math.max(BESIDE_END_MS, this.#drainMs / 2))]);
    await this.cluster.stop();
    this.#silence();
    await this.#shards.moved();
    await Promise.all(this.#shards.workers.map((worker) => worker.call("drain", (remote) => remote.drain(), this.#drainMs)));
    await this.models.stop();
    this.#onDrained();
    await Promise.race([this.cluster.depart(), systemClock.sleep(DEPART_MS)]);
    await this.kept.close();
    await this.nc.close();
    await this.#dataDir.release();
  }
}

/** Creates or checks what a job has beside its log. */
export async function ensureJobStreams(
  nc: NatsConnection,
  jsm: JetStreamManager,
  job: Job,
  map: SlotMap,
  sizes: OutputStreamSizes,
): Promise<void> {
  await SkipList.ensure(nc, job.name, sizes);
  // Reserves max_bytes, so only where a table is read; elsewhere it comes with the first schema that is activated.
  if (job.tables.size > 0) await NatsReferenceLog.ensure(nc, job.log, sizes);
  for (let partition = 0; partition < map.partitions; partition++) await ensureOutputStream(jsm, job.name, partition, sizes);
}

/** Creates or checks the streams of all jobs. */
export async function ensureStreams(
  nc: NatsConnection,
  app: App,
  config: Config,
  notice: (message: string) => void,
): Promise<RunningJob[]> {
  await checkServers(nc, config, notice);
  const sizes = streamSizes(config);
  const maps = new Map<string, SlotMap>();
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  for (const log of logsOf(app.jobs)) {
    const { map, notice: told } = await openSlotMap(nc, log, config.partitions, sizes);
    if (told !== undefined) notice(told);
    maps.set(log, map);
    await ensureLogStreams(nc, log, map, sizes);
    if (!(await probeMapping(nc, log))) {
      notice(
        `The NATS account has no mapping for ${log}.*: publish to ${log}.<slot>.e.<key>, through the API, or add it (${docPage("nats.md")}).`,
      );
    }
  }
  const jobs: RunningJob[] = [];
  for (const job of app.jobs) {
    const map = maps.get(job.log)!;
    await ensureJobStreams(nc, jsm, job, map, sizes);
    const sources = new Map(job.from.map(({ name, source }) => [name, maps.get(logOfSource(source, app.jobs)!)!] as const));
    jobs.push({ job, map, sources });
  }
  await checkReplicas(nc, app.jobs, config, notice);
  return jobs;
}
