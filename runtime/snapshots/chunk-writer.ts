/**
 * Writes the chunks of one part of a snapshot and reads each back: what does not come back as it was put does not count.
 * Few chunks are on their way at a time; whoever gives rows waits for them.
 */
import { createHash } from "node:crypto";
import { TidemarkError } from "../errors.ts";
import type { RowChange } from "../store/shard-store.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { ChunkBuffer, packChunk } from "./chunk-codec.ts";
import { type ChunkRef, chunkBlob } from "./manifest.ts";

/** What encrypts a blob: `name` is bound to it, so that no blob stands for another. */
export interface Seal {
  seal(bytes: Uint8Array, name: string): Uint8Array;
  open(bytes: Uint8Array, name: string): Uint8Array;
}

export interface ChunkPlace {
  readonly job: string;
  readonly shard: number;
  readonly snapshot: string;
}

const IN_FLIGHT_MAX = 2;

export class ChunkWriter {
  readonly #blobs: BlobStore;
  readonly #seal: Seal;
  readonly #place: ChunkPlace;
  readonly #buffer = new ChunkBuffer();
  readonly #chunks: ChunkRef[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #number = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(blobs: BlobStore, seal: Seal, place: ChunkPlace) {
    this.#blobs = blobs;
    this.#seal = seal;
    this.#place = place;
  }

  /** Takes a row, in the order of their keys; true when `room` must be awaited before the next. */
  add(row: RowChange): boolean {
    this.#buffer.add(row);
    if (!this.#buffer.full) return false;
    this.#send();
    return true;
  }

  /** Resolves when another chunk may be begun. Throws what a chunk failed with: SNAPSHOT_STORE, SNAPSHOT_DAMAGED. */
  async room(): Promise<void> {
    while (this.#inFlight.size >= IN_FLIGHT_MAX && this.#failure === undefined) await Promise.race(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Sends what is left; the chunks in their order, all of them stored and read back. */
  async finish(): Promise<readonly ChunkRef[]> {
    if (this.#buffer.rows > 0) this.#send();
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#chunks;
  }

  #send(): void {
    const { job, shard, snapshot } = this.#place;
    const number = this.#number++;
    const { rows } = this.#buffer;
    const raw = this.#buffer.take();
    const sent = this.#store(number, chunkBlob(job, shard, snapshot, number), raw, rows)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#inFlight.delete(sent));
    this.#inFlight.add(sent);
  }

  async #store(number: number, name: string, raw: Uint8Array, rows: number): Promise<void> {
    const bytes = this.#seal.seal(await packChunk(raw), name);
    const sha256 = sha256Of(bytes);
    await this.#blobs.put(name, bytes);
    const back = await this.#blobs.get(name);
    if (back === undefined || sha256Of(back) !== sha256) {
      throw new TidemarkError("SNAPSHOT_DAMAGED", `The chunk ${name} did not come back as it was put (${this.#blobs.place}).`);
    }
    this.#chunks[number] = { name, rows, bytes: bytes.length, rawBytes: raw.length, sha256 };
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
