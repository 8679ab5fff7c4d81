/**
 * The whole node with its broker on the same machine: the log is filled first, then a fresh node drains it.
 * Measured from the first folded entry to the last stored output. Not measured: publishing, replication (R1), fsync
 * of the broker before each acknowledgement, a network.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { openLogPublisher } from "../runtime/log/log-publisher.ts";
import { ensureLogStreams } from "../runtime/log/log-streams.ts";
import { type Replication, SINGLE } from "../runtime/log/replication.ts";
import { openSlotMap } from "../runtime/log/slot-map.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { type NatsServer, startNatsServer } from "../runtime/node/nats-server.ts";
import { NodeProcess, shardsOf } from "../test/support/node-process.ts";
import { usageOf } from "./process-usage.ts";
import { readingOf } from "./readings.ts";
import type { Row } from "./table.ts";

export interface DrainOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  /** 1: single events. */
  readonly batch: number;
  readonly app: "one-in-100" | "every-event" | "tumbling-5m";
  /** Of event time between two events; default 1. */
  readonly stepMs?: number;
  readonly workers: number;
}

const PARTITIONS = 4;
const LOG = "bench";
const POLL_MS = 20;

export async function drain(options: DrainOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats"), logs: [LOG] });
  const nc = await connect({ servers: server.url });
  try {
    await fill(nc, options);
    return await measure(server, join(folder, "data"), options);
  } finally {
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function fill(
  nc: NatsConnection,
  { events, keys, batch, stepMs }: Pick<DrainOptions, "events" | "keys" | "batch" | "stepMs">,
  replication: Replication = SINGLE,
): Promise<void> {
  const { map } = await openSlotMap(nc, LOG, PARTITIONS, replication);
  await ensureLogStreams(nc, LOG, map, { maxBytes: 8 * 1024 ** 3, ...replication });
  const publisher = openLogPublisher(nc, LOG, map, { bytesAreCloudEvents: true, batchEventsMax: batch, lanes: 8 });
  const chunk = batch === 1 ? 2_000 : batch * 200;
  for (let i = 0; i < events; i += chunk) {
    const slice = Array.from({ length: Math.min(chunk, events - i) }, (_, j) => readingOf(i + j, keys, stepMs));
    if (batch === 1) await Promise.all(slice.map((event) => publisher.publish(event.key, event.payload)));
    else {
      const failed = (await publisher.publishBatch(slice)).find((result) => result instanceof Error);
      if (failed !== undefined) throw failed;
    }
  }
  publisher.close();
}

async function measure(server: NatsServer, dataDir: string, options: DrainOptions): Promise<Row> {
  const node = new NodeProcess({
    app: new URL(`./apps/${options.app}.ts`, import.meta.url).pathname,
    natsUrl: server.url,
    dataDir,
    env: { TIDEMARK_PARTITIONS: String(PARTITIONS), TIDEMARK_WORKERS: String(options.workers) },
  });
  try {
    const apiUrl = await node.ready;
    let first: { readonly at: number; readonly folded: number; readonly node: number; readonly broker: number } | undefined;
    for (;;) {
      const shards = await shardsOf(apiUrl);
      const halted = shards.find((shard) => shard.error !== undefined);
      if (halted !== undefined) throw new Error(`${halted.error?.code}: ${halted.error?.detail}`);
      const folded = shards.reduce((sum, shard) => sum + (shard.counts.in ?? 0), 0);
      const now = performance.now();
      if (first === undefined && folded > 0) {
        first = { at: now, folded, node: usageOf(node.child.pid!).cpuSeconds, broker: usageOf(server.pid).cpuSeconds };
      }
      const stored = shards.every((shard) => shard.outputsStored >= shard.outputs);
      if (first !== undefined && folded >= options.events && stored) {
        const seconds = (now - first.at) / 1000;
        const count = folded - first.folded;
        const usage = usageOf(node.child.pid!);
        return {
          benchmark: options.name,
          "events/s": Math.round(count / seconds),
          outputs: shards.reduce((sum, shard) => sum + shard.outputs, 0),
          "node CPU us/event": round(((usage.cpuSeconds - first.node) / count) * 1e6),
          "broker CPU us/event": round(((usageOf(server.pid).cpuSeconds - first.broker) / count) * 1e6),
          "node RSS MiB": usage.rssMiB,
        };
      }
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS);
      });
    }
  } finally {
    await node.kill();
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
