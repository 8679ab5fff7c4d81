/** From where on a shard's entries can be folded, by what its log still has and by the snapshots. */
import type { ShardManifest } from "../snapshots/manifest.ts";

export interface HistoryStart {
  /** The first entry that can be folded as a whole. */
  readonly sequence: number;
  /** That it is where the history began: nothing lies before. */
  readonly whole: boolean;
}

/** The earliest start; `snapshots` are newest first. `undefined` when nothing leads on from what the log still has. */
export function startOf(root: number | undefined, firstStored: number, snapshots: readonly ShardManifest[]): HistoryStart | undefined {
  if (root !== undefined && root >= firstStored) return { sequence: root, whole: true };
  const oldest = snapshots.findLast(({ cursor }) => cursor.sequence >= firstStored);
  if (oldest === undefined) return undefined;
  const { sequence, index, phase } = oldest.cursor;
  return { sequence: index > 0 || phase === "timers" ? sequence + 1 : sequence, whole: false };
}
