/** A moment of the past as it is written on a command line; the node reads it once more. */
import { parsePosition } from "../../../actors/model/position.ts";
import { parseInstant } from "../../../actors/model/time.ts";

/** Throws what to write instead. */
export function readMoment(written: string): string {
  if (parsePosition(written) !== undefined || parseInstant(written) !== undefined) return written;
  throw new TypeError("write a position, like 0:42.0, or a time, like 2026-01-15T12:00:00Z");
}
