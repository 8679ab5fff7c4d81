/** A clock that a test moves by hand. */
import type { Clock } from "../../runtime/clock.ts";

export class ManualClock implements Clock {
  #now = 0;
  readonly #sleepers: { readonly until: number; readonly wake: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((wake) => {
      if (signal?.aborted === true) return wake();
      signal?.addEventListener("abort", () => wake(), { once: true });
      this.#sleepers.push({ until: this.#now + ms, wake });
    });
  }

  get sleeping(): number {
    return this.#sleepers.length;
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const sleeper of this.#sleepers.splice(0)) {
      if (sleeper.until <= this.#now) sleeper.wake();
      else this.#sleepers.push(sleeper);
    }
  }
}
