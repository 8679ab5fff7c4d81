/** The large answers of a shard that are in memory: a bounded number, the others wait in the order in which they turned out to be large. */

export class LargeAnswers {
  readonly #most: number;
  /** By the call's row. */
  readonly #inside = new Set<string>();
  /** As many as calls that are in flight. */
  readonly #waiting = new Map<string, () => void>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Resolves when there is room for the answer of that call, which then has it until it leaves, or when `signal` is aborted. */
  async enter(row: string, signal: AbortSignal): Promise<void> {
    // Another attempt of the same call has its room already.
    if (this.#inside.has(row) || signal.aborted) return;
    if (this.#inside.size < this.#most) {
      this.#inside.add(row);
      return;
    }
    await new Promise<void>((resolve) => {
      this.#waiting.set(row, resolve);
      const giveUp = (): void => {
        this.#waiting.delete(row);
        resolve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** The call's answer is in memory no more, or not any more for this. One that had no room loses nothing. */
  leave(row: string): void {
    if (!this.#inside.delete(row)) return;
    const [next] = this.#waiting;
    if (next === undefined) return;
    const [waiting, resolve] = next;
    this.#waiting.delete(waiting);
    this.#inside.add(waiting);
    resolve();
  }
}
