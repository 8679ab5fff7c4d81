/**
 * Reads what a job's partition holds on the server: the log from its root epoch on, the skips, and the outputs as
 * published. With `foldHistory` it answers whether the outputs are what the log says they must be.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import type { Job } from "../../actors/model/job.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { storedMessage } from "../log/jetstream-api.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import { outputStreamName, outputSubjectRoot } from "../outputs/output-layout.ts";
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
const LAG_MS = 100;
const LAG_TRIES = 300;

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

/** Up to the last one that the stream's leader has. Fails with NATS_UNREACHABLE when that does not come: a page may be a follower's that lags. */
export async function storedOutputs(nc: NatsConnection, job: string, partition: number): Promise<Output[]> {
  const stream = outputStreamName(job, partition);
  const last = await storedMessage(nc, stream, { last_by_subj: `${outputSubjectRoot(job, partition)}.>` });
  const reader = new OutputReader(await jetstreamManager(nc, { checkAPI: false }));
  const outputs: Output[] = [];
  const end = (): number => outputs.at(-1)?.k ?? 0;
  for (let tries = 0; last !== undefined && end() < last.sequence; tries++) {
    if (tries > 0) await systemClock.sleep(LAG_MS);
    if (tries === LAG_TRIES)
      throw new TidemarkError("NATS_UNREACHABLE", `${stream} has ${last.sequence}, and gives nothing behind ${end()}.`);
    const { items } = await reader.page(job, partition, { from: end() + 1, limit: PAGE });
    outputs.push(...items);
    if (items.length > 0) tries = -1;
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
