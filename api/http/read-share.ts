/**
 * How many reads a node answers: as many as leave the shards their cores. Reads wait, and are shed, before shards slow
 * down: a read can be asked again, and an event that waits makes every later one wait.
 *
 * Every quarter second of being asked, the load of the threads is looked at. The API may use what the shards and the
 * broker leave of the machine, and always a little. Above that the rate of reads is cut in proportion; below, it grows.
 * A read over the rate is put off until its turn; one whose turn would come too late is refused.
 */
import type { Clock } from "../../runtime/clock.ts";
import type { ThreadLoad } from "../../runtime/node/thread-load.ts";

const LOOK_EVERY_MS = 250;
/** Beyond it a look says nothing of the reads since: nobody asked. */
const STALE_MS = 2_000;
/** Cores that reads may use however busy the shards are. */
const CORES_MIN = 0.2;
/** A broker on the same machine works about as much as the shards. */
const SHARDS_AND_BROKER = 2;
const RATE_MIN = 10;
const RATE_MAX = 20_000;
const GROWTH = 1.25;

/** How long a read may be put off. */
const PUT_OFF_MS_MAX = 500;
/** Reads that may come at once, in milliseconds of the rate. */
const BURST_MS = 50;

export class ReadShare {
  readonly #load: () => ThreadLoad;
  readonly #clock: Clock;
  #rate = RATE_MAX;
  /** When the next read is due at the present rate. */
  #due: number;
  #lookedAt: number;
  #admitted = 0;

  constructor(load: () => ThreadLoad, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
    this.#due = clock.monotonic();
    this.#lookedAt = this.#due;
  }

  /** Milliseconds until this read may begin; `undefined` when it is shed. */
  take(): number | undefined {
    const now = this.#clock.monotonic();
    this.#look(now);
    const due = Math.max(this.#due, now - BURST_MS);
    const putOff = Math.max(0, due - now);
    if (putOff > PUT_OFF_MS_MAX) return undefined;
    this.#due = due + 1000 / this.#rate;
    this.#admitted++;
    return putOff;
  }

  #look(now: number): void {
    const passed = now - this.#lookedAt;
    if (passed < LOOK_EVERY_MS) return;
    const { api, shards, cores } = this.#load();
    const admittedPerSecond = (this.#admitted / passed) * 1000;
    this.#lookedAt = now;
    this.#admitted = 0;
    if (passed > STALE_MS) return;
    const allowed = Math.max(CORES_MIN, cores - SHARDS_AND_BROKER * shards);
    if (api > allowed) this.#rate = Math.max(RATE_MIN, Math.min(this.#rate, (admittedPerSecond * allowed) / api));
    else this.#rate = Math.min(RATE_MAX, this.#rate * GROWTH);
  }
}
