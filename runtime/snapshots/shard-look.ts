/**
 * One look at a shard's committed rows for a snapshot, as of one commit, while the shard goes on committing: a read
 * transaction for the few rows of a delta, a copy of the environment for all rows of a base. Its owner ends it.
 */
import { rmSync } from "node:fs";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type Meta, readMeta } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import { openLmdbReader, type StoreReader } from "../store/lmdb-store.ts";
import type { Row, RowChange } from "../store/shard-store.ts";

/** What is committed, and by what it is known. */
export interface Committed {
  readonly meta: Meta;
  readonly stateHash: string;
}

/** Values of a delta that are held in memory; with more of them a base is taken instead. */
const DELTA_MAX_BYTES = 128 * 1024 * 1024;
const SCAN_ROWS = 4_096;

/** `undefined` when nothing is committed. Throws STATE_FORMAT. */
function committedIn(rows: Pick<StoreReader, "get">, folder: string): Committed | undefined {
  const bytes = rows.get(META_ROW);
  if (bytes === undefined) return undefined;
  const meta = readMeta(bytes);
  if (meta === undefined) throw new TidemarkError("STATE_FORMAT", `The state in ${folder} has format ${bytes[0]}.`);
  return { meta, stateHash: committedStateHash({ get: (key) => rows.get(key), scan: () => [] }, primitives) ?? "" };
}

/** The newest commit, held by a read transaction. */
export class ShardView {
  readonly committed: Committed | undefined;
  readonly #view: ReturnType<StoreReader["view"]>;
  #ended = false;

  constructor(store: StoreReader, folder: string) {
    this.#view = store.view();
    this.committed = committedIn(this.#view, folder);
  }

  /** Rows as of the view, sorted; `undefined` when they are too many for one delta. */
  changes(keys: readonly string[]): RowChange[] | undefined {
    const changes: RowChange[] = [];
    let bytes = 0;
    for (const key of [...keys].sort()) {
      const value = this.#view.get(key) ?? null;
      bytes += key.length + (value?.length ?? 0);
      if (bytes > DELTA_MAX_BYTES) return undefined;
      changes.push({ key, value });
    }
    return changes;
  }

  /** Once or more often. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#view.end();
  }
}

/** A copy of the environment in a folder of its own, which goes with `end`. */
export class ShardCopy {
  readonly committed: Committed | undefined;
  readonly #store: StoreReader;
  readonly #folder: string;

  private constructor(store: StoreReader, folder: string) {
    this.#store = store;
    this.#folder = folder;
    this.committed = committedIn(store, folder);
  }

  static async make(store: StoreReader, folder: string): Promise<ShardCopy> {
    rmSync(folder, { recursive: true, force: true });
    await store.copyTo(folder);
    return new ShardCopy(openLmdbReader(folder), folder);
  }

  /** All rows, ascending, so many at a time. */
  *rows(): Generator<readonly Row[]> {
    for (let from = "\0"; ; ) {
      const rows = this.#store.scan(from, "\xff", SCAN_ROWS);
      if (rows.length > 0) yield rows;
      if (rows.length < SCAN_ROWS) return;
      from = `${rows.at(-1)!.key}\0`;
    }
  }

  async end(): Promise<void> {
    await this.#store.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
