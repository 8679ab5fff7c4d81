/**
 * The rows of a shard between two commits.
 *
 * `committed` is what the store holds. Changes collect in the open overlay; `seal` closes it at a position, and it
 * waits there for its outputs to be acknowledged while a new overlay opens. A commit at X thus never sees what a later
 * entry wrote. At most one sealed and one open overlay exist: a second seal before the commit is a bug.
 */
import { DamagedRow } from "./damaged-row.ts";

export interface CommittedRows {
  get(key: string): Uint8Array | undefined;
  scan(from: string, to: string, limit: number): readonly { readonly key: string; readonly value: Uint8Array }[];
}

export type Overlay = Map<string, Uint8Array | null>;

export class Rows {
  readonly #committed: CommittedRows;
  #open: Overlay = new Map();
  #sealed: Overlay | undefined;

  constructor(committed: CommittedRows) {
    this.#committed = committed;
  }

  get(key: string): Uint8Array | undefined {
    let change = this.#open.get(key);
    if (change === undefined) change = this.#sealed?.get(key);
    if (change !== undefined) return change ?? undefined;
    return this.#stored(key);
  }

  set(key: string, value: Uint8Array | null): void {
    this.#open.set(key, value);
  }

  get openSize(): number {
    return this.#open.size;
  }

  get sealed(): boolean {
    return this.#sealed !== undefined;
  }

  /** Keys in [from, to), ascending, at most about `limit`, and the key up to which the answer is complete. */
  keys(from: string, to: string, limit: number): { readonly keys: string[]; readonly end: string } {
    const stored = this.stored(from, to, limit);
    const end = stored.length < limit ? to : `${stored[stored.length - 1]!.key}\0`;
    const found = new Set(stored.map((row) => row.key));
    for (const overlay of [this.#sealed, this.#open]) {
      if (overlay === undefined) continue;
      for (const [key, value] of overlay) {
        if (key < from || key >= end) continue;
        if (value === null) found.delete(key);
        else found.add(key);
      }
    }
    return { keys: [...found].sort(), end };
  }

  /** Rows in [from, to) as the store has them, ascending, at most `limit`. */
  stored(from: string, to: string, limit: number): ReturnType<CommittedRows["scan"]> {
    try {
      return this.#committed.scan(from, to, limit);
    } catch (error) {
      throw new DamagedRow(from, "and those behind it cannot be read", error);
    }
  }

  /** A handler that reads must not be blamed for what the store cannot read. */
  #stored(key: string): Uint8Array | undefined {
    try {
      return this.#committed.get(key);
    } catch (error) {
      throw new DamagedRow(key, "cannot be read", error);
    }
  }

  /** Closes the open overlay and gives its changes sorted by key. */
  seal(): { readonly key: string; readonly value: Uint8Array | null }[] {
    if (this.#sealed !== undefined) throw new Error("sealed twice without a commit between");
    this.#sealed = this.#open;
    this.#open = new Map();
    const changes = [...this.#sealed].map(([key, value]) => ({ key, value }));
    return changes.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** The sealed overlay is in the store now. */
  committed(): void {
    this.#sealed = undefined;
  }
}
