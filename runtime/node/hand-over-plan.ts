/**
 * What a hand-over of a job asks of its partitions: a pure plan over the epochs that stand in the log.
 *
 * A job hands over to one build at a time. An epoch entry cannot be taken back, so a hand-over that reached some of the
 * partitions is finished, never undone: the old build does that by itself when it is started again.
 */
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import { TidemarkError } from "../errors.ts";
import { codeOf } from "../shard/epochs.ts";

/** Identities of one partition's epochs from the root on, oldest first. */
export type EpochList = readonly CodeIdentity[];

/** Throws CODE_UNAVAILABLE when the log of a partition hands over to a third build, CODE_VERSION_UNCHANGED when `next` hides a change. */
export function checkHandOver(job: string, lists: readonly EpochList[], own: CodeIdentity, next: CodeIdentity): void {
  if (own.version === next.version && own.codeHash !== next.codeHash)
    throw new TidemarkError("CODE_VERSION_UNCHANGED", `${job}: ${codeOf(own)} runs, ${codeOf(next)} is to follow.`);
  for (const [partition, list] of lists.entries()) {
    const newest = list.at(-1);
    if (newest === undefined || sameCode(newest, own) || sameCode(newest, next)) continue;
    throw new TidemarkError(
      "CODE_UNAVAILABLE",
      `${job}, partition ${partition}: the log hands over to ${codeOf(newest)} already, not to ${codeOf(next)}; that build has to run before another can follow it.`,
    );
  }
}

/**
 * The build to which `own` was handing over when it was cut off: some partitions name it behind `own`, and all others still end with
 * `own`, with the same history before. `undefined` when there is nothing to finish.
 */
export function cutOffHandOver(lists: readonly EpochList[], own: CodeIdentity): CodeIdentity | undefined {
  const [shortest] = [...lists].sort((a, b) => a.length - b.length);
  if (shortest === undefined || shortest.length === 0) return undefined;
  // Where every partition has the entry, what is before it may still have to be folded.
  const common = sameCode(shortest.at(-1)!, own) ? shortest : shortest.slice(0, -1);
  if (common.length === 0 || !sameCode(common.at(-1)!, own)) return undefined;
  let next: CodeIdentity | undefined;
  for (const list of lists) {
    if (list.length > common.length + 1 || !common.every((epoch, i) => sameCode(epoch, list[i]!))) return undefined;
    const last = list[common.length];
    if (last === undefined) continue;
    if (next !== undefined && !sameCode(next, last)) return undefined;
    next = last;
  }
  return next;
}
