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

/** The build that some partition still ends with; `undefined` when all end with `next`, or have not begun. */
export function inForce(lists: readonly EpochList[], next: CodeIdentity): CodeIdentity | undefined {
  return lists.map((list) => list.at(-1)).find((newest) => newest !== undefined && !sameCode(newest, next));
}

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
 * `own`, with the same history before as far as their logs reach back: each may be trimmed to another place, and a trim writes an
 * epoch again. `undefined` when there is nothing to finish.
 */
export function cutOffHandOver(lists: readonly EpochList[], own: CodeIdentity): CodeIdentity | undefined {
  let next: CodeIdentity | undefined;
  const befores: EpochList[] = [];
  const behind: CodeIdentity[] = [];
  for (const list of lists.map(withoutRepeats)) {
    const last = list.at(-1);
    if (last === undefined) return undefined;
    const before = sameCode(last, own) ? list : list.slice(0, -1);
    if (before.length > 0 && !sameCode(before.at(-1)!, own)) return undefined;
    befores.push(before);
    if (before === list) continue;
    behind.push(last);
    // One that was trimmed to its last epoch does not say what that followed: another partition has to.
    if (before.length > 0) next ??= last;
  }
  if (next === undefined || behind.some((last) => !sameCode(last, next))) return undefined;
  const longest = befores.reduce((most, before) => (before.length > most.length ? before : most));
  const isEndOf = (before: EpochList): boolean => before.every((epoch, i) => sameCode(epoch, longest[longest.length - before.length + i]!));
  if (!befores.every(isEndOf)) return undefined;
  // One that ends sooner may have been trimmed, or be where the longer ones were when they handed over to the same build before.
  const isSure = befores.every(({ length }) => length === longest.length) || !longest.some((epoch) => sameCode(epoch, next));
  return isSure ? next : undefined;
}

function withoutRepeats(list: EpochList): EpochList {
  return list.filter((epoch, i) => i === 0 || !sameCode(epoch, list[i - 1]!));
}
