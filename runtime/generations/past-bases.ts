/**
 * States of a job as of a moment of the past, for a generation to begin with: where each shard stands then, and the fold
 * that goes there.
 *
 * A log time names a place in every shard. A position names one shard; the others stand where the log time of its entry
 * puts them, as if that time had been named: they know nothing that was written later.
 *
 * What is folded lies in folders that are nobody else's. Whoever is given them deletes them.
 */
import { rmSync } from "node:fs";
import type { NatsConnection } from "@nats-io/transport-node";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../errors.ts";
import type { HistoricStand } from "../history/historic-states.ts";
import { type HistoricTarget, lastFolded } from "../history/historic-target.ts";
import type { History, Past, PastShard } from "../history/history.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { Progress } from "../node/operations.ts";
import { readEpochs } from "../shard/epochs.ts";
import type { BeginRequest } from "./generation-begin.ts";
import type { RestoredShard } from "./restore-checks.ts";
import { checkShards, type RestorableJob } from "./shard-checks.ts";

/** A moment of a job. */
export type JobMoment =
  | { readonly kind: "position"; readonly partition: number; readonly sequence: number; readonly index: number }
  | { readonly kind: "log-time"; readonly time: number };

export interface PastParts {
  readonly nc: NatsConnection;
  readonly history: Pick<History, "past" | "detach">;
}

export type Bases = BeginRequest["bases"];

export function nameOfMoment(at: JobMoment): string {
  return at.kind === "position" ? formatPosition(at.partition, at.sequence, at.index) : formatInstant(at.time);
}

/** What is to be folded, by shard. Throws INPUT_INVALID, NOT_YET, HISTORY_TRIMMED or CODE_UNAVAILABLE. */
export async function pastsAt(parts: PastParts, running: RestorableJob, at: JobMoment): Promise<readonly Past[]> {
  const { job, partitions } = running;
  const pastOf = (partition: number, target: HistoricTarget): Promise<Past> => parts.history.past({ job, partition, partitions }, target);
  const everyOther = async (time: number, named?: Past): Promise<readonly Past[]> => {
    const pasts: Past[] = [];
    for (let partition = 0; partition < partitions; partition++)
      pasts.push(partition === named?.shard.partition ? named : await pastOf(partition, { kind: "log-time", time }));
    return pasts;
  };
  if (at.kind === "log-time") return await everyOther(at.time);
  const { partition, sequence, index } = at;
  if (partition >= partitions) throw new TidemarkError("INPUT_INVALID", `at: ${job.name} has no partition ${partition}.`);
  const named = await pastOf(partition, { kind: "position", sequence, index });
  await refuseOtherCode(parts, running, named.shard, at);
  return partitions === 1 ? [named] : await everyOther(await logTimeOf(parts, named.shard, sequence), named);
}

/** Folds one shard after the other. Throws what a fold of the past throws, and CODE_UNAVAILABLE or LOG_TRIMMED for what came of it. */
export async function foldBases(
  { nc, history }: PastParts,
  running: RestorableJob,
  at: JobMoment,
  pasts: readonly Past[],
  { report, signal }: Progress,
): Promise<Bases> {
  const total = pasts.reduce((sum, { entries }) => sum + entries, 0);
  const bases: Bases[number][] = [];
  let before = 0;
  try {
    for (const past of pasts) {
      const progress = (done: number): void => report(before + done, total);
      const { folder, stand } = await history.detach(past, { signal, report: progress });
      const base = { source: { kind: "folder", folder }, cursor: stand.cursor.sequence, last: lastFolded(stand) } as const;
      bases.push(base);
      await checkShards(nc, [restoredShard(running, past.shard.partition, stand, nameOfMoment(at))], running, false);
      before += past.entries;
      report(before, total);
    }
    return bases;
  } catch (error) {
    deleteFolders(bases);
    throw error;
  }
}

/** Of those that were folded for it. A folder that is gone is none to delete. */
export function deleteFolders(bases: Bases): void {
  for (const { source } of bases) if (source.kind === "folder") rmSync(source.folder, { recursive: true, force: true });
}

function restoredShard({ job, partitions }: RestorableJob, shard: number, stand: HistoricStand, id: string): RestoredShard {
  const { cursor, epoch, epochRoot } = stand;
  const { name, log } = job;
  // Its outputs count for nothing: a generation begins with none.
  return {
    id,
    job: name,
    log,
    shard,
    partitions,
    cursor,
    last: lastFolded(stand),
    outputs: 0,
    stateFormat: STATE_FORMAT,
    epoch,
    epochRoot,
  };
}

/** Before anything is folded, where the position and what the log still has of epochs say it. */
async function refuseOtherCode(
  { nc }: PastParts,
  { job, identity }: RestorableJob,
  { partition }: PastShard,
  at: JobMoment & { readonly kind: "position" },
): Promise<void> {
  const log = new NatsPartitionLog(nc, job.log, partition);
  const epochs = await readEpochs(log, { log: job.log, partition, job: job.name });
  const epoch = epochs.findLast(({ sequence }) => sequence < at.sequence);
  if (epoch === undefined) return;
  if (epoch.version === identity.version && epoch.codeHash === identity.codeHash) return;
  throw new TidemarkError(
    "CODE_UNAVAILABLE",
    `${job.name}/${partition} ${nameOfMoment(at)} was folded by version ${epoch.version} (${epoch.codeHash.slice(0, 12)}); this build is version ${identity.version} (${identity.codeHash.slice(0, 12)}).`,
  );
}

async function logTimeOf({ nc }: PastParts, { job, partition }: PastShard, sequence: number): Promise<number> {
  const entry = await new NatsPartitionLog(nc, job.log, partition).firstOn(">", sequence);
  if (entry?.sequence === sequence) return entry.logTime;
  throw new TidemarkError(
    "HISTORY_TRIMMED",
    `The log ${job.log} no longer has entry ${sequence} of partition ${partition}, whose log time says where the other shards stood: name a log time.`,
  );
}
