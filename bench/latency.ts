/**
 * Latency under a steady load, the publisher in a process of its own: from an event's timestamp in the log to the
 * timestamp of its output in the output stream, both the broker's, so one clock. The acknowledgement adds one more
 * hop. Append latency is what the publisher waits for its own acknowledgement.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { NatsPartitionLog } from "../runtime/log/nats-partition-log.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { NodeProcess, sequenceOf, untilShards } from "../test/support/node-process.ts";
import type { LoadResult } from "./steady-load.ts";
import type { Row } from "./table.ts";

export interface LatencyOptions {
  readonly name: string;
  readonly rate: number;
  readonly seconds: number;
  readonly keys: number;
  readonly app: "one-in-100" | "every-event";
  /** TIDEMARK_SNAPSHOT_EVERY; default that of a node. */
  readonly snapshotEvery?: string;
}

const PARTITIONS = 4;
/** Left out of the figures: code is compiled while it runs. */
export const WARM_UP_MS = 5_000;

export async function latency(options: LatencyOptions): Promise<Row> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats") });
  const node = new NodeProcess({
    app: new URL(`./apps/${options.app}.ts`, import.meta.url).pathname,
    natsUrl: server.url,
    dataDir: join(folder, "data"),
    env: {
      TIDEMARK_PARTITIONS: String(PARTITIONS),
      ...(options.snapshotEvery === undefined ? {} : { TIDEMARK_SNAPSHOT_EVERY: options.snapshotEvery }),
    },
  });
  const nc = await connect({ servers: server.url });
  try {
    const apiUrl = await node.ready;
    await untilShards(apiUrl, (shards) => shards.every((shard) => shard.status === "running"));
    const load = fork(new URL("./steady-load.ts", import.meta.url).pathname, [
      server.url,
      String(options.rate),
      String(options.seconds),
      String(options.keys),
    ]);
    const [result] = (await once(load, "message")) as [LoadResult];
    const ends = result.ends;
    await untilShards(apiUrl, (shards) =>
      shards.every((shard) => sequenceOf(shard.position) >= (ends[shard.shard] ?? 0) && shard.outputsStored >= shard.outputs),
    );
    const delays: number[] = [];
    for (let partition = 0; partition < PARTITIONS; partition++) delays.push(...(await delaysOf(nc, partition)));
    delays.sort((a, b) => a - b);
    const { p50, p99 } = result;
    return {
      benchmark: options.name,
      "events/s": Math.round(result.published / result.seconds),
      "p50 ms": at(delays, 0.5),
      "p99 ms": at(delays, 0.99),
      "p99.9 ms": at(delays, 0.999),
      "max ms": at(delays, 1),
      "append p50 ms": p50,
      "append p99 ms": p99,
    };
  } finally {
    await node.kill();
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Milliseconds from each event's entry to its output, behind the warm-up. */
async function delaysOf(nc: NatsConnection, partition: number): Promise<number[]> {
  const appended = new Map<number, number>();
  for await (const entry of entriesOf(new NatsPartitionLog(nc, "bench", partition))) appended.set(entry.sequence, entry.logTime);
  const start = Math.min(...appended.values());
  const delays: number[] = [];
  for await (const entry of entriesOf(new NatsPartitionLog(nc, "bench-out", partition))) {
    const { position } = JSON.parse(Buffer.from(entry.payload).toString()) as { readonly position: string };
    const cause = appended.get(sequenceOf(position))!;
    if (cause - start >= WARM_UP_MS) delays.push(entry.logTime - cause);
  }
  return delays;
}

export async function* entriesOf(log: NatsPartitionLog) {
  const { lastSequence } = await log.bounds();
  const reader = log.read(1);
  let last = 0;
  while (last < lastSequence) {
    const taken = reader.take(1_000);
    if (taken.length === 0) await reader.readable(1_000);
    for (const entry of taken) {
      last = entry.sequence;
      yield entry;
    }
  }
  await reader.close();
}

export function at(sorted: readonly number[], share: number): number {
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN) * 100) / 100;
}
