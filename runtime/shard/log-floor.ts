/**
 * Tells a shard where its log begins, at its start and now and then, so that what only tells of entries that are gone can go.
 * A look that fails is no loss: the next one tells.
 */
import type { Clock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import type { Shard } from "./shard.ts";

const EVERY_MS = 10 * 60_000;

export class LogFloor {
  readonly #shard: Shard;
  readonly #clock: Clock;
  #next = 0;

  constructor(shard: Shard, clock: Clock) {
    this.#shard = shard;
    this.#clock = clock;
  }

  /** Called often; looks seldom, and never waits. */
  turn(): void {
    const now = this.#clock.monotonic();
    if (now < this.#next) return;
    this.#next = now + EVERY_MS;
    void this.#look();
  }

  async #look(): Promise<void> {
    const { parts, fold } = this.#shard;
    try {
      fold.forgetBefore((await parts.log.bounds()).firstSequence);
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
    }
  }
}
