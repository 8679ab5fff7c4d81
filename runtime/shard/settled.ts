/**
 * Waits until a shard has committed what it has folded now, does not run any more, or has other cares: one whose outputs cannot be
 * stored does not commit for as long. It asks for nothing: groups are sealed as ever.
 */
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { Shard } from "./shard.ts";

const LOOK_MS = 20;
const WAIT_MS = 10_000;

export async function settled(shard: Shard): Promise<void> {
  const { sequence, index } = shard.fold.meta.cursor;
  const isCommitted = (): boolean => {
    const row = shard.parts.store.get(META_ROW);
    const at = row === undefined ? undefined : readMeta(row)?.cursor;
    return at !== undefined && (at.sequence > sequence || (at.sequence === sequence && at.index >= index));
  };
  const { clock } = shard.parts;
  const until = clock.monotonic() + WAIT_MS;
  while (shard.status === "running" && !isCommitted() && clock.monotonic() < until) await clock.sleep(LOOK_MS);
}
