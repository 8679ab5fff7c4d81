/**
 * A whole log replayed beside the node's own fold: in threads, published as a shadow, compared with what a shard had
 * published before. Not measured: several machines, snapshots, a log that is larger than the page cache.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { openLogPublisher } from "../runtime/log/log-publisher.ts";
import { ensureLogStreams } from "../runtime/log/log-streams.ts";
import { openSlotMap } from "../runtime/log/slot-map.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { type ReplayRequest, replayShadow } from "../runtime/replay/shadow-replay.ts";
import { counterJob } from "./apps/counter.ts";
import { readingOf } from "./readings.ts";
import type { Row } from "./table.ts";

export interface ReplaysOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  readonly batch: number;
  /** Module in bench/apps. */
  readonly app: "one-in-100" | "every-event";
  readonly partitions: number;
}

const MAX_BYTES = 4 * 1024 ** 3;

/** One row without outputs, and one that publishes them. */
export async function replays(options: ReplaysOptions): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats") });
  try {
    await fill(server.url, options);
    const request: ReplayRequest = {
      job: "bench",
      generation: "bench",
      app: new URL(`./apps/${options.app}.ts`, import.meta.url).pathname,
      settings: {},
      nats: { url: server.url },
      snapshots: { snapshots: { kind: "nats" }, s3Endpoint: undefined, keysFile: undefined, maxBytes: MAX_BYTES, replicas: 1 },
      from: { kind: "start" },
      to: { kind: "end" },
      snapshot: undefined,
      models: undefined,
      archive: undefined,
      publish: undefined,
      compare: false,
      diffFile: undefined,
      partitions: options.partitions,
      folder: join(folder, "replays"),
      threads: availableParallelism(),
    };
    const rows = [await measured(`${options.name}, folded alone`, request)];
    rows.push(await measured(`${options.name}, published`, { ...request, publish: { maxBytes: MAX_BYTES, replicas: 1 } }));
    return rows;
  } finally {
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fill(url: string, { events, keys, batch, partitions }: ReplaysOptions): Promise<void> {
  const nc = await connect({ servers: url });
  const { log } = counterJob(1);
  const { map } = await openSlotMap(nc, log, partitions);
  await ensureLogStreams(nc, log, map, { maxBytes: MAX_BYTES });
  const publisher = openLogPublisher(nc, log, map, { bytesAreCloudEvents: true, batchEventsMax: batch, lanes: 1 });
  for (let i = 0; i < events; i += 2_000) {
    const slice = Array.from({ length: Math.min(2_000, events - i) }, (_, j) => readingOf(i + j, keys));
    if (batch === 1) await Promise.all(slice.map((event) => publisher.publish(event.key, event.payload)));
    else await publisher.publishBatch(slice);
  }
  publisher.close();
  await nc.close();
}

async function measured(name: string, request: ReplayRequest): Promise<Row> {
  const cpu = process.cpuUsage();
  let begun: number | undefined;
  const progress = ({ events }: { readonly events: number }): void => {
    if (events > 0) begun ??= performance.now();
  };
  const { partitions, seconds } = await replayShadow(request, progress, new AbortController().signal);
  const used = process.cpuUsage(cpu);
  const events = partitions.reduce((sum, { counts }) => sum + counts.in, 0);
  return {
    benchmark: name,
    "events/s": Math.round(events / seconds),
    // Without loading the app and opening the state.
    "events/s folding": begun === undefined ? "-" : Math.round(events / Math.max(0.001, (performance.now() - begun) / 1_000)),
    "CPU us/event": Math.round(((used.user + used.system) / events) * 100) / 100,
  };
}
