/**
 * Snapshots of one large shard in this process, into a directory: a base, a delta of one key in a hundred, a restore.
 * Rows of 1 KiB of text that compresses little. Not measured: the broker, a store behind a network, a shard that folds
 * meanwhile (see the latencies beside it).
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { META_ROW, SUMS_ROW, TABLE } from "../actors/fold/keys.ts";
import { newMeta, writeMeta } from "../actors/fold/meta.ts";
import { StateSums, stateHash } from "../actors/fold/state-hash.ts";
import meter from "../actors/meter/meter.ts";
import { identityOf } from "../runtime/app.ts";
import { primitives } from "../runtime/primitives.ts";
import { DirectoryBlobs } from "../runtime/snapshots/blobs/directory-blobs.ts";
import { SnapshotCatalogue } from "../runtime/snapshots/catalogue.ts";
import { ChangedRows } from "../runtime/snapshots/changed-rows.ts";
import { KeyRing } from "../runtime/snapshots/key-ring.ts";
import { type ShardManifest, storedBytes } from "../runtime/snapshots/manifest.ts";
import { rowsChanged } from "../runtime/snapshots/row-keys.ts";
import { SnapshotTaker } from "../runtime/snapshots/snapshot-taker.ts";
import { openLmdbStore } from "../runtime/store/lmdb-store.ts";
import { committed, type RowChange, type ShardStore } from "../runtime/store/shard-store.ts";
import type { Row } from "./table.ts";

const MIB = 1024 * 1024;
const VALUE_BYTES = 1_000;
const GROUP_ROWS = 50_000;

export async function largeShard(options: { readonly rows: number }): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-bench-"));
  const store = openLmdbStore(join(folder, "shard"));
  try {
    return await measure(folder, new LargeState(store), options.rows);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, state: LargeState, rows: number): Promise<Row[]> {
  const catalogue = new SnapshotCatalogue(await DirectoryBlobs.open(join(folder, "blobs")), await KeyRing.read(undefined));
  const taker = new SnapshotTaker(catalogue, await KeyRing.read(undefined), join(folder, "scratch"), new AbortController().signal);
  const take = async (what: string): Promise<{ readonly row: Row; readonly manifest: ShardManifest }> => {
    const from = performance.now();
    const shard = { job: "meter", log: "meter", shard: 0, partitions: 1, mapVersion: 1 };
    const { manifest } = (await taker.take(
      { shard, folder: join(folder, "shard"), share: 1 },
      async (since, at) => rowsChanged(state.changed, since, at),
      () => {},
    ))!;
    state.changed.taken(manifest.stateHash);
    const part = manifest.parts.at(-1)!;
    const raw = part.chunks.reduce((sum, chunk) => sum + chunk.rawBytes, 0);
    return { row: rowOf(`${part.kind}, ${what}`, raw, performance.now() - from, storedBytes({ parts: [part] })), manifest };
  };
  await state.write(rows, 1);
  const base = await take(`${rows} rows of 1 KiB`);
  await state.write(rows, 100);
  const delta = await take("one key in a hundred changed");
  const restored = openLmdbStore(join(folder, "restored"));
  const from = performance.now();
  await catalogue.restore(delta.manifest, restored);
  const restore = rowOf("restore of both", storedRaw(delta.manifest), performance.now() - from, storedBytes(delta.manifest));
  await restored.close();
  const share = (Number(delta.row["stored, MiB"]) / Number(base.row["stored, MiB"])) * 100;
  return [base.row, { ...delta.row, "% of the base": Math.round(share * 100) / 100 }, restore];
}

/** Rows of the table of keys, with the sums and the meta row that a fold would have written beside them. */
class LargeState {
  readonly changed = new ChangedRows(undefined);
  readonly #store: ShardStore;
  readonly #sums = new StateSums();
  readonly #meta = newMeta({ ...identityOf(meter, "bench"), sequence: 1 }, 1, 1);

  constructor(store: ShardStore) {
    this.#store = store;
  }

  /** Writes every `nth` of so many rows anew. */
  async write(rows: number, nth: number): Promise<void> {
    let changes: RowChange[] = [];
    for (let i = 0; i < rows; i += nth) {
      const key = `${TABLE.key}\0\0key-${String(i).padStart(9, "0")}`;
      const value = randomBytes(VALUE_BYTES);
      const before = this.#store.get(key);
      this.#sums.replace(TABLE.key, 0, before === undefined ? 0n : primitives.rowHash(key, before), primitives.rowHash(key, value));
      changes.push({ key, value });
      if (changes.length < GROUP_ROWS) continue;
      await this.#commit(changes);
      changes = [];
    }
    await this.#commit(changes);
  }

  async #commit(rows: readonly RowChange[]): Promise<void> {
    const { cursor } = this.#meta;
    this.#meta.last = { sequence: cursor.sequence, index: 0 };
    this.#meta.cursor = { ...cursor, sequence: cursor.sequence + 1 };
    const meta = writeMeta(this.#meta);
    const hash = stateHash(this.#sums, META_ROW, meta, primitives);
    const changes = [...rows, { key: SUMS_ROW, value: this.#sums.write() }, { key: META_ROW, value: meta }];
    this.changed.note({ changes, stateHash: hash });
    await committed(this.#store, changes);
  }
}

function storedRaw({ parts }: ShardManifest): number {
  return parts.flatMap(({ chunks }) => chunks).reduce((sum, chunk) => sum + chunk.rawBytes, 0);
}

function rowOf(benchmark: string, rawBytes: number, ms: number, bytes: number): Row {
  const rounded = (value: number): number => Math.round(value * 100) / 100;
  return {
    benchmark,
    seconds: rounded(ms / 1000),
    "MiB/s": rounded(rawBytes / MIB / (ms / 1000)),
    "rows, MiB": rounded(rawBytes / MIB),
    "stored, MiB": rounded(bytes / MIB),
  };
}
