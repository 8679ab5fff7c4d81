/**
 * Whether a snapshot may be restored: pure checks over what it says of itself, what runs, and what the streams hold.
 * Each refusal says what to do.
 */

import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { TidemarkError } from "../errors.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";

/** What of a snapshot is looked at. */
export type RestoredShard = Pick<
  ShardManifest,
  "id" | "job" | "log" | "shard" | "partitions" | "cursor" | "last" | "outputs" | "stateFormat" | "epoch" | "epochRoot"
>;

/** The job that is to take it, and its build. */
export interface RestoringJob {
  readonly name: string;
  readonly log: string;
  readonly partitions: number;
  readonly identity: Pick<CodeIdentity, "version" | "codeHash">;
}

export interface LogPlace {
  /** Of the shard's partition of the log. */
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** Root of the history that runs. */
  readonly epochRoot: number;
}

/**
 * The epochs whose code may go on from the state, the snapshot's own first. Where it stands exactly behind an epoch entry, the epoch
 * before is another: there the old build has folded everything and the new one nothing, so a generation of either may begin there.
 * `epochs`: oldest first.
 */
export function makersOf({ cursor, epoch }: RestoredShard, epochs: readonly RestoredShard["epoch"][]): readonly RestoredShard["epoch"][] {
  const before = epochs.findLast(({ sequence }) => sequence < epoch.sequence);
  const behindEntry = cursor.sequence === epoch.sequence + 1 && cursor.index === 0;
  return behindEntry && before !== undefined ? [epoch, before] : [epoch];
}

/** `makers`: see {@link makersOf}. Throws SNAPSHOT_FOREIGN, SNAPSHOT_FORMAT or CODE_UNAVAILABLE. */
export function checkOrigin(
  snapshot: RestoredShard,
  job: RestoringJob,
  makers: readonly RestoredShard["epoch"][] = [snapshot.epoch],
): void {
  const { id, log, shard, partitions, stateFormat, epoch } = snapshot;
  const name = `${snapshot.job}/${shard} ${id}`;
  if (snapshot.job !== job.name) throw new TidemarkError("SNAPSHOT_FOREIGN", `${name} is of the job ${snapshot.job}, not of ${job.name}.`);
  if (log !== job.log) throw new TidemarkError("SNAPSHOT_FOREIGN", `${name} was folded from the log ${log}; ${job.name} reads ${job.log}.`);
  if (partitions !== job.partitions)
    throw new TidemarkError("SNAPSHOT_FOREIGN", `${name} is of a log with ${partitions} partitions; ${job.log} has ${job.partitions}.`);
  if (stateFormat !== STATE_FORMAT)
    throw new TidemarkError("SNAPSHOT_FORMAT", `The state of ${name} has format ${stateFormat}; this build reads ${STATE_FORMAT}.`);
  if (makers.some(({ version, codeHash }) => version === job.identity.version && codeHash === job.identity.codeHash)) return;
  throw new TidemarkError(
    "CODE_UNAVAILABLE",
    `${name} belongs to version ${epoch.version} (${epoch.codeHash.slice(0, 12)}); this build is version ${job.identity.version} (${job.identity.codeHash.slice(0, 12)}).`,
  );
}

/** Throws SNAPSHOT_FOREIGN, LOG_TRUNCATED or LOG_TRIMMED. */
export function checkLog(snapshot: RestoredShard, log: LogPlace): void {
  const { id, job, shard, last, cursor, epochRoot } = snapshot;
  const name = `${job}/${shard} ${id}`;
  if (epochRoot !== log.epochRoot)
    throw new TidemarkError(
      "SNAPSHOT_FOREIGN",
      `${name} is of the history that began at entry ${epochRoot}; the log's begins at ${log.epochRoot}.`,
    );
  if (last.sequence > log.lastSequence) {
    const position = formatPosition(shard, last.sequence, last.index);
    throw new TidemarkError(
      "LOG_TRUNCATED",
      `${name} is of position ${position}, and the log ends at ${log.lastSequence}: it lost its tail.`,
    );
  }
  if (cursor.sequence < log.firstSequence)
    throw new TidemarkError(
      "LOG_TRIMMED",
      `${name} goes on at ${cursor.sequence}, and the log begins at ${log.firstSequence}: name a newer snapshot.`,
    );
}

/** Throws OUTPUTS_TRUNCATED: what would be folded from it would be published behind a gap. */
export function checkOutputs({ id, job, shard, outputs }: RestoredShard, stream: string, lastOutput: number): void {
  if (outputs <= lastOutput) return;
  const name = `${job}/${shard} ${id}`;
  throw new TidemarkError(
    "OUTPUTS_TRUNCATED",
    `${name} counts ${outputs} outputs, and ${stream} ends at ${lastOutput}: name an older snapshot.`,
  );
}
