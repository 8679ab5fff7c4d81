/** What the tests of the log share: a connection that comes back, and a log with its streams on a real server. */
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { ensureLogStreams } from "../../runtime/log/log-streams.ts";
import type { LogReader } from "../../runtime/log/partition-log.ts";
import { openSlotMap, type SlotMap } from "../../runtime/log/slot-map.ts";
import type { Cleanup } from "../support/nats.ts";

const MIB = 1024 * 1024;

export async function connectTo(t: Cleanup, url: string): Promise<NatsConnection> {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  t.after(() => nc.close());
  return nc;
}

export async function createLog(nc: NatsConnection, log: string, partitions = 1, maxBytes = 256 * MIB): Promise<SlotMap> {
  const { map } = await openSlotMap(nc, log, partitions);
  await ensureLogStreams(nc, log, map, { maxBytes });
  return map;
}

/** A request to the JetStream API that must succeed. */
export async function api<T>(nc: NatsConnection, path: string, body: unknown = {}): Promise<T> {
  const answer = (await nc.request(`$JS.API.${path}`, JSON.stringify(body), { timeout: 5_000 })).json<T & { error?: unknown }>();
  if (answer.error !== undefined) throw new Error(`${path}: ${JSON.stringify(answer.error)}`);
  return answer;
}

/** Takes until `count` entries have come, at most `step` at once. */
export async function readEntries(reader: LogReader, count: number, step = 1_000): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  while (entries.length < count) {
    await reader.readable(20_000);
    const taken = reader.take(Math.min(step, count - entries.length));
    if (taken.length === 0) throw new Error(`only ${entries.length} of ${count} entries came`);
    entries.push(...taken);
  }
  return entries;
}

/** Waits until taking throws, and gives what it threw. */
export async function failureOf(reader: LogReader): Promise<unknown> {
  for (;;) {
    await reader.readable(20_000);
    try {
      if (reader.take(1_000).length === 0) return undefined;
    } catch (error) {
      return error;
    }
  }
}
