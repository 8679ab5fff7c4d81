/**
 * Which of a job and its generations a pump of outputs carries on, partition by partition of the source: what the pump's last
 * messages in the target log say decides, not what anybody remembers.
 *
 *   A: pumping ──▶ (B is followed) up to a place between two entries ──▶ ended, in every target partition
 *   B: waits ─────────────────────────────────────────────────────────────▶ pumping what it made of later entries
 *
 * Each of them is one stretch of the pump's places. It is begun by a message in the first target partition, so that of two who
 * would begin one is refused, and ended by a message in each.
 *
 * Numbers of outputs begin anew with a generation, places do not: a stretch adds to the numbers what they lack. So the fold's
 * rule stays what it is: of a slot whatever is not behind the last place was taken before.
 */
import type { PumpLink, Stretch } from "../../actors/fold/pump-entry.ts";

/** Nothing comes of a stretch any more from the place `next` on; it had carried what the log has up to the entry `entry`. */
export interface StretchEnd {
  readonly next: number;
  readonly entry: number;
}

/** `own`: goes on with its stretch, up to `end` when an ending was cut off. `begin`: behind another's end. */
export type Course =
  | { readonly do: "own"; readonly stretch: Stretch; readonly end: StretchEnd | undefined }
  | { readonly do: "begin"; readonly turn: number; readonly behind: StretchEnd }
  | { readonly do: "rest" };

/** The newest stretch that a pump's messages are of, and its end; it is over when all of the target's partitions have that end. */
export interface Newest {
  readonly stretch: Stretch;
  readonly end: StretchEnd | undefined;
  readonly isOver: boolean;
}

/** `undefined` when the pump has said nothing yet. */
export function newestStretch(links: readonly (PumpLink | undefined)[], origin: string): Newest | undefined {
  const told = links.flatMap((link) => (link === undefined ? [] : [link]));
  if (told.length === 0) return undefined;
  const stretch = told.map((link) => stretchOf(link, origin)).reduce((a, b) => (b.turn > a.turn ? b : a));
  const ofNewest = told.filter((link) => stretchOf(link, origin).turn === stretch.turn);
  const [end, ...others] = ofNewest.flatMap((link) => endOf(link) ?? []);
  // Two nodes may have ended it at two places, or one have carried more than the other ended at: then another end is to be told.
  const isTrue =
    end !== undefined && others.every((other) => isSameEnd(other, end)) && ofNewest.every(({ next }) => next.sequence <= end.next);
  const isOver = isTrue && others.length + 1 === links.length;
  return { stretch, end: isTrue ? end : undefined, isOver };
}

/** `links`: of the target's partitions. `origin`: the job that the pump names; `job`: the one beside whose shard it would run. */
export function courseOf(links: readonly (PumpLink | undefined)[], origin: string, job: string, followed: boolean): Course {
  const newest = newestStretch(links, origin);
  // Whoever declared the pump begins it, also when it is not followed: a generation goes on behind its end.
  if (newest === undefined) return job === origin ? { do: "own", stretch: firstOf(origin), end: undefined } : { do: "rest" };
  const { stretch, end, isOver } = newest;
  if (isOver) return followed ? { do: "begin", turn: stretch.turn + 1, behind: end! } : { do: "rest" };
  // Also when it broke off in the middle of ending: then it ends where it said that it would.
  return stretch.job === job ? { do: "own", stretch, end } : { do: "rest" };
}

/** Whether a link is the last word of a stretch, with that end. */
export function isEndOf(link: PumpLink | undefined, origin: string, { turn }: Stretch, end: StretchEnd | undefined): boolean {
  const told = link && stretchOf(link, origin).turn === turn ? endOf(link) : undefined;
  return told !== undefined && end !== undefined && isSameEnd(told, end);
}

function isSameEnd(a: StretchEnd, b: StretchEnd): boolean {
  return a.next === b.next && a.entry === b.entry;
}

export function firstOf(origin: string): Stretch {
  return { turn: 0, job: origin, offset: 0, behind: 0 };
}

export function stretchOf({ stretch }: PumpLink, origin: string): Stretch {
  return stretch ?? firstOf(origin);
}

function endOf({ next, ended }: PumpLink): StretchEnd | undefined {
  return ended === undefined ? undefined : { next: next.sequence, entry: ended };
}
