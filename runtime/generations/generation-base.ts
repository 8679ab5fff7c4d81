/**
 * Writes the state with which a shard of a generation begins as its own snapshot: the origin's rows at the place, with
 * the generation's meta row. Done in the keeper's thread. A snapshot of its own, whole, so that nothing that becomes of
 * the origin's can touch it.
 */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HASH_ROW, META_ROW } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import type { SnapshotCatalogue } from "../snapshots/catalogue.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import { type WriteOptions, writeBase } from "../snapshots/shard-snapshot.ts";
import { openLmdbStore } from "../store/lmdb-store.ts";
import { committed, type Row, type ShardStore } from "../store/shard-store.ts";
import { beginningState } from "./beginning-state.ts";
import type { BaseRequest } from "./generation-begin.ts";

const SCAN_ROWS = 4_096;

export interface BaseOptions extends WriteOptions {
  readonly catalogue: SnapshotCatalogue;
  /** A folder of the thread's own. */
  readonly scratch: string;
}

/** Throws SNAPSHOT_DAMAGED, SNAPSHOT_MISSING, SNAPSHOT_STORE or STATE_FORMAT. */
export async function writeGenerationBase(request: BaseRequest, options: BaseOptions): Promise<ShardManifest> {
  const { source, shard, snapshot, root } = request;
  const folder = source.kind === "folder" ? source.folder : join(options.scratch, `begin-${shard.job}-${shard.shard}`);
  if (source.kind === "snapshot") rmSync(folder, { recursive: true, force: true });
  else if (!existsSync(folder)) throw new Error(`there is no state in ${folder}`);
  const store = openLmdbStore(folder);
  try {
    if (source.kind === "snapshot") await options.catalogue.restore(source.manifest, store, { signal: options.signal });
    const meta = metaIn(store, folder);
    await committed(store, [
      { key: META_ROW, value: beginningState(meta, root) },
      { key: HASH_ROW, value: null },
    ]);
    const state = { meta: metaIn(store, folder), stateHash: committedStateHash(store, primitives)! };
    await committed(store, [{ key: HASH_ROW, value: primitives.encodeUtf8(state.stateHash) }]);
    return await writeBase({ committed: state, rows: () => rowsOf(store) }, shard, { ...options, snapshot });
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function metaIn(store: ShardStore, folder: string): Meta {
  const bytes = store.get(META_ROW);
  const meta = bytes === undefined ? undefined : readMeta(bytes);
  if (meta === undefined) throw new TidemarkError("STATE_FORMAT", `The state in ${folder} has format ${bytes?.[0] ?? "none"}.`);
  return meta;
}

function* rowsOf(store: ShardStore): Generator<readonly Row[]> {
  for (let from = "\0"; ; ) {
    const rows = store.scan(from, "\xff", SCAN_ROWS);
    if (rows.length > 0) yield rows;
    if (rows.length < SCAN_ROWS) return;
    from = `${rows.at(-1)!.key}\0`;
  }
}
