/**
 * What a cluster costs: so many nodes on one broker, each shard with a standby from two nodes on, and events published as
 * fast as all of it together takes them. Publisher, broker and nodes are on the same cores, so the rate says little about
 * several machines; the CPU for each event does, of the nodes and of the broker, and so does what idle nodes take.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import type { ShardReport } from "../runtime/shard/report.ts";
import { NodeProcess, shardsOf } from "../test/support/node-process.ts";
import { usageOf } from "./process-usage.ts";
import type { Row } from "./table.ts";
import { fill } from "./whole-node.ts";

export interface SeveralNodesOptions {
  readonly name: string;
  readonly nodes: number;
  readonly events: number;
  readonly app: "one-in-100" | "every-event";
}

const PARTITIONS = 6;
const LOG = "bench";
const KEYS = 10_000;
const IDLE_MS = 10_000;
const POLL_MS = 100;
const SETTLED_WITHIN_MS = 60_000;

export async function severalNodes({ name, nodes: count, events, app }: SeveralNodesOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  const nc = await connect({ servers: server.url });
  const nodes = Array.from(
    { length: count },
    (_, i) =>
      new NodeProcess({
        app: new URL(`./apps/${app}.ts`, import.meta.url).pathname,
        natsUrl: server.url,
        dataDir: join(folder, `n${i}`),
        env: { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_NODE_ID: `n${i}` },
      }),
  );
  const spent = (): { readonly nodes: number; readonly broker: number } => ({
    nodes: nodes.reduce((sum, { child }) => sum + usageOf(child.pid!).cpuSeconds, 0),
    broker: usageOf(server.pid).cpuSeconds,
  });
  try {
    const owned = ownedBy(await until(nodes, (shards) => isSpread(shards, count)), count);
    const rested = spent();
    await pause(IDLE_MS);
    const before = spent();
    const from = performance.now();
    await fill(nc, { events, keys: KEYS, batch: 1 });
    await until(nodes, (shards) => isFolded(shards, events));
    const seconds = (performance.now() - from) / 1_000;
    const after = spent();
    const perEvent = (cpuSeconds: number): number => Math.round((cpuSeconds / events) * 1e7) / 10;
    const share = (after.broker - before.broker) / (after.broker - before.broker + after.nodes - before.nodes);
    return {
      benchmark: name,
      nodes: count,
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
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
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
