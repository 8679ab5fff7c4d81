/**
 * One call for equal questions that are asked at once. The call is the first one's, with its deadline; it goes on as
 * long as anybody waits for it, and is aborted when nobody does.
 */
import { failure } from "../failures.ts";
import type { Inference } from "../inference.ts";

interface Flight {
  readonly deadline: number;
  readonly inference: Promise<Inference>;
  readonly end: AbortController;
  waiting: number;
}

/** What came of a question. */
export interface Landed {
  readonly inference: Inference;
  /** Whether the call was made for this one. */
  readonly own: boolean;
  /** Of the one that the call was made for. */
  readonly deadline: number;
}

const GONE: Inference = { failed: failure("TIMEOUT", "It was waited for no longer.") };

export class SingleFlight {
  readonly #flights = new Map<string, Flight>();

  async join(key: string, deadline: number, signal: AbortSignal, make: (signal: AbortSignal) => Promise<Inference>): Promise<Landed> {
    if (signal.aborted) return { inference: GONE, own: false, deadline };
    const known = this.#flights.get(key);
    const flight = known ?? this.#begin(key, deadline, make);
    const inference = await this.#wait(key, flight, signal);
    return { inference, own: known === undefined, deadline: flight.deadline };
  }

  #begin(key: string, deadline: number, make: (signal: AbortSignal) => Promise<Inference>): Flight {
    const end = new AbortController();
    const inference = make(end.signal).finally(() => this.#forget(key, flight));
    const flight: Flight = { deadline, inference, end, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  async #wait(key: string, flight: Flight, signal: AbortSignal): Promise<Inference> {
    flight.waiting++;
    let giveUp = (): void => {};
    const gone = new Promise<Inference>((resolve) => {
      giveUp = () => resolve(GONE);
    });
    signal.addEventListener("abort", giveUp);
    try {
      return await Promise.race([flight.inference, gone]);
    } finally {
      signal.removeEventListener("abort", giveUp);
      if (--flight.waiting === 0) {
        // Whoever asks from now on begins anew.
        this.#forget(key, flight);
        flight.end.abort();
      }
    }
  }

  #forget(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
