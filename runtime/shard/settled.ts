/** Waits until a shard has committed what it has folded now, or does not run any more. It asks for nothing: groups are sealed as ever. */
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import type { Shard } from "./shard.ts";

const LOOK_MS = 20;

export async function settled(shard: Shard): Promise<void> {
  const { sequence, index } = shard.fold.meta.cursor;
  const isCommitted = (): boolean => {
    const row = shard.parts.store.get(META_ROW);
    const at = row === undefined ? undefined : readMeta(row)?.cursor;
    return at !== undefined && (at.sequence > sequence || (at.sequence === sequence && at.index >= index));
  };
  while (shard.status === "running" && !isCommitted()) await shard.parts.clock.sleep(LOOK_MS);
}
