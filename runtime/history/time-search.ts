/**
 * About where in a log a log time lies: a binary search over sequences. Log times may step back, so what it finds is an
 * entry later than the time, and never before the first such one; the fold that goes there finds that one exactly.
 */
import type { PartitionLog } from "../log/partition-log.ts";

/** A sequence from `from` on with a log time beyond `time`, or `end` when the search found none before it. */
export async function sequenceAfter(log: Pick<PartitionLog, "firstOn">, time: number, from: number, end: number): Promise<number> {
  let low = from;
  let high = end;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    // Messages may have been erased one by one: the next one answers for them.
    const entry = await log.firstOn(">", middle);
    if (entry === undefined || entry.sequence >= high || entry.logTime > time) high = middle;
    else low = entry.sequence + 1;
  }
  return low;
}
