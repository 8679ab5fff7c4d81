/**
 * The store of a shard that crashes between units: a commit is written in a later microtask, as a disk does it later,
 * so that the shard waits for each; and what was being written when the shard died is lost.
 */
import { MemoryStore } from "../store/memory-store.ts";
import type { Row, RowChange, ShardStore } from "../store/shard-store.ts";

export class LateStore implements ShardStore {
  readonly #inner = new MemoryStore();
  #life = 0;
  /** Commits so far. */
  commits = 0;

  get(key: string): Uint8Array | undefined {
    return this.#inner.get(key);
  }

  scan(from: string, to: string, limit: number): Row[] {
    return this.#inner.scan(from, to, limit);
  }

  commit(changes: readonly RowChange[], done: (error?: Error) => void): void {
    const life = this.#life;
    queueMicrotask(() => {
      if (life !== this.#life) return;
      this.#inner.commit(changes, () => {});
      this.commits++;
      done();
    });
  }

  crash(): void {
    this.#life++;
  }

  async flushed(): Promise<void> {}

  bytes(): number {
    return this.#inner.bytes();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
