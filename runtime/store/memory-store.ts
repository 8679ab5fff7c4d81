/**
 * The store of one shard in memory: the twin of the LMDB store, as strict, for tests, simulation and the test kit.
 *
 * Rows lie in runs: sorted arrays of at most 512 rows, found by binary search. A sorted commit touches each run
 * once, and a million rows need no rebalancing. Values are copied in and out, as a disk would.
 */
import assert from "node:assert/strict";
import { checkRowChanges, checkRowKey } from "./row-changes.ts";
import type { Row, RowChange, ShardStore } from "./shard-store.ts";

const RUN_ROWS_MAX = 512;

interface Run {
  keys: string[];
  values: Uint8Array[];
}

export class MemoryStore implements ShardStore {
  /** Ascending; no run is empty, except a single first one. */
  #runs: Run[] = [{ keys: [], values: [] }];
  #bytes = 0;
  #closed = false;

  get(key: string): Uint8Array | undefined {
    this.#checkOpen();
    checkRowKey(key);
    const run = this.#runs[this.#runOf(key)]!;
    const at = lowerBound(run.keys, key);
    return run.keys[at] === key ? copyOf(run.values[at]!) : undefined;
  }

  scan(from: string, to: string, limit: number): Row[] {
    this.#checkOpen();
    const rows: Row[] = [];
    if (from >= to) return rows;
    for (let r = this.#runOf(from); r < this.#runs.length; r++) {
      const { keys, values } = this.#runs[r]!;
      for (let i = lowerBound(keys, from); i < keys.length; i++) {
        const key = keys[i]!;
        if (key >= to || rows.length >= limit) return rows;
        rows.push({ key, value: copyOf(values[i]!) });
      }
    }
    return rows;
  }

  commit(changes: readonly RowChange[], done: (error?: Error) => void): void {
    this.#checkOpen();
    checkRowChanges(changes);
    const next: Run[] = [];
    let change = 0;
    let untouched = 0;
    while (change < changes.length) {
      const r = this.#runOf(changes[change]!.key);
      for (; untouched < r; untouched++) next.push(this.#runs[untouched]!);
      const end = this.#runs[r + 1]?.keys[0];
      const first = change;
      while (change < changes.length && (end === undefined || changes[change]!.key < end)) change++;
      this.#pushRuns(next, this.#merge(this.#runs[r]!, changes, first, change));
      untouched = r + 1;
    }
    for (; untouched < this.#runs.length; untouched++) next.push(this.#runs[untouched]!);
    this.#runs = next.length === 0 ? [{ keys: [], values: [] }] : next;
    done();
  }

  async flushed(): Promise<void> {
    this.#checkOpen();
  }

  bytes(): number {
    return this.#bytes;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #merge(run: Run, changes: readonly RowChange[], from: number, to: number): Run {
    const keys: string[] = [];
    const values: Uint8Array[] = [];
    let old = 0;
    for (let c = from; c < to; c++) {
      const { key, value } = changes[c]!;
      const at = lowerBound(run.keys, key);
      for (; old < at; old++) {
        keys.push(run.keys[old]!);
        values.push(run.values[old]!);
      }
      if (run.keys[old] === key) {
        this.#bytes -= key.length + run.values[old]!.length;
        old++;
      }
      if (value === null) continue;
      keys.push(key);
      values.push(copyOf(value));
      this.#bytes += key.length + value.length;
    }
    for (; old < run.keys.length; old++) {
      keys.push(run.keys[old]!);
      values.push(run.values[old]!);
    }
    return { keys, values };
  }

  #pushRuns(runs: Run[], merged: Run): void {
    const count = merged.keys.length;
    if (count > 0 && count <= RUN_ROWS_MAX) runs.push(merged);
    if (count <= RUN_ROWS_MAX) return;
    // Half-full pieces leave room, so that the next commit does not split them again.
    for (let i = 0; i < count; i += RUN_ROWS_MAX / 2) {
      runs.push({ keys: merged.keys.slice(i, i + RUN_ROWS_MAX / 2), values: merged.values.slice(i, i + RUN_ROWS_MAX / 2) });
    }
  }

  /** Index of the run that holds `key` or would: the last one that starts at or before it. */
  #runOf(key: string): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#runs[middle]!.keys[0]! <= key) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  #checkOpen(): void {
    assert(!this.#closed, "the store is closed");
  }
}

/** Index of the first of the sorted `keys` that is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Not `slice`: a Buffer's slice shares its bytes. */
function copyOf(value: Uint8Array): Uint8Array {
  return new Uint8Array(value);
}
