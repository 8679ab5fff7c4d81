/**
 * Entries that have arrived and were not taken yet, in order, with the bytes that they hold.
 * Entries behind a gap of the sequence may be held back until somebody has looked whether the gap is legal.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";

export class EntryQueue {
  #entries: LogEntry[] = [];
  #sizes: number[] = [];
  #head = 0;
  /** How many from the head may be taken; all when undefined. */
  #released: number | undefined;
  #bytes = 0;

  /** Bytes of all entries, held back ones included. */
  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#entries.length - this.#head;
  }

  get takeable(): number {
    return this.#released ?? this.length;
  }

  push(entry: LogEntry, bytes: number): void {
    this.#entries.push(entry);
    this.#sizes.push(bytes);
    this.#bytes += bytes;
  }

  /** Holds back what is pushed from now on. */
  holdBack(): void {
    this.#released ??= this.length;
  }

  get holdsBack(): boolean {
    return this.#released !== undefined;
  }

  releaseAll(): void {
    this.#released = undefined;
  }

  take(maxEntries: number): LogEntry[] {
    const count = Math.min(maxEntries, this.takeable);
    if (count <= 0) return [];
    if (this.#released !== undefined) this.#released -= count;
    if (count === this.#entries.length) {
      const all = this.#entries;
      this.#entries = [];
      this.#sizes = [];
      this.#bytes = 0;
      return all;
    }
    const end = this.#head + count;
    const taken = this.#entries.slice(this.#head, end);
    for (let i = this.#head; i < end; i++) this.#bytes -= this.#sizes[i]!;
    this.#head = end;
    this.#compact();
    return taken;
  }

  /** Lets go of what was taken once it is half of the array: each entry is moved at most once on average. */
  #compact(): void {
    if (this.#head * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#sizes = this.#sizes.slice(this.#head);
    this.#head = 0;
  }
}
