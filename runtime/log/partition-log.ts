/**
 * One partition of a log, as the shard sees it: a totally ordered sequence of entries.
 * Implemented by JetStream (`nats-partition-log.ts`) and in memory (`memory-partition-log.ts`); one contract test holds both.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";

export interface LogBounds {
  /** First sequence still stored (last + 1 when empty). */
  readonly firstSequence: number;
  /** Last sequence ever given; 0 when nothing was appended. */
  readonly lastSequence: number;
}

export interface AppendOptions {
  readonly headers?: ReadonlyMap<string, string>;
  /** Refuse with `LOG_CONFLICT` unless the subject's last message has this sequence (0: none). */
  readonly expectedLastSubjectSequence?: number;
}

export interface PartitionLog {
  readonly stream: string;
  /** Asked of the stream's leader: never stale. */
  bounds(): Promise<LogBounds>;
  /** Appends one acknowledged message; may be stored twice when the acknowledgement is lost and the caller tries again. */
  append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number>;
  /** The first message on `subject` at or after `fromSequence`, through the leader. */
  firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined>;
  /** The last message on `subject`, through the leader. */
  lastOn(subject: string): Promise<LogEntry | undefined>;
  /** Reads in order from `fromSequence` on. Fails with `LOG_TRIMMED` when that sequence is no longer stored but once was. */
  read(fromSequence: number): LogReader;
}

/**
 * An ordered, gapless, bounded read of a partition. What was pulled and not yet taken is bounded in bytes;
 * a reader that nobody takes from stops pulling.
 */
export interface LogReader {
  /** Up to `maxEntries` entries that have arrived, in order; empty when none has. Never waits. Throws the reader's failure. */
  take(maxEntries: number): LogEntry[];
  /** Resolves when `take` would give something or throw, or after `timeoutMs`. */
  readable(timeoutMs: number): Promise<void>;
  /** Entries known to be waiting behind the last one taken: an estimate for choosing commit groups and for `lag`. */
  backlog(): number;
  close(): Promise<void>;
}
