/**
 * Entries as this sink last read or wrote them, so that a busy key is not read before each write. They may be out of date: who writes
 * by them names the revision, and is refused then. The least recently used go first.
 */
import type { FeatureEntry } from "./feature-entry.ts";

export interface KnownEntry {
  readonly entry: FeatureEntry;
  readonly revision: number;
  /** Of the entry as written. */
  readonly bytes: number;
}

const KEYS_MAX = 16_384;
const BYTES_MAX = 8 * 1024 * 1024;

export class KnownEntries {
  readonly #entries = new Map<string, KnownEntry>();
  #bytes = 0;

  /** Also takes it out: whoever uses it puts back what it has become. */
  take(key: string): KnownEntry | undefined {
    const known = this.#entries.get(key);
    if (known === undefined) return undefined;
    this.#entries.delete(key);
    this.#bytes -= known.bytes;
    return known;
  }

  put(key: string, known: KnownEntry): void {
    this.take(key);
    this.#entries.set(key, known);
    this.#bytes += known.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= KEYS_MAX && this.#bytes <= BYTES_MAX) return;
      this.take(oldest);
    }
  }
}
