/**
 * What the fold reads: one message of a partition, as the server stored it.
 */
export interface LogEntry {
  /** Sequence in the partition's stream, from 1. */
  readonly sequence: number;
  /** The server's timestamp, whole milliseconds since the epoch. Not monotone: a new leader's clock may be behind. */
  readonly logTime: number;
  readonly subject: string;
  /** Header names in lower case; the last value wins. Absent when the message has none. */
  readonly headers: ReadonlyMap<string, string> | undefined;
  readonly payload: Uint8Array;
}
