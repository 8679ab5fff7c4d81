/**
 * Clears away the snapshots of a job that are kept no longer, and what a death in the middle left behind.
 *
 * A job's manifest goes first, then the shard snapshots that no other one names or stands on, their manifest first: so
 * whatever can be listed is whole, and what a crash left is found again by the next run. What is being written now is
 * named by nobody yet: it is left alone while it is young. What is named no more lingers: a restore may be reading it,
 * and another node may be about to write a delta over it. A manifest that cannot be read names nobody knows what: while
 * there is one, no chunk goes.
 */
import type { BlobStore } from "./blobs/blob-store.ts";
import type { SnapshotCatalogue } from "./catalogue.ts";
import {
  type JobManifest,
  jobSnapshotBlob,
  jobSnapshotsPrefix,
  type ShardManifest,
  shardManifestBlob,
  shardSnapshotsPrefix,
} from "./manifest.ts";
import { outdated } from "./retention.ts";
import { begunAt } from "./shard-snapshot.ts";

export interface GarbageOptions {
  readonly now: number;
  /** How long daily snapshots are kept. */
  readonly keepMs: number;
  /** A shard snapshot that was never named is left alone for so long behind its begin. Default 6 hours. */
  readonly youngMs?: number;
  /** One that is named no more goes so long behind the run that found it so. Default 30 minutes. */
  readonly lingerMs?: number;
}

/** Since when shard snapshots are named no more, by shard and snapshot: the memory of who clears. */
export type Lingering = Map<string, number>;

export interface Cleared {
  readonly snapshots: number;
  readonly blobs: number;
}

const YOUNG_MS = 6 * 60 * 60 * 1000;
const LINGER_MS = 30 * 60 * 1000;

/** Throws SNAPSHOT_STORE. */
export async function clearGarbage(
  catalogue: SnapshotCatalogue,
  job: string,
  options: GarbageOptions,
  lingering: Lingering = new Map(),
): Promise<Cleared> {
  const { blobs } = catalogue;
  let unreadable = 0;
  const all = await catalogue.ofJob(job, () => unreadable++);
  const gone = new Set(outdated(all, options.now, options.keepMs));
  for (const id of gone) await blobs.delete(jobSnapshotBlob(job, id));
  if (unreadable > 0) return { snapshots: gone.size, blobs: gone.size };
  const kept = all.filter(({ id }) => !gone.has(id));
  let cleared = gone.size;
  const shards = new Set(all.flatMap((manifest) => manifest.shards.map(({ shard }) => shard)));
  for (const shard of shards) {
    const dropped = all.filter(({ id }) => gone.has(id));
    for (const snapshot of namedBy(dropped, shard)) {
      const name = nameOf(job, shard, snapshot);
      if (!lingering.has(name)) lingering.set(name, options.now);
    }
    cleared += await clearShard(catalogue, job, shard, kept, lingering, options);
  }
  return { snapshots: gone.size, blobs: cleared };
}

/** Every blob of a job: its snapshots' manifests first, then those of its shards, then what they named. */
export async function deleteAll(blobs: BlobStore, job: string): Promise<void> {
  const rank = (name: string): number => (name.startsWith(jobSnapshotsPrefix(job)) ? 0 : name.endsWith("/manifest") ? 1 : 2);
  const names = (await blobs.list(`${job}/`)).map(({ name }) => name).sort((a, b) => rank(a) - rank(b));
  for (const name of names) await blobs.delete(name);
}

async function clearShard(
  catalogue: SnapshotCatalogue,
  job: string,
  shard: number,
  kept: readonly JobManifest[],
  lingering: Lingering,
  { now, youngMs = YOUNG_MS, lingerMs = LINGER_MS }: GarbageOptions,
): Promise<number> {
  const { blobs } = catalogue;
  let unreadable = 0;
  const manifests = await catalogue.ofShard(job, shard, () => unreadable++);
  if (unreadable > 0) return 0;
  const needed = neededSnapshots(manifests, kept, shard);
  const prefix = shardSnapshotsPrefix(job, shard);
  const groups = new Map<string, string[]>();
  for (const { name } of await blobs.list(prefix)) {
    const snapshot = name.slice(prefix.length).split("/")[0]!;
    groups.set(snapshot, [...(groups.get(snapshot) ?? []), name]);
  }
  let cleared = 0;
  for (const [snapshot, names] of groups) {
    const begun = begunAt(snapshot);
    const known = nameOf(job, shard, snapshot);
    if (needed.has(snapshot)) {
      lingering.delete(known);
      continue;
    }
    const since = lingering.get(known);
    const isOver = since === undefined ? begun !== undefined && begun <= now - youngMs : since <= now - lingerMs;
    if (!isOver) continue;
    lingering.delete(known);
    const manifest = shardManifestBlob(job, shard, snapshot);
    for (const name of [...names].sort((a, b) => Number(b === manifest) - Number(a === manifest))) {
      await blobs.delete(name);
      cleared++;
    }
  }
  return cleared;
}

/** Those that kept snapshots of the job name, those that these stand on, and the newest one, on which the next may stand. */
function neededSnapshots(manifests: readonly ShardManifest[], kept: readonly JobManifest[], shard: number): ReadonlySet<string> {
  const named = namedBy(kept, shard);
  if (manifests[0] !== undefined) named.add(manifests[0].id);
  const needed = new Set(named);
  for (const { id, parts } of manifests) if (named.has(id)) for (const { snapshot } of parts) needed.add(snapshot);
  return needed;
}

function namedBy(snapshots: readonly JobManifest[], shard: number): Set<string> {
  return new Set(snapshots.flatMap(({ shards }) => shards.filter((one) => one.shard === shard).map(({ snapshot }) => snapshot)));
}

function nameOf(job: string, shard: number, snapshot: string): string {
  return `${job}/${shard}/${snapshot}`;
}
