/**
 * Deletes snapshots that have folded more than is left of the log. A shard that begins from one would halt, and rightly: state must not
 * be ahead of its log. Here it is known why it is, and the log has all that an older snapshot needs.
 */
import type { SnapshotCatalogue } from "../snapshots/catalogue.ts";
import { jobSnapshotBlob, shardManifestBlob } from "../snapshots/manifest.ts";
import type { StreamEnds } from "./stream-ends.ts";

/** Of the jobs' shards. Gives the names of what went. Throws SNAPSHOT_STORE. `streamOf`: of a partition of a log. */
export async function deleteLostSnapshots(
  catalogue: SnapshotCatalogue,
  shards: readonly { readonly job: string; readonly shard: number }[],
  ends: StreamEnds,
  streamOf: (log: string, partition: number) => string,
): Promise<string[]> {
  const lost: { readonly job: string; readonly shard: number; readonly id: string }[] = [];
  for (const { job, shard } of shards) {
    for (const { id, log, last } of await catalogue.ofShard(job, shard)) {
      const end = ends.get(streamOf(log, shard));
      if (end !== undefined && last.sequence > end) lost.push({ job, shard, id });
    }
  }
  const named = (job: string, shard: number, id: string): boolean =>
    lost.some((one) => one.job === job && one.shard === shard && one.id === id);
  // A job's manifest goes before what it names.
  for (const job of new Set(lost.map((one) => one.job))) {
    for (const { id, shards: parts } of await catalogue.ofJob(job))
      if (parts.some(({ shard, snapshot }) => named(job, shard, snapshot))) await catalogue.blobs.delete(jobSnapshotBlob(job, id));
  }
  for (const { job, shard, id } of lost) await catalogue.blobs.delete(shardManifestBlob(job, shard, id));
  return lost.map(({ job, shard, id }) => `${job}/${shard}/${id}`);
}
