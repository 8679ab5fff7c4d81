/** Stores with one bit of one row changed, as a disk would. */
import { readTimerRow, TABLE } from "../../actors/fold/keys.ts";
import { readKey } from "../../actors/model/key.ts";
import type { StoreReader } from "../../runtime/store/lmdb-store.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { Row, ShardStore } from "../../runtime/store/shard-store.ts";

export function allRows(store: Pick<ShardStore, "scan">): Row[] {
  return store.scan("\0", "\xff\xff", Number.MAX_SAFE_INTEGER);
}

export function storeOfRows(rows: readonly Row[]): MemoryStore {
  const store = new MemoryStore();
  store.commit(
    rows.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    () => {},
  );
  return store;
}

/** As a store that can be read at one commit. */
export function readerOf(store: ShardStore): Pick<StoreReader, "atOneCommit"> {
  return {
    atOneCommit: (read) =>
      read({
        get: (key) => store.get(key),
        scan: (from, to, limit) => store.scan(from, to, limit),
        walk: () => allRows(store),
        rowCount: allRows(store).length,
      }),
  };
}

/** `bit`: counted over the key and then the value. */
export function flipped({ key, value }: Row, bit: number): Row {
  const bytes = Buffer.concat([Buffer.from(key, "latin1"), value]);
  const at = bit % (bytes.length * 8);
  bytes[at >> 3]! ^= 1 << (at & 7);
  return { key: bytes.toString("latin1", 0, key.length), value: bytes.subarray(key.length) };
}

/** The key that a row speaks of; `undefined` where its table has none. */
export function keyNamedBy({ key }: Row): string | undefined {
  const table = key[0]!;
  if (table === TABLE.timer) return readKey(readTimerRow(key).token);
  const divided: readonly string[] = [TABLE.key, TABLE.page, TABLE.entry, TABLE.failure, TABLE.held];
  return divided.includes(table) ? readKey(key.slice(3).split("\0")[0]!) : undefined;
}
