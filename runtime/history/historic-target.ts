/**
 * A moment of the past, as a question names it, and what may be folded on the way to it; all of it pure.
 *
 * - a position: that event was applied, the timers due before it have fired;
 * - log time T: behind the last entry before the first one whose log time exceeds T. Log times may step back; that entry
 *   is the first whose running maximum exceeds T, whatever comes behind it;
 * - event time T: the first position at which the watermark has reached T.
 */
import type { Cursor, Meta } from "../../actors/fold/meta.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";

export type HistoricTarget =
  | { readonly kind: "position"; readonly sequence: number; readonly index: number }
  | { readonly kind: "log-time"; readonly time: number }
  | { readonly kind: "event-time"; readonly time: number };

/** Where a fold stands: what a snapshot says of itself, and what a committed state does. */
export interface HistoricPlace {
  readonly cursor: Cursor;
  readonly last: { readonly sequence: number; readonly index: number };
  readonly watermark: number | undefined;
  readonly processingTime: number;
}

/** The last event that is in a state at rest. */
export function lastFolded({ cursor, last }: Pick<Meta, "cursor" | "last">): { readonly sequence: number; readonly index: number } {
  return cursor.index > 0 ? { sequence: cursor.sequence, index: cursor.index - 1 } : last;
}

/** Whether a cursor has left an event behind it. */
export function isBehind(cursor: Cursor, { sequence, index }: { readonly sequence: number; readonly index: number }): boolean {
  return cursor.sequence > sequence || (cursor.sequence === sequence && cursor.index > index);
}

/** Whether a fold that stands there can go on to the target: it has not passed it. */
export function leadsTo(place: HistoricPlace, target: HistoricTarget): boolean {
  if (target.kind === "log-time") return place.processingTime <= target.time;
  if (target.kind === "event-time") return place.watermark === undefined || place.watermark < target.time;
  // Among the timers of an event it is past whatever comes before that one.
  const { sequence, index } = place.cursor.phase === "timers" ? place.cursor : lastFolded(place);
  return sequence < target.sequence || (sequence === target.sequence && index <= target.index);
}

/** Whether a fold that stands there has nothing to fold. Of times only a fold can say. */
export function isAt(place: HistoricPlace, target: HistoricTarget): boolean {
  return target.kind === "position" && leadsTo(place, target) && isBehind(place.cursor, target);
}

export function nameOfTarget(target: HistoricTarget, partition: number): string {
  if (target.kind === "position") return formatPosition(partition, target.sequence, target.index);
  return target.kind === "log-time" ? formatInstant(target.time) : `event time ${formatInstant(target.time)}`;
}
