/** Empties the store of a shard. What a death in the middle leaves depends on when the meta row goes, for that says what the rest is. */
import { META_ROW } from "../../actors/fold/keys.ts";
import { committed, type ShardStore } from "../store/shard-store.ts";

const CHUNK_ROWS = 10_000;

/** The meta row goes last: state of a void history that is half gone still names that history. */
export async function clearState(store: ShardStore): Promise<void> {
  await clearRows(store);
  await committed(store, [{ key: META_ROW, value: null }]);
}

/** The meta row goes first: state that is half gone is none, and is restored. */
export async function forgetState(store: ShardStore): Promise<void> {
  await committed(store, [{ key: META_ROW, value: null }]);
  await clearRows(store);
}

async function clearRows(store: ShardStore): Promise<void> {
  for (;;) {
    const rows = store.scan("\0", "\xff", CHUNK_ROWS).filter(({ key }) => key !== META_ROW);
    if (rows.length === 0) return;
    await committed(
      store,
      rows.map(({ key }) => ({ key, value: null })),
    );
  }
}
