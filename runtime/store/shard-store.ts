/**
 * The store of one shard: an ordered map of rows, changed only by whole transactions.
 *
 * A key is a binary string: every char is one byte (0-255), so JavaScript's `<` is the byte order of the store.
 * The store knows nothing of what the rows mean. It is a cache of the fold: losing its newest commits, or all
 * of them, costs time and never truth; a half-applied commit must be impossible.
 */
export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface RowChange {
  readonly key: string;
  /** `null` removes the row. */
  readonly value: Uint8Array | null;
}

export interface ShardStore {
  /** The committed value, a copy that stays valid; `undefined` when there is no such row. */
  get(key: string): Uint8Array | undefined;
  /** Up to `limit` committed rows with `from <= key < to`, ascending. */
  scan(from: string, to: string, limit: number): Row[];
  /**
   * Applies all changes in one transaction, or none. `changes` is sorted by key and names each key once; one commit at a
   * time. `done` is called when `get` and `scan` see them, at once or later (the disk is written on another thread), or
   * with what failed. Until then the old rows are read.
   */
  commit(changes: readonly RowChange[], done: (error?: Error) => void): void;
  /** Resolves when every earlier commit is on disk. */
  flushed(): Promise<void>;
  /** Bytes of the data file in use, for the operator's eyes. */
  bytes(): number;
  close(): Promise<void>;
}

/** `commit` as a promise, for callers that have nothing else to do meanwhile. */
export function committed(store: ShardStore, changes: readonly RowChange[]): Promise<void> {
  return new Promise((resolve, reject) => {
    store.commit(changes, (error) => (error === undefined ? resolve() : reject(error)));
  });
}
