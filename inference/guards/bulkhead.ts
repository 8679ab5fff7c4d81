/**
 * Places at a model, and a queue before them: so that one slow model holds up only those who ask it. First come, first
 * served; who is aborted while waiting gives its turn up.
 */
import * as bounds from "./bounds.ts";

export interface BulkheadOptions {
  readonly places: number;
  /** Those that may wait for one; 0 for none. */
  readonly waitingMax: number;
}

/** Of a model, for what the stream asks. */
export const STREAM_BULKHEAD: BulkheadOptions = { places: bounds.PLACES_DEFAULT, waitingMax: bounds.WAITING_DEFAULT };
/** Of a model, for those who ask over the API: they never take a place from the stream, nor it from them. */
export const ON_DEMAND_BULKHEAD: BulkheadOptions = {
  places: bounds.ON_DEMAND_PLACES_DEFAULT,
  waitingMax: bounds.ON_DEMAND_WAITING_DEFAULT,
};

/** Gives the place back; called once. */
export type Leave = () => void;

export class Bulkhead {
  readonly #options: BulkheadOptions;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(options: BulkheadOptions) {
    this.#options = options;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** A place that is free at once, or none. */
  tryEnter(): Leave | undefined {
    if (this.#taken >= this.#options.places) return undefined;
    this.#taken++;
    return this.#leave();
  }

  /** Waits for a place; `undefined` when too many wait already, or once `signal` is aborted. */
  enter(signal: AbortSignal): Promise<Leave | undefined> {
    const free = this.tryEnter();
    if (free !== undefined || signal.aborted || this.#waiting.size >= this.#options.waitingMax) return Promise.resolve(free);
    return new Promise((resolve) => {
      const giveUp = (): void => {
        this.#waiting.delete(take);
        resolve(undefined);
      };
      const take = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve(this.#leave());
      };
      this.#waiting.add(take);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  #leave(): Leave {
    let left = false;
    return () => {
      if (left) throw new Error("a place was given back twice");
      left = true;
      const [next] = this.#waiting;
      if (next === undefined) {
        this.#taken--;
        return;
      }
      // The place goes from hand to hand: nobody who comes meanwhile can take it.
      this.#waiting.delete(next);
      next();
    };
  }
}
