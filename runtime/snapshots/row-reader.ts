/**
 * Reads the rows of a shard snapshot back: each chunk against its checksum, all rows together against the state hash.
 * So nothing is folded on that is not, row for row, what the shard had committed.
 */
import { HASHED_TABLES, META_ROW } from "../../actors/fold/keys.ts";
import { TidemarkError } from "../errors.ts";
import { primitives } from "../primitives.ts";
import { committed, type RowChange, type ShardStore } from "../store/shard-store.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { unpackChunk } from "./chunk-codec.ts";
import { type Seal, sha256Of } from "./chunk-writer.ts";
import type { ChunkRef, ShardManifest } from "./manifest.ts";
import type { ReadOptions } from "./snapshot-source.ts";

interface ReadChunk {
  readonly rows: readonly RowChange[];
  readonly delta: boolean;
}

const HASHED: ReadonlySet<string> = new Set(HASHED_TABLES);
/** After so many what was read is committed: each commit waits for the disk, and is handed over in one turn of the thread. */
const COMMIT_BYTES = 16 * 1024 * 1024;
/** What a row costs beside its bytes. */
const ROW_BYTES = 128;
/** Chunks in memory at a time, the one that is worked on among them. */
const FETCHED_AHEAD = 3;
const MODULUS_MASK = (1n << 128n) - 1n;

export class RowReader {
  readonly #blobs: BlobStore;
  readonly #seal: Seal;
  readonly #manifest: ShardManifest;

  constructor(blobs: BlobStore, seal: Seal, manifest: ShardManifest) {
    this.#blobs = blobs;
    this.#seal = seal;
    this.#manifest = manifest;
  }

  /**
   * Into an empty store; resolves when all is on disk. The meta row goes last, when all else was found right: a store
   * without it holds no state, however far a restore came that died.
   */
  async restore(store: ShardStore, options: ReadOptions = {}): Promise<void> {
    const sum = new RowSum();
    let writing: Promise<void> = Promise.resolve();
    let meta: Uint8Array | null = null;
    let group: RowChange[] = [];
    let groupBytes = 0;
    const write = async (): Promise<void> => {
      await writing;
      writing = committed(store, group);
      // Its failure is told when it is waited for, and a chunk that cannot be fetched may come before.
      writing.catch(() => {});
      group = [];
      groupBytes = 0;
    };
    for await (const { rows, delta } of this.#chunks(options)) {
      // A delta replaces rows that must be readable; a base only adds.
      if (delta) {
        await write();
        await writing;
      }
      for (const row of rows) {
        const { key, value } = row;
        if (key === META_ROW) meta = value;
        else {
          sum.replace(key, delta ? store.get(key) : undefined, value);
          group.push(row);
          // Rows of an index have keys alone.
          groupBytes += ROW_BYTES + key.length + (value?.length ?? 0);
        }
      }
      if (groupBytes >= COMMIT_BYTES) await write();
    }
    await write();
    await writing;
    sum.replace(META_ROW, undefined, meta);
    this.#checkSum(sum);
    await committed(store, [{ key: META_ROW, value: meta }]);
    await store.flushed();
  }

  /** The next chunks are fetched while the one before is worked on. */
  async *#chunks({ progress = () => {}, signal }: ReadOptions): AsyncGenerator<ReadChunk> {
    const all = this.#manifest.parts.flatMap(({ kind, chunks }) => chunks.map((chunk) => ({ chunk, delta: kind === "delta" })));
    const total = all.reduce((sum, { chunk }) => sum + chunk.bytes, 0);
    let done = 0;
    const ahead: Promise<RowChange[]>[] = [];
    for (let i = 0; i < all.length; i++) {
      signal?.throwIfAborted();
      while (ahead.length < FETCHED_AHEAD && i + ahead.length < all.length) {
        const fetched = this.#fetch(all[i + ahead.length]!.chunk);
        // Its failure is this generator's when its turn comes.
        fetched.catch(() => {});
        ahead.push(fetched);
      }
      const { chunk, delta } = all[i]!;
      const rows = await ahead.shift()!;
      done += chunk.bytes;
      yield { rows, delta };
      progress(done, total);
    }
  }

  async #fetch({ name, sha256, rows: count }: ChunkRef): Promise<RowChange[]> {
    const bytes = await this.#blobs.get(name);
    if (bytes === undefined) throw new TidemarkError("SNAPSHOT_MISSING", `The chunk ${name} is gone.`);
    if (sha256Of(bytes) !== sha256) {
      throw new TidemarkError(
        "SNAPSHOT_DAMAGED",
        `The chunk ${name} is not what its manifest says: ${bytes.length} bytes with another checksum.`,
      );
    }
    const rows = await unpackChunk(name, this.#seal.open(bytes, name));
    if (rows.length !== count) throw new TidemarkError("SNAPSHOT_DAMAGED", `The chunk ${name} has ${rows.length} rows, not ${count}.`);
    return rows;
  }

  #checkSum(sum: RowSum): void {
    const { job, shard, id, stateHash } = this.#manifest;
    const found = sum.stateHash();
    if (found === stateHash) return;
    throw new TidemarkError(
      "SNAPSHOT_DAMAGED",
      `The rows of ${job}/${shard} ${id} come to the state hash ${found}, its manifest says ${stateHash}.`,
    );
  }
}

/** The state hash of rows as they come. */
class RowSum {
  #total = 0n;

  replace(key: string, before: Uint8Array | undefined, after: Uint8Array | null): void {
    if (!HASHED.has(key[0]!) && key !== META_ROW) return;
    if (before !== undefined) this.#total -= primitives.rowHash(key, before);
    if (after !== null) this.#total += primitives.rowHash(key, after);
  }

  stateHash(): string {
    return (this.#total & MODULUS_MASK).toString(16).padStart(32, "0");
  }
}
