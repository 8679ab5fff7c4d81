/**
 * Events of which each is scored by a model of ONNX Runtime, on the whole node with its broker: the log is filled first,
 * then a fresh node drains it. Measured from the first folded entry to the last stored output. An event has two outputs:
 * its score and the record of the inference. Not measured: publishing, replication, a network.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import type { ShardReport } from "../runtime/shard/report.ts";
import { childrenOf } from "../test/support/child-processes.ts";
import { NodeProcess, untilShards } from "../test/support/node-process.ts";
import { type PutModel, putModels } from "../test/support/put-models.ts";
import { usageOf } from "./process-usage.ts";
import type { Row } from "./table.ts";
import { fill } from "./whole-node.ts";

export interface ScoredOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  readonly model: PutModel;
  readonly workers: number;
  /** Folder for CPU profiles of the node's threads and of the process with the models. */
  readonly profiles?: string | undefined;
}

const PARTITIONS = 4;
const LOG = "bench";
const APP = new URL("./apps/all-scored.ts", import.meta.url).pathname;
const INFERENCE_MODULE = "inference/service/main";

export async function scored(options: ScoredOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  const nc = await connect({ servers: server.url });
  const { workers, profiles, events, keys, model } = options;
  const env = { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_WORKERS: String(workers) };
  const start = (more: Readonly<Record<string, string>> = {}): NodeProcess =>
    new NodeProcess({ app: APP, natsUrl: server.url, dataDir: join(folder, "data"), env: { ...env, ...more } });
  const first = start();
  let node = first;
  try {
    await putModels({ apiUrl: await first.ready, nc, log: LOG, partitions: PARTITIONS }, [model]);
    await first.stop();
    await fill(nc, { events, keys, batch: 1, stepMs: 3_600_000 / events });
    node = start(profiles === undefined ? {} : { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profiles}` });
    const measured = await measure(node, server.pid, options);
    if (profiles !== undefined) await node.stop();
    return measured;
  } finally {
    await node.kill();
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(node: NodeProcess, broker: number, { name, events }: ScoredOptions): Promise<Row> {
  const apiUrl = await node.ready;
  await untilShards(apiUrl, (shards) => sumOf(shards, ({ counts }) => counts.in ?? 0) > 0);
  const [models] = childrenOf(node.child.pid!, INFERENCE_MODULE);
  const cpu = (): readonly number[] => [node.child.pid!, models!, broker].map((pid) => usageOf(pid).cpuSeconds);
  const before = cpu();
  const from = performance.now();
  const atStart = sumOf(await untilShards(apiUrl, () => true), ({ counts }) => counts.in ?? 0);
  // Each event has two: its score, and the record of the inference.
  const shards = await untilShards(apiUrl, (now) => sumOf(now, ({ outputsStored }) => outputsStored) >= 2 * events);
  const seconds = (performance.now() - from) / 1000;
  const count = events - atStart;
  const spent = cpu().map((after, i) => Math.round(((after - before[i]!) / count) * 1e8) / 100);
  return {
    benchmark: name,
    "scored/s": Math.round(count / seconds),
    outputs: sumOf(shards, ({ outputsStored }) => outputsStored),
    failed: await failedCalls(apiUrl),
    "node CPU us/event": spent[0]!,
    "models CPU us/event": spent[1]!,
    "broker CPU us/event": spent[2]!,
    "node RSS MiB": usageOf(node.child.pid!).rssMiB,
    "models RSS MiB": usageOf(models!).rssMiB,
  };
}

/** As the node counts them. */
async function failedCalls(apiUrl: string): Promise<number> {
  const text = await (await fetch(`${apiUrl}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line.startsWith("tidemark_effects_errors_total"));
  return samples.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

function sumOf(shards: readonly ShardReport[], of: (shard: ShardReport) => number): number {
  return shards.reduce((sum, shard) => sum + of(shard), 0);
}
