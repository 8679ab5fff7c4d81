/** Where a replay begins or ends, as it is written on the command line. */
import { parsePosition } from "../../../actors/model/position.ts";
import { parseInstant } from "../../../actors/model/time.ts";
import type { ReplayPoint } from "../../../runtime/replay/replay-task.ts";

/** `word`: what stands for the end that the log has by itself, `start` or `end`. Throws TypeError. */
export function readPoint(written: string, word: "start" | "end"): ReplayPoint {
  if (written === word) return { kind: word };
  const position = parsePosition(written);
  // A batch is folded as a whole or not at all.
  if (position !== undefined && position.index === 0)
    return { kind: "position", partition: position.partition, sequence: position.sequence };
  const time = parseInstant(written);
  if (time !== undefined) return { kind: "time", time };
  throw new TypeError(`write "${word}", the position of an entry like 0:42.0, or a log time like 2026-03-01T12:00:00Z`);
}
