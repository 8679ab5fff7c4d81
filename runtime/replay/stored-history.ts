/**
 * Reads what a job's partition holds on the server: the log from its root epoch on, the skips, and the outputs as
 * published. With `foldHistory` it answers whether the outputs are what the log says they must be.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Job } from "../../actors/model/job.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { OutputReader } from "../outputs/output-reader.ts";
import type { Output } from "../outputs/output-stream.ts";
import { wholeLogOf } from "../results/whole-log.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import { SkipList } from "../shard/skips.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import type { History } from "./fold-history.ts";

const TAKE = 1_000;
const PAGE = 1_000;
const WAIT_MS = 1_000;

/** The history of a shard up to the log's end as of now. `job` must be the build that the epoch names; `results`: where large ones lie. */
export async function storedHistory(
  nc: NatsConnection,
  job: Job,
  partition: number,
  partitions: number,
  results: () => Promise<BlobPlace>,
): Promise<History> {
  const log = wholeLogOf(nc, job, partition, results);
  const { root, from } = await readEpochPlan(log, job.log, partition, job.name);
  const { lastSequence } = await log.bounds();
  const { sequence, ...identity } = root;
  const skips = await new SkipList(nc, job.name, partition).read();
  const entries = await readEntries(log, from, lastSequence);
  return { job: { ...job, settings: root.settings }, partition, partitions, identity, epochRoot: sequence, from, entries, skips };
}

export async function storedOutputs(nc: NatsConnection, job: string, partition: number): Promise<Output[]> {
  const reader = new OutputReader(await jetstreamManager(nc, { checkAPI: false }));
  const outputs: Output[] = [];
  for (let from: number | undefined = 1; from !== undefined; ) {
    const page = await reader.page(job, partition, { from, limit: PAGE });
    outputs.push(...page.items);
    from = page.next;
  }
  return outputs;
}

async function readEntries(log: PartitionLog, from: number, to: number): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  if (to < from) return entries;
  const reader = log.read(from);
  try {
    while ((entries.at(-1)?.sequence ?? 0) < to) {
      const taken = reader.take(TAKE);
      if (taken.length === 0) await reader.readable(WAIT_MS);
      for (const entry of taken) if (entry.sequence <= to) entries.push(entry);
    }
  } finally {
    await reader.close();
  }
  return entries;
}
