/**
 * What a cluster costs: so many nodes on one broker, or on three with three replicas of everything, each shard with a standby from two nodes on, and events published as
 * fast as all of it together takes them. Publisher, broker and nodes are on the same cores, so the rate says little about
 * several machines; the CPU for each event does, of the nodes and of the broker, and so does what idle nodes take.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectNats } from "../runtime/nats-connect.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import type { ShardReport } from "../runtime/shard/report.ts";
import { NatsCluster } from "../test/support/nats-cluster.ts";
import { NodeProcess, shardsOf } from "../test/support/node-process.ts";
import { usageOf } from "./process-usage.ts";
import type { Row } from "./table.ts";
import { fill } from "./whole-node.ts";

export interface SeveralNodesOptions {
  readonly name: string;
  readonly nodes: number;
  /** As `tidemark nats-config` has three: each message on the disk of two before it is acknowledged. */
  readonly servers: 1 | 3;
  readonly events: number;
  readonly app: "one-in-100" | "every-event";
}

const PARTITIONS = 6;
const LOG = "bench";
const KEYS = 10_000;
const IDLE_MS = 10_000;
const POLL_MS = 100;
const SETTLED_WITHIN_MS = 60_000;

export async function severalNodes({ name, nodes: count, servers, events, app }: SeveralNodesOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const broker = servers === 1 ? await oneServer(folder) : await threeServers();
  const nc = await connectNats({ url: broker.url }, "bench");
  const nodes = Array.from(
    { length: count },
    (_, i) =>
      new NodeProcess({
        app: new URL(`./apps/${app}.ts`, import.meta.url).pathname,
        natsUrl: broker.url,
        dataDir: join(folder, `n${i}`),
        env: { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_NODE_ID: `n${i}`, TIDEMARK_NATS_REPLICAS: String(servers) },
      }),
  );
  const spent = (): { readonly nodes: number; readonly broker: number } => ({
    nodes: nodes.reduce((sum, { child }) => sum + usageOf(child.pid!).cpuSeconds, 0),
    broker: broker.pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0),
  });
  try {
    const owned = ownedBy(await until(nodes, (shards) => isSpread(shards, count)), count);
    const rested = spent();
    await pause(IDLE_MS);
    const before = spent();
    const from = performance.now();
    await fill(nc, { events, keys: KEYS, batch: 1 }, { replicas: servers });
    await until(nodes, (shards) => isFolded(shards, events));
    const seconds = (performance.now() - from) / 1_000;
    const after = spent();
    const perEvent = (cpuSeconds: number): number => Math.round((cpuSeconds / events) * 1e7) / 10;
    const share = (after.broker - before.broker) / (after.broker - before.broker + after.nodes - before.nodes);
    return {
      benchmark: name,
      nodes: count,
      servers,
      "shards owned": owned.join(", "),
      "events/s": Math.round(events / seconds),
      "nodes CPU us/event": perEvent(after.nodes - before.nodes),
      "broker CPU us/event": perEvent(after.broker - before.broker),
      "broker's share %": Math.round(share * 100),
      "idle nodes CPU %": percentOf(before.nodes - rested.nodes),
      "idle broker CPU %": percentOf(before.broker - rested.broker),
    };
  } finally {
    for (const { child } of nodes) child.kill("SIGKILL");
    await nc.close();
    await broker.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Broker {
  readonly url: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

async function oneServer(folder: string): Promise<Broker> {
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  return { url: server.url, pids: [server.pid], stop: () => server.stop("SIGKILL") };
}

async function threeServers(): Promise<Broker> {
  const hooks: (() => Promise<void>)[] = [];
  const logStreams = Array.from({ length: PARTITIONS }, (_, partition) => `${LOG}-${partition}`);
  const scope = { logs: [LOG], jobs: [{ name: LOG, partitions: PARTITIONS }], logStreams };
  const cluster = await NatsCluster.start({ after: (hook) => void hooks.push(hook) }, scope);
  return {
    url: cluster.url(),
    pids: cluster.pids,
    async stop() {
      for (const hook of hooks) await hook();
    },
  };
}

/** Of one core, over the time in which nothing was published. */
function percentOf(cpuSeconds: number): number {
  return Math.round((cpuSeconds / (IDLE_MS / 1_000)) * 1_000) / 10;
}

function isSpread(shards: readonly ShardReport[], nodes: number): boolean {
  const running = shards.filter(({ status }) => status === "running");
  const standbys = running.filter(({ role }) => role === "standby").length;
  const isEven = ownedBy(running, nodes).every((owned) => owned >= Math.floor(PARTITIONS / nodes));
  return isEven && running.length - standbys === PARTITIONS && standbys === (nodes > 1 ? PARTITIONS : 0);
}

function ownedBy(shards: readonly ShardReport[], nodes: number): number[] {
  return Array.from({ length: nodes }, (_, i) => shards.filter(({ node, role }) => role === "owner" && node === `n${i}`).length);
}

/** By owners and standbys. */
function isFolded(shards: readonly ShardReport[], events: number): boolean {
  const owners = shards.filter(({ role }) => role === "owner");
  const folded = owners.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0);
  return folded >= events && shards.every(({ lag, outputs, outputsStored }) => lag === 0 && outputsStored >= outputs);
}

async function until(nodes: readonly NodeProcess[], isDone: (shards: readonly ShardReport[]) => boolean): Promise<readonly ShardReport[]> {
  await Promise.all(nodes.map(({ ready }) => ready));
  let since = performance.now();
  let seen = "";
  for (;;) {
    const shards = await shardsOf(await nodes[0]!.ready);
    if (isDone(shards)) return shards;
    const now = JSON.stringify(shards.map(({ node, role, position, outputsStored }) => [node, role, position, outputsStored]));
    if (now !== seen) since = performance.now();
    seen = now;
    if (performance.now() - since > SETTLED_WITHIN_MS)
      throw new Error(`nothing moves any more:\n${nodes.map(({ log }) => log).join("\n")}`);
    await pause(POLL_MS);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
