/** Blobs in memory, as strict as the places that last: what a test of a job has beside its log. */
import { type BlobInfo, type BlobStore, byName, checkBlobName, checkBlobPrefix, checkBlobSize } from "./blob-store.ts";

export class MemoryBlobs implements BlobStore {
  readonly place = "memory";
  readonly #blobs = new Map<string, Uint8Array>();

  async put(name: string, bytes: Uint8Array): Promise<void> {
    checkBlobName(name);
    checkBlobSize(name, bytes.length);
    // The caller may fill its buffer again.
    this.#blobs.set(name, new Uint8Array(bytes));
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    checkBlobName(name);
    return this.#blobs.get(name);
  }

  async list(prefix: string): Promise<readonly BlobInfo[]> {
    checkBlobPrefix(prefix);
    const found = [...this.#blobs].filter(([name]) => name.startsWith(prefix));
    return found.map(([name, { length }]) => ({ name, bytes: length })).sort(byName);
  }

  async delete(name: string): Promise<void> {
    checkBlobName(name);
    this.#blobs.delete(name);
  }

  async close(): Promise<void> {}
}
