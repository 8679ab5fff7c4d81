/**
 * What snapshots there are, and their rows. It reads manifests each time it is asked: other nodes write them too.
 * What cannot be read is told of and left out, so that one damaged snapshot never hides the others.
 */
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { ShardStore } from "../store/shard-store.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Seal } from "./chunk-writer.ts";
import {
  type JobManifest,
  jobSnapshotBlob,
  jobSnapshotsPrefix,
  readManifest,
  type ShardManifest,
  shardManifestBlob,
  shardSnapshotsPrefix,
} from "./manifest.ts";
import { RowReader } from "./row-reader.ts";
import type { ReadOptions, SnapshotSource } from "./snapshot-source.ts";

/** Told of a blob that cannot be read, and why. */
export type Damaged = (name: string, error: Error) => void;

const UNREADABLE = ["SNAPSHOT_DAMAGED", "SNAPSHOT_FORMAT", "SNAPSHOT_KEY_MISSING"] as const;
const READS_AT_A_TIME = 8;

export class SnapshotCatalogue implements SnapshotSource {
  readonly blobs: BlobStore;
  readonly #seal: Seal;

  constructor(blobs: BlobStore, seal: Seal) {
    this.blobs = blobs;
    this.#seal = seal;
  }

  async ofShard(job: string, shard: number, damaged: Damaged = () => {}): Promise<readonly ShardManifest[]> {
    const found = await this.blobs.list(shardSnapshotsPrefix(job, shard));
    const names = found.map(({ name }) => name).filter((name) => name.endsWith("/manifest"));
    const manifests = await this.#readAll("shard", names, damaged);
    return manifests.sort((a, b) => byPosition(b, a));
  }

  /** Job snapshots of a job, the newest first. */
  async ofJob(job: string, damaged: Damaged = () => {}): Promise<readonly JobManifest[]> {
    const found = await this.blobs.list(jobSnapshotsPrefix(job));
    const manifests = await this.#readAll(
      "job",
      found.map(({ name }) => name),
      damaged,
    );
    return manifests.sort((a, b) => b.takenAt - a.takenAt || (a.id < b.id ? 1 : -1));
  }

  /** Throws SNAPSHOT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_FORMAT or SNAPSHOT_STORE. */
  async job(id: string): Promise<JobManifest> {
    const job = jobOfId(id);
    const name = job === undefined ? undefined : jobSnapshotBlob(job, id);
    const bytes = name === undefined ? undefined : await this.blobs.get(name);
    if (name === undefined || bytes === undefined) throw new TidemarkError("SNAPSHOT_MISSING", `There is no snapshot "${id}".`);
    return readManifest("job", name, this.#seal.open(bytes, name));
  }

  /** Throws as {@link SnapshotCatalogue.job} does. */
  async shard(job: string, shard: number, snapshot: string): Promise<ShardManifest> {
    const name = shardManifestBlob(job, shard, snapshot);
    const bytes = await this.blobs.get(name);
    if (bytes === undefined) throw new TidemarkError("SNAPSHOT_MISSING", `The manifest ${name} is gone.`);
    return readManifest("shard", name, this.#seal.open(bytes, name));
  }

  /** The shard snapshots that a job snapshot names. Throws as {@link SnapshotCatalogue.job} does. */
  async shardsOf({ job, shards }: JobManifest): Promise<readonly ShardManifest[]> {
    const manifests: ShardManifest[] = [];
    for (const { shard, snapshot } of shards) manifests.push(await this.shard(job, shard, snapshot));
    return manifests;
  }

  async restore(manifest: ShardManifest, store: ShardStore, options: ReadOptions = {}): Promise<void> {
    await new RowReader(this.blobs, this.#seal, manifest).restore(store, options);
  }

  async #readAll<K extends "shard" | "job">(kind: K, names: readonly string[], damaged: Damaged) {
    const read: ReturnType<typeof readManifest<K>>[] = [];
    for (let at = 0; at < names.length; at += READS_AT_A_TIME) {
      const some = names.slice(at, at + READS_AT_A_TIME).map(async (name) => {
        try {
          const bytes = await this.blobs.get(name);
          // Deleted since it was listed.
          if (bytes !== undefined) read.push(readManifest(kind, name, this.#seal.open(bytes, name)));
        } catch (error) {
          if (!UNREADABLE.some((code) => isTidemarkError(error, code))) throw error;
          damaged(name, error as TidemarkError);
        }
      });
      await Promise.all(some);
    }
    return read;
  }
}

/** By where a fold of them goes on; of one place the later one is the greater. */
export function byPosition(a: ShardManifest, b: ShardManifest): number {
  return a.cursor.sequence - b.cursor.sequence || a.cursor.index - b.cursor.index || a.outputs - b.outputs || a.takenAt - b.takenAt;
}

const ID = /^(?<job>[a-z][a-z0-9-]*)\.\d{8}T\d{9}Z[a-z]?$/;

/** The job of a job snapshot's id; `undefined` when it is none. */
export function jobOfId(id: string): string | undefined {
  return ID.exec(id)?.groups?.job;
}
