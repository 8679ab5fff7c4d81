/** The state in a shard's folder while nobody folds it: emptied, or replaced by a snapshot's. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type Epoch, readMeta } from "../../actors/fold/meta.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { ReadOptions, SnapshotSource } from "../snapshots/snapshot-source.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import type { ShardStore } from "../store/shard-store.ts";
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

/** In force where its fold goes on; `undefined` when there is no state. */
export function epochOfState(store: ShardStore): Epoch | undefined {
  const row = store.get(META_ROW);
  return row === undefined ? undefined : readMeta(row)?.epoch;
}
