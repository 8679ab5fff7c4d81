/** Empties the store of a shard. The meta row goes last: state that is half gone still says what it was of. */
import { META_ROW } from "../../actors/fold/keys.ts";
import { committed, type ShardStore } from "../store/shard-store.ts";

const CHUNK_ROWS = 10_000;

export async function clearState(store: ShardStore): Promise<void> {
  for (;;) {
    const rows = store.scan("\0", "\xff", CHUNK_ROWS).filter(({ key }) => key !== META_ROW);
    if (rows.length === 0) break;
    await committed(
      store,
      rows.map(({ key }) => ({ key, value: null })),
    );
  }
  await committed(store, [{ key: META_ROW, value: null }]);
}
