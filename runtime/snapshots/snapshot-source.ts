/**
 * Snapshots as those see them who fold from one: restore, time travel, verification, replay. One look at the stores:
 * whoever needs the newest asks again.
 */
import type { ShardStore } from "../store/shard-store.ts";
import type { ShardManifest } from "./manifest.ts";

export interface ReadOptions {
  readonly progress?: (doneBytes: number, totalBytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface SnapshotSource {
  /**
   * Shard snapshots of a shard, newest position first. A manifest that cannot be read is left out and told to `damaged`.
   * Throws SNAPSHOT_STORE.
   */
  ofShard(job: string, shard: number, damaged?: (name: string, error: Error) => void): Promise<readonly ShardManifest[]>;
  /**
   * Puts the rows of a snapshot into an empty store, checks every chunk and in the end the state hash, and resolves when
   * they are on disk. Throws SNAPSHOT_DAMAGED, SNAPSHOT_MISSING or SNAPSHOT_STORE, and leaves in the store what it likes:
   * the caller clears it.
   */
  restore(manifest: ShardManifest, store: ShardStore, options?: ReadOptions): Promise<void>;
}

/** Where there are none. */
export const NO_SNAPSHOTS: SnapshotSource = {
  ofShard: async () => [],
  restore: async () => {
    throw new RangeError("there are no snapshots");
  },
};
