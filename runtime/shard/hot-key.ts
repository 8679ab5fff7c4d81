/**
 * The share of the busiest key among the single events of a shard, from one entry in 61. A few keys are counted, the
 * least of them giving its place up ("space saving"), so that a key with a large share is never missed and memory is bounded.
 * Batches that mix keys name none in their subject and are left out.
 */

const EVERY = 61;
const KEYS_MAX = 32;
/** The share is that of the last so many samples that are whole. */
const SAMPLES = 512;
/** What stands before a single event's key in its subject. */
const EVENT_PART = ".e.";

export class HotKey {
  #counts = new Map<string, number>();
  #until = EVERY;
  #samples = 0;
  /** `undefined` until there were samples enough. */
  share: number | undefined;

  see(subject: string): void {
    if (--this.#until > 0) return;
    this.#until = EVERY;
    const at = subject.indexOf(EVENT_PART);
    if (at === -1) return;
    const key = subject.slice(at + EVENT_PART.length);
    const count = this.#counts.get(key);
    this.#counts.set(key, count === undefined ? this.#room() + 1 : count + 1);
    if (++this.#samples < SAMPLES) return;
    this.share = Math.max(...this.#counts.values()) / SAMPLES;
    this.#counts = new Map();
    this.#samples = 0;
  }

  /** Makes room for a new key; gives the count that it takes over. */
  #room(): number {
    if (this.#counts.size < KEYS_MAX) return 0;
    const [key, count] = [...this.#counts].reduce((least, next) => (next[1] < least[1] ? next : least));
    this.#counts.delete(key);
    return count;
  }
}
