/** The state of a job's snapshot put up as a data directory has it, for a dry run: nothing of it is folded. */
import { join } from "node:path";
import type { SnapshotCatalogue } from "../snapshots/catalogue.ts";
import { storedBytes } from "../snapshots/manifest.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";

/** `folder`: empty. Throws SNAPSHOT_MISSING, SNAPSHOT_DAMAGED, SNAPSHOT_FORMAT, SNAPSHOT_KEY_MISSING or SNAPSHOT_STORE. */
export async function restoreForTrial(
  catalogue: SnapshotCatalogue,
  id: string,
  folder: string,
  progress: (doneBytes: number, totalBytes: number) => void,
): Promise<void> {
  const shards = await catalogue.shardsOf(await catalogue.job(id));
  const total = shards.reduce((sum, shard) => sum + storedBytes(shard), 0);
  let before = 0;
  for (const shard of shards) {
    const store = openLmdbStore(join(folder, "shards", `${shard.job}-${shard.shard}`));
    try {
      await catalogue.restore(shard, store, { progress: (done) => progress(before + done, total) });
    } finally {
      await store.close();
    }
    before += storedBytes(shard);
  }
}
