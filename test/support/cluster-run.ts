/**
 * Events through three real NATS servers into a cluster of three real nodes, in the configuration of production, while one fault
 * follows the other. What came out is judged by a fresh fold of the same log, and so is the state of every node.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { listStreams } from "../../runtime/log/own-streams.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import { beginFault, describeRound, type FaultyCluster, type PlanOptions, planFaults } from "./cluster-faults.ts";
import { APP, ClusterLoad, JOBS, LEDGER_END_MS, LOG, type LoadOptions } from "./cluster-load.ts";
import { ClusterNodes } from "./cluster-nodes.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, endLog, PARTITIONS, pause, seeded } from "./crash-run.ts";
import { loseMajority } from "./lost-majority.ts";
import type { Cleanup } from "./nats.ts";
import { NatsCluster, SERVERS } from "./nats-cluster.ts";
import { LOOPBACK, type TestNetwork } from "./network.ts";
import { sequenceOf } from "./node-process.ts";

export interface ClusterRunOptions extends Omit<PlanOptions, "nodes">, LoadOptions {
  /** Whether the majority of the servers is lost once, for the longest time that a fault has. */
  readonly losesMajority: boolean;
}

/** What went on, and what was compared. */
export interface ClusterRun {
  readonly faults: readonly string[];
  readonly events: number;
  /** Starts of nodes that found no NATS. */
  readonly startedAgain: number;
  /** Messages of the log that are there once more, because an acknowledgement was lost. */
  readonly storedAgain: number;
  readonly outputs: number;
  readonly features: number;
  readonly rows: number;
}

const NODES = [0, 1, 2] as const;
const ENV = {
  TIDEMARK_PROFILE: "production",
  TIDEMARK_NATS_REPLICAS: "3",
  TIDEMARK_ALLOW_SINGLE_REPLICA: "off",
  TIDEMARK_STREAM_MAX_BYTES: String(256 << 20),
};

/** `network`: with one, each node and each server has a place of its own in it. */
export async function clusterRun(t: Cleanup, options: ClusterRunOptions, network?: TestNetwork): Promise<ClusterRun> {
  const random = seeded(options.seed);
  const plan = planFaults(random, { ...options, nodes: NODES.length });
  const place = () => network?.add() ?? LOOPBACK;
  const placeOf = { servers: SERVERS.map(place), nodes: NODES.map(place) };
  const partitions = Array.from({ length: PARTITIONS }, (_, p) => p);
  const scope = {
    logs: [LOG],
    jobs: JOBS.map(({ name }) => ({ name, partitions: PARTITIONS })),
    logStreams: partitions.map((p) => `${LOG}-${p}`),
  };
  const servers = await NatsCluster.start(t, scope, placeOf.servers);
  const nodes = new ClusterNodes(t, { app: APP, natsUrl: servers.url(), env: ENV, places: placeOf.nodes });
  for (const i of NODES) nodes.start(i);
  for (const i of NODES) await nodes.ready(i);
  const nc = await connectNats({ url: servers.url() }, "test");
  t.after(() => nc.close());
  for (const { config } of await listStreams(nc)) assert.equal(config.num_replicas, SERVERS.length, config.name);

  const cluster: FaultyCluster = { nodes, servers, network, placeOf };
  const load = await ClusterLoad.start(nc, options);
  const faults: string[] = [];
  try {
    const from = performance.now();
    for (const [i, round] of plan.entries()) {
      faults.push(`${Math.round((performance.now() - from) / 1_000)} s: ${describeRound(round)}`);
      const ends = [];
      for (const fault of round.faults) ends.push(await beginFault(cluster, fault));
      await pause(round.ms);
      for (const end of ends) await end();
      await pause(round.restMs);
      nodes.assertAlive();
      if (options.losesMajority && i === Math.floor(plan.length / 2)) {
        await servers.whole();
        faults.push(await loseMajority(cluster, load, random, options.longestMs));
      }
    }
    await load.end();
    return { faults, ...(await judge(cluster, nc, load)) };
  } catch (error) {
    throw new Error(`after ${faults.join(", ")}: ${error instanceof Error ? error.stack : String(error)}\n${nodes.log}`, { cause: error });
  }
}

/** The nodes have ended when it resolves. */
async function judge({ nodes, servers }: FaultyCluster, nc: NatsConnection, load: ClusterLoad): Promise<Omit<ClusterRun, "faults">> {
  await servers.whole();
  const ends = await endLog(nc, LOG, LEDGER_END_MS);
  await nodes.untilSettled(
    JOBS.length * PARTITIONS,
    ({ shard, position, outputs, outputsStored }) => sequenceOf(position) >= ends[shard]! && outputsStored >= outputs,
  );
  const storedAgain = await load.assertStored();
  const outputs = await load.assertAccountsAgree();
  const features = await load.untilFeaturesAgree((key) => nodes.feature(LOG, key));
  for (const job of JOBS) await assertEqualsFreshFold(nc, job);
  for (const i of NODES) await nodes.stop(i);
  let rows = 0;
  for (const i of NODES) {
    const dataDir = nodes.dataDir(i);
    for (const { job, partition } of shardsIn(dataDir))
      rows += await assertStateEqualsFreshFold({ nc, dataDir }, job, PARTITIONS, partition);
  }
  return { events: load.events, startedAgain: nodes.startedAgain, storedAgain, outputs, features, rows };
}

/** Those that a node has had, also when others have them now. */
function shardsIn(dataDir: string): { readonly job: Job; readonly partition: number }[] {
  const shards = JOBS.flatMap((job) => Array.from({ length: PARTITIONS }, (_, partition) => ({ job, partition })));
  return shards.filter(({ job, partition }) => existsSync(join(dataDir, "shards", `${job.name}-${partition}`)));
}
