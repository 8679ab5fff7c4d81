/** The snapshot that a replay of one partition begins with: the one asked for, or the newest that lies before the range. */
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { SnapshotCatalogue } from "../snapshots/catalogue.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { ShardStore } from "../store/shard-store.ts";
import type { PartitionTask, ReplayPoint } from "./replay-task.ts";

/**
 * Candidates, the best first: those behind the first are there for when it is damaged. Empty: the history begins without
 * state. Throws SNAPSHOT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_FORMAT or SNAPSHOT_STORE.
 */
export async function basesOf(catalogue: SnapshotCatalogue, origin: Job, task: PartitionTask): Promise<readonly ShardManifest[]> {
  const { snapshot, partition, partitions, from } = task;
  if (snapshot !== undefined) return [await namedBase(catalogue, origin, partition, snapshot, from)];
  if (from.kind === "start") return [];
  const manifests = await catalogue.ofShard(origin.name, partition);
  return manifests.filter(
    (manifest) =>
      manifest.log === origin.log &&
      manifest.partitions === partitions &&
      manifest.stateFormat === STATE_FORMAT &&
      isBefore(manifest, from),
  );
}

/** Puts the first of them that is whole into the store. `clear` empties it. Throws SNAPSHOT_DAMAGED when none is, or SNAPSHOT_STORE. */
export async function restoreBase(
  catalogue: SnapshotCatalogue,
  bases: readonly ShardManifest[],
  store: ShardStore,
  clear: () => Promise<void>,
  notice: (message: string) => void,
): Promise<ShardManifest> {
  for (const [i, manifest] of bases.entries()) {
    try {
      await catalogue.restore(manifest, store);
      return manifest;
    } catch (error) {
      const damaged = isTidemarkError(error, "SNAPSHOT_DAMAGED") || isTidemarkError(error, "SNAPSHOT_MISSING");
      if (!damaged || i === bases.length - 1) throw error;
      notice(`${error.message} An older one is taken.`);
      await clear();
    }
  }
  throw new RangeError("there is no base to restore");
}

async function namedBase(
  catalogue: SnapshotCatalogue,
  origin: Job,
  partition: number,
  id: string,
  from: ReplayPoint,
): Promise<ShardManifest> {
  const manifest = await catalogue.job(id);
  if (manifest.job !== origin.name)
    throw new TidemarkError("USAGE_INVALID", `${id} is a snapshot of ${manifest.job}, not of ${origin.name}.`);
  const shard = manifest.shards.find((one) => one.shard === partition);
  if (shard === undefined) throw new TidemarkError("SNAPSHOT_MISSING", `${id} has no shard ${partition}.`);
  const base = await catalogue.shard(manifest.job, partition, shard.snapshot);
  if (base.stateFormat !== STATE_FORMAT)
    throw new TidemarkError("SNAPSHOT_FORMAT", `${id} has state of format ${base.stateFormat}, this build reads ${STATE_FORMAT}.`);
  if (from.kind !== "start" && !isBefore(base, from))
    throw new TidemarkError(
      "USAGE_INVALID",
      `${id} stands at ${partition}:${base.last.sequence}.${base.last.index}, which is not before the range.`,
    );
  return base;
}

/** Whether nothing of the range is in it. */
function isBefore({ cursor, processingTime }: ShardManifest, from: ReplayPoint): boolean {
  if (from.kind === "time") return processingTime < from.time;
  if (from.kind !== "position") return false;
  const whole = cursor.index === 0 && cursor.phase === "start";
  return cursor.sequence < from.sequence || (cursor.sequence === from.sequence && whole);
}
