/**
 * Which snapshots of a job are kept: a pure plan.
 *
 * The last three; of each hour of the last day the newest; of each day, for the time set, the newest; one at each epoch
 * and what a generation stands on; and those that somebody asked for, for the time set. Everything else may go.
 */
import type { JobManifest } from "./manifest.ts";

export type KeptSnapshot = Pick<JobManifest, "id" | "takenAt" | "reason">;

export const LAST_KEPT = 3;
const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;

/** Ids of those that may be deleted, the oldest first. `keepMs`: how long daily ones are kept. */
export function outdated(snapshots: readonly KeptSnapshot[], now: number, keepMs: number): readonly string[] {
  const newestFirst = [...snapshots].sort((a, b) => b.takenAt - a.takenAt || (a.id < b.id ? 1 : -1));
  const kept = new Set(newestFirst.slice(0, LAST_KEPT).map(({ id }) => id));
  newestOfEach(newestFirst, HOUR_MS, now - DAY_MS, kept);
  newestOfEach(newestFirst, DAY_MS, now - keepMs, kept);
  for (const { id, takenAt, reason } of newestFirst) {
    if (reason === "epoch" || reason === "generation" || (reason === "request" && takenAt >= now - keepMs)) kept.add(id);
  }
  return newestFirst
    .map(({ id }) => id)
    .filter((id) => !kept.has(id))
    .reverse();
}

/** Adds the newest of each span of time that is not over since `from`. */
function newestOfEach(newestFirst: readonly KeptSnapshot[], spanMs: number, from: number, kept: Set<string>): void {
  const spans = new Set<number>();
  for (const { id, takenAt } of newestFirst) {
    const span = Math.floor(takenAt / spanMs);
    if (takenAt < from || spans.has(span)) continue;
    spans.add(span);
    kept.add(id);
  }
}
