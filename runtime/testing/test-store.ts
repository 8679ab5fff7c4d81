/**
 * The store of a shard that crashes between units: a commit is written in a later microtask, as a disk does it later,
 * so that the shard waits for each, and nothing more than one unit is folded beyond it.
 */
import { MemoryStore } from "../store/memory-store.ts";
import type { Row, RowChange, ShardStore } from "../store/shard-store.ts";

export class LateStore implements ShardStore {
  readonly #inner = new MemoryStore();
  /** Commits so far. */
  commits = 0;

  get(key: string): Uint8Array | undefined {
    return this.#inner.get(key);
  }

  scan(from: string, to: string, limit: number): Row[] {
    return this.#inner.scan(from, to, limit);
  }

  commit(changes: readonly RowChange[], done: (error?: Error) => void): void {
    queueMicrotask(() => {
      this.#inner.commit(changes, () => {});
      this.commits++;
      done();
    });
  }

  async flushed(): Promise<void> {}

  bytes(): number {
    return this.#inner.bytes();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
