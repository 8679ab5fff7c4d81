/**
 * What a store accepts, the same for every implementation: binary string keys of 1 to 1,978 bytes (the page size
 * of LMDB sets the bound), sorted, each once. A violation is a bug of the caller and is found before anything is written.
 */
import assert from "node:assert/strict";
import type { RowChange } from "./shard-store.ts";

export const ROW_KEY_MAX_BYTES = 1978;

// A char above 0xff would be cut to its low byte without a word and name another row.
const BEYOND_ONE_BYTE = /[^\0-\xff]/;

export function checkRowKey(key: string): void {
  assert(key.length > 0 && key.length <= ROW_KEY_MAX_BYTES, `a row key has 1 to ${ROW_KEY_MAX_BYTES} bytes, not ${key.length}`);
  assert(!BEYOND_ONE_BYTE.test(key), "every char of a row key is one byte");
}

export function checkRowChanges(changes: readonly RowChange[]): void {
  let previous = "";
  for (const { key } of changes) {
    checkRowKey(key);
    assert(key > previous, "changes are sorted by key and name each key once");
    previous = key;
  }
}
