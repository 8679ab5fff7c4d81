/** The state in a shard's folder while nobody folds it: emptied, or replaced by a snapshot's. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { ReadOptions, SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import { forgetState } from "./clear-state.ts";

/** In the folder, beside the environment. */
export const CRASH_MARK = "crash-mark";

export async function forgetFolder(folder: string): Promise<void> {
  const store = openLmdbStore(folder);
  await forgetState(store).finally(() => store.close());
  rmSync(join(folder, CRASH_MARK), { force: true });
}

/** When it fails, or the process dies on the way, there is no state. Throws as {@link SnapshotSource.restore}. */
export async function restoreFolder(folder: string, source: SnapshotSource, manifest: ShardManifest, options: ReadOptions): Promise<void> {
  const store = openLmdbStore(folder);
  try {
    await forgetState(store);
    await source.restore(manifest, store, options);
  } finally {
    await store.close();
  }
}
