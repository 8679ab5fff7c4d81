/** A publisher in a process of its own: so many events a second, on schedule whether or not the last ones were acknowledged. */
import { connect } from "@nats-io/transport-node";
import { openLogPublisher } from "../runtime/log/log-publisher.ts";
import { readSlotMap } from "../runtime/log/slot-map.ts";
import { readingOf } from "./readings.ts";

export interface LoadResult {
  readonly published: number;
  readonly seconds: number;
  /** Append latency, from the moment the event was due. */
  readonly p50: number;
  readonly p99: number;
  /** Last sequence of an event, by partition. */
  readonly ends: readonly number[];
}

const TICK_MS = 5;

const [url, rate, seconds, keys] = process.argv.slice(2);
const nc = await connect({ servers: url! });
const publisher = openLogPublisher(nc, "bench", (await readSlotMap(nc, "bench"))!, { bytesAreCloudEvents: true });
const total = Number(rate) * Number(seconds);
const waits: number[] = [];
const ends: number[] = [];
const start = performance.now();
let sent = 0;
const pending: Promise<void>[] = [];
while (sent < total) {
  const due = Math.min(total, Math.floor(((performance.now() - start) / 1000) * Number(rate)));
  for (; sent < due; sent++) {
    const dueAt = start + (sent / Number(rate)) * 1000;
    const { key, payload } = readingOf(sent, Number(keys));
    pending.push(
      publisher.publish(key, payload).then(({ partition, sequence }) => {
        waits.push(performance.now() - dueAt);
        ends[partition] = Math.max(ends[partition] ?? 0, sequence);
      }),
    );
  }
  await new Promise((resolve) => {
    setTimeout(resolve, TICK_MS);
  });
}
await Promise.all(pending);
waits.sort((a, b) => a - b);
const at = (share: number) => Math.round(waits[Math.floor(waits.length * share)]! * 100) / 100;
process.send!({ published: sent, seconds: (performance.now() - start) / 1000, p50: at(0.5), p99: at(0.99), ends } satisfies LoadResult);
process.disconnect();
await nc.close();
