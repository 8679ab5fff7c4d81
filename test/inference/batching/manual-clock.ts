/** Time that stands still until a test moves it. */
import type { BatchClock } from "../../../inference/batching/batch-clock.ts";

export class ManualClock implements BatchClock {
  #now = 1_000;
  #timers: { readonly at: number; readonly call: () => void }[] = [];
  #soon: (() => void)[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, call: () => void): () => void {
    const timer = { at: this.#now + ms, call };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  soon(call: () => void): void {
    this.#soon.push(call);
  }

  /** Timers that are armed. */
  get armed(): number {
    return this.#timers.length;
  }

  /** Does what was to be done soon, with whatever follows from it. */
  async turn(): Promise<void> {
    for (let left = 15; left > 0; left -= 1) {
      const calls = this.#soon;
      this.#soon = [];
      for (const call of calls) call();
      await Promise.resolve();
    }
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    await this.turn();
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== due);
      this.#now = Math.max(this.#now, due.at);
      due.call();
      await this.turn();
    }
    this.#now = until;
    await this.turn();
  }
}
