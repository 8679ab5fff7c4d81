/** How far into the past, and how near to the present, a shard may be asked. */
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import type { CommittedPlace } from "../node/state-reader.ts";
import { readEpochPlan } from "../shard/epochs.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { type HistoricTarget, isBehind, nameOfTarget } from "./historic-target.ts";
import type { PastShard } from "./history.ts";

/** Throws NOT_YET for what lies ahead of the shard. */
export function refuseAhead({ job, partition }: PastShard, target: HistoricTarget, committed: CommittedPlace, now: number): void {
  if (target.kind === "position" && !isBehind({ ...committed, phase: "start" }, target)) {
    throw new TidemarkError(
      "NOT_YET",
      `${nameOfTarget(target, partition)} lies ahead; ${job.name}/${partition} has committed ${committed.position}.`,
    );
  }
  if (target.kind === "log-time" && target.time > now) {
    throw new TidemarkError("NOT_YET", `${formatInstant(target.time)} has not come yet.`);
  }
  if (target.kind === "event-time" && (committed.watermark === undefined || committed.watermark < target.time)) {
    const reached = committed.watermark === undefined ? "none yet" : formatInstant(committed.watermark);
    throw new TidemarkError("NOT_YET", `The watermark of ${job.name}/${partition} is ${reached}.`);
  }
}

/**
 * The first entry that must not be begun: of one that the shard has begun, what it has folded may be asked for. Of a time
 * nobody knows before it is folded whether it lies within that.
 */
export function endOf({ sequence, index }: CommittedPlace, { kind }: HistoricTarget): number {
  return index > 0 && kind === "position" ? sequence + 1 : sequence;
}

/** First entry of the history; `undefined` when it does not begin with nothing, or nobody can tell any more. */
export async function rootFrom(log: PartitionLog, { job, partition }: PastShard): Promise<number | undefined> {
  try {
    const { from, base } = await readEpochPlan(log, job.log, partition, job.name);
    // A generation begins with the state of another job: with a snapshot of its own.
    return base === undefined ? from : undefined;
  } catch (error) {
    if (isTidemarkError(error, "LOG_TRIMMED") || isTidemarkError(error, "CODE_UNAVAILABLE")) return undefined;
    throw error;
  }
}

export function positionOf({ shard, last }: ShardManifest): string {
  return formatPosition(shard, last.sequence, last.index);
}
