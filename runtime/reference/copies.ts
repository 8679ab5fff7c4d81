/**
 * Whether a record has reached every partition: looked up in the partitions' logs, so that any node can answer, also
 * about shards of others.
 */
import { readLink } from "../../actors/fold/reference-entry.ts";
import { referenceSubject } from "../../actors/fold/subject.ts";
import { formatPosition } from "../../actors/model/position.ts";
import type { Clock } from "../clock.ts";
import type { PartitionLog } from "../log/partition-log.ts";

export interface CopiesOptions {
  readonly log: string;
  readonly table: string;
  /** Sequence of the record in `<log>-reference`. */
  readonly source: number;
  /** One for each partition, in order. */
  readonly partitions: readonly Pick<PartitionLog, "lastOn">[];
  readonly clock: Clock;
  /** How long to wait, milliseconds. */
  readonly waitMs: number;
  readonly signal?: AbortSignal;
}

export interface Copies {
  /** Of each partition that has the record a position at or behind its copy: what is folded later has seen it. */
  readonly positions: readonly string[];
  /** Partitions that did not have it in time. */
  readonly missing: readonly number[];
}

const POLL_MS = 10;
const POLL_MAX_MS = 250;

/** Waits until the record is in all partitions, at most `waitMs`. */
export async function awaitCopies(options: CopiesOptions): Promise<Copies> {
  const { log, table, source, partitions, clock, waitMs, signal } = options;
  const giveUpAt = clock.monotonic() + waitMs;
  const positions: string[] = [];
  const missing: number[] = [];
  let poll = POLL_MS;
  for (let partition = 0; partition < partitions.length; ) {
    const last = await partitions[partition]!.lastOn(referenceSubject(log, partition, table));
    if ((readLink(last?.headers)?.source ?? 0) >= source) positions.push(formatPosition(partition, last!.sequence, 0));
    else if (clock.monotonic() < giveUpAt && signal?.aborted !== true) {
      await clock.sleep(Math.min(poll, Math.max(1, giveUpAt - clock.monotonic())));
      poll = Math.min(poll * 2, POLL_MAX_MS);
      continue;
    } else missing.push(partition);
    partition++;
  }
  return { positions, missing };
}
