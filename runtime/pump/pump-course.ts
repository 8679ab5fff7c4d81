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

/** `links`: of the target's partitions. `origin`: the job that the pump names; `job`: the one beside whose shard it would run. */
export function courseOf(links: readonly (PumpLink | undefined)[], origin: string, job: string, followed: boolean): Course {
  const told = links.flatMap((link) => (link === undefined ? [] : [{ end: endOf(link), stretch: stretchOf(link, origin) }]));
  // Whoever declared the pump begins it, also when it is not followed: a generation goes on behind its end.
  if (told.length === 0) return job === origin ? { do: "own", stretch: firstOf(origin), end: undefined } : { do: "rest" };
  const newest = told.reduce((a, b) => (b.stretch.turn > a.stretch.turn ? b : a)).stretch;
  const ofNewest = told.filter(({ stretch }) => stretch.turn === newest.turn);
  const end = ofNewest.find((one) => one.end !== undefined)?.end;
  const isOver = ofNewest.length === links.length && ofNewest.every((one) => one.end !== undefined);
  if (isOver) return followed ? { do: "begin", turn: newest.turn + 1, behind: end! } : { do: "rest" };
  // Also when it broke off in the middle of ending: then it ends where it said that it would.
  return newest.job === job ? { do: "own", stretch: newest, end } : { do: "rest" };
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
