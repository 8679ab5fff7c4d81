/** One request from its admission until nothing of it is left: its place is given back only when answer and work have both ended. */
import type { RouteAnswer } from "./route.ts";

export class Visit {
  readonly who: string;
  readonly #abort = new AbortController();
  readonly #leave: () => void;
  #working = false;
  #closed = false;

  constructor(who: string, leave: () => void) {
    this.who = who;
    this.#leave = leave;
  }

  /** Aborted when the caller is gone, the node stops, or the answer takes too long. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(): void {
    this.#abort.abort();
  }

  /** Does the work of the request. A caller that hangs up while it runs does not make room for another. */
  async handle(work: () => Promise<RouteAnswer>): Promise<RouteAnswer> {
    this.#working = true;
    try {
      return await work();
    } finally {
      this.#working = false;
      this.#leaveWhenDone();
    }
  }

  /** The connection is done with this request; `answered`: all of the answer was handed over. */
  closed(answered: boolean): void {
    this.#closed = true;
    if (!answered) this.abort();
    this.#leaveWhenDone();
  }

  #leaveWhenDone(): void {
    if (this.#closed && !this.#working) this.#leave();
  }
}
