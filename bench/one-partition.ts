/**
 * One shard in this process, its log filled first on a real server: what a shard's thread can do by itself.
 * Not measured: worker threads, the API, several partitions.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "@nats-io/transport-node";
import { openLogPublisher } from "../runtime/log/log-publisher.ts";
import { ensureLogStreams } from "../runtime/log/log-streams.ts";
import { SINGLE } from "../runtime/log/replication.ts";
import { openSlotMap } from "../runtime/log/slot-map.ts";
import { findNatsServer } from "../runtime/node/nats-binary.ts";
import { startNatsServer } from "../runtime/node/nats-server.ts";
import { ShardHost } from "../runtime/shard/shard-host.ts";
import { SkipList } from "../runtime/shard/skips.ts";
import { NO_SNAPSHOTS } from "../runtime/snapshots/snapshot-source.ts";
import { memoryResults } from "../test/support/result-places.ts";
import { counterJob } from "./apps/counter.ts";
import { readingOf } from "./readings.ts";
import type { Row } from "./table.ts";

export interface OnePartitionOptions {
  readonly name: string;
  readonly events: number;
  readonly keys: number;
  readonly batch: number;
  /** Every so many events give an output. */
  readonly every: number;
}

export async function onePartition(options: OnePartitionOptions): Promise<Row> {
  const { events, keys, batch } = options;
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const server = await startNatsServer({ binary: findNatsServer().binary, storeDir: join(folder, "nats") });
  const nc = await connect({ servers: server.url });
  try {
    const job = counterJob(options.every);
    const { map } = await openSlotMap(nc, job.log, 1);
    await ensureLogStreams(nc, job.log, map, { maxBytes: 8 * 1024 ** 3 });
    await SkipList.ensure(nc, job.name, SINGLE);
    const publisher = openLogPublisher(nc, job.log, map, { bytesAreCloudEvents: true, batchEventsMax: batch, lanes: 1 });
    for (let i = 0; i < events; i += 2_000) {
      const slice = Array.from({ length: Math.min(2_000, events - i) }, (_, j) => readingOf(i + j, keys));
      if (batch === 1) await Promise.all(slice.map((event) => publisher.publish(event.key, event.payload)));
      else await publisher.publishBatch(slice);
    }
    publisher.close();
    const host = new ShardHost(
      nc,
      {
        nodeId: "bench",
        profile: "development",
        codeHash: "bench",
        streamMaxBytes: 8 * 1024 ** 3,
        replication: SINGLE,
        snapshots: async () => NO_SNAPSHOTS,
        results: memoryResults(),
      },
      () => {},
      () => {},
    );
    const cpu = process.cpuUsage();
    const from = performance.now();
    host.host(job, { partition: 0, partitions: 1, folder: join(folder, "shard") }, [], "owner");
    for (;;) {
      const [report] = host.reports();
      if (report !== undefined && (report.counts.in ?? 0) >= events && report.outputsStored >= report.outputs) break;
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
    const seconds = (performance.now() - from) / 1000;
    const used = process.cpuUsage(cpu);
    await host.drain();
    return {
      benchmark: options.name,
      "events/s": Math.round(events / seconds),
      "CPU us/event": Math.round(((used.user + used.system) / events) * 100) / 100,
    };
  } finally {
    await nc.close();
    await server.stop("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
}
