/** Puts together what a node needs to run generations and to restore: their bucket, the hosting of them, and the keeper. */
import type { JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Job, withSettings } from "../../actors/model/job.ts";
import type { App } from "../app.ts";
import { identityOf } from "../app.ts";
import { systemClock } from "../clock.ts";
import { KeeperBaseWriter } from "../generations/base-writer.ts";
import { markFolder } from "../generations/dropped-folders.ts";
import type { GenerationBucket } from "../generations/generation-bucket.ts";
import { GenerationHosting } from "../generations/generation-hosting.ts";
import { Generations } from "../generations/generations.ts";
import { Restores } from "../generations/restores.ts";
import type { History } from "../history/history.ts";
import type { ShardReport } from "../shard/report.ts";
import type { KeeperThread } from "../snapshots/keeper.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import { type Config, foldSettingsOf } from "./config.ts";
import type { HostedShards } from "./hosted-shards.ts";
import { ensureJobStreams, type RunningJob } from "./node.ts";
import type { Operations } from "./operations.ts";
import type { PutBack } from "./other-owners.ts";
import { replicationOf, streamSizes } from "./snapshot-settings.ts";

export interface OpenedGenerations {
  readonly generations: Generations;
  readonly restores: Restores;
}

export interface GenerationSetup {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly node: string;
  readonly app: App;
  readonly config: Config;
  readonly jobs: readonly RunningJob[];
  /** Filled with the generations that run. */
  readonly begun: RunningJob[];
  readonly shards: HostedShards;
  /** What a job's shards need to run in the cluster, and to end. */
  readonly host: { start(running: RunningJob): void; end(job: string): Promise<void> };
  readonly putBack: PutBack;
  readonly bucket: GenerationBucket;
  readonly keeper: KeeperThread;
  readonly snapshots: Snapshots;
  readonly history: History;
  readonly notice: (message: string) => void;
}

export function openedGenerations(
  setup: GenerationSetup,
  operations: Operations,
  reports: () => Promise<readonly ShardReport[]>,
): OpenedGenerations {
  const { nc, jsm, node, config, jobs, begun, shards, bucket, keeper, snapshots, history, notice } = setup;
  const running = (name: string): RunningJob | undefined => [...jobs, ...begun].find(({ job }) => job.name === name);
  const declared = jobs.map(({ job }) => job);
  const hosting = new GenerationHosting({
    bucket,
    jobs: declared,
    clock: systemClock,
    notice,
    host: {
      start: async (job) => {
        const { map } = running(job.origin!)!;
        await ensureJobStreams(nc, jsm, job, map, streamSizes(config));
        const generation: RunningJob = { job, map, sources: new Map() };
        for (const { folder } of shards.placesOf(generation)) markFolder(folder);
        begun.push(generation);
        setup.host.start(generation);
      },
      end: async (name) => {
        const at = begun.findIndex(({ job }) => job.name === name);
        if (at !== -1) begun.splice(at, 1);
        await setup.host.end(name);
      },
      follow: (active) => shards.follow(active),
    },
  });
  const writer = new KeeperBaseWriter(keeper, systemClock);
  const parts = {
    nc,
    clock: systemClock,
    node,
    replication: replicationOf(config),
    bucket,
    writer,
    hosting,
    operations,
    jobs: declared,
    shards: reports,
    notice,
  };
  const generations = new Generations({ ...parts, partitionsOf: (job) => running(job)?.map.partitions ?? 0 });
  const identityFor = (job: Job) => identityOf(withSettings(job, foldSettingsOf(config)), setup.app.codeHash);
  const restores = new Restores({
    nc,
    snapshots,
    history,
    operations,
    generations,
    jobNamed(name) {
      const found = running(name);
      if (found === undefined) return undefined;
      const { job, map } = found;
      return { job, partitions: map.partitions, mapVersion: map.version, identity: identityFor(job) };
    },
    putBack: setup.putBack,
    notice,
  });
  return { generations, restores };
}
