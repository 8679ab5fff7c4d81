/**
 * Rows as the bytes of a chunk: for each row the length of its key, the key, the length of its value and the value;
 * a row that went has the length of no value. All lengths are 4 bytes, big-endian. A chunk is compressed with zstd and
 * then sealed by the key ring, which also frames it when nothing is encrypted.
 */
import { promisify } from "node:util";
import { constants, zstdCompress, zstdDecompress } from "node:zlib";
import { TidemarkError } from "../errors.ts";
import { ROW_KEY_MAX_BYTES } from "../store/row-changes.ts";
import type { RowChange } from "../store/shard-store.ts";

/** Raw bytes after which a chunk is closed; one row more may be in it. */
export const CHUNK_BYTES = 4 * 1024 * 1024;

const GONE = 0xffffffff;
/** A row's value is bounded by the fold far below; a chunk that says more is damaged. */
const RAW_MAX_BYTES = 64 * 1024 * 1024;

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** As much output in one piece as a chunk mostly has: by default zlib hands it over 16 KiB at a time. */
const PIECE_BYTES = CHUNK_BYTES + 64 * 1024;
const FAST = { chunkSize: PIECE_BYTES, params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Collects rows until a chunk is full. */
export class ChunkBuffer {
  #bytes = Buffer.allocUnsafe(CHUNK_BYTES + 64 * 1024);
  #length = 0;
  rows = 0;

  get rawBytes(): number {
    return this.#length;
  }

  get full(): boolean {
    return this.#length >= CHUNK_BYTES;
  }

  add({ key, value }: RowChange): void {
    const needed = 8 + key.length + (value?.length ?? 0);
    this.#grow(needed);
    let at = this.#bytes.writeUInt32BE(key.length, this.#length);
    at += this.#bytes.write(key, at, "latin1");
    at = this.#bytes.writeUInt32BE(value === null ? GONE : value.length, at);
    if (value !== null) this.#bytes.set(value, at);
    this.#length += needed;
    this.rows++;
  }

  /** The raw bytes, a copy; the buffer is empty behind it. */
  take(): Buffer {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#length));
    this.#length = 0;
    this.rows = 0;
    return taken;
  }

  #grow(needed: number): void {
    if (this.#length + needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe((this.#length + needed) * 2);
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

export async function packChunk(raw: Uint8Array): Promise<Uint8Array> {
  return await compress(raw, FAST);
}

/** The rows of a chunk, in order. Throws SNAPSHOT_DAMAGED. */
export async function unpackChunk(name: string, packed: Uint8Array): Promise<RowChange[]> {
  let raw: Buffer;
  try {
    raw = await decompress(packed, { chunkSize: PIECE_BYTES, maxOutputLength: RAW_MAX_BYTES });
  } catch (error) {
    throw damaged(name, error);
  }
  const rows: RowChange[] = [];
  for (let at = 0; at < raw.length; ) {
    if (at + 8 > raw.length) throw damaged(name);
    const keyEnd = at + 4 + raw.readUInt32BE(at);
    if (keyEnd - at - 4 > ROW_KEY_MAX_BYTES || keyEnd + 4 > raw.length) throw damaged(name);
    const key = raw.toString("latin1", at + 4, keyEnd);
    const length = raw.readUInt32BE(keyEnd);
    at = keyEnd + 4;
    if (length === GONE) {
      rows.push({ key, value: null });
      continue;
    }
    if (at + length > raw.length) throw damaged(name);
    // One buffer for all rows of the chunk: they live as long as it does, and then go together.
    rows.push({ key, value: new Uint8Array(raw.buffer, raw.byteOffset + at, length) });
    at += length;
  }
  return rows;
}

function damaged(name: string, cause?: unknown): TidemarkError {
  return new TidemarkError("SNAPSHOT_DAMAGED", `The chunk ${name} cannot be read.`, { cause });
}
