/**
 * A map with a bound: over it, what was not used for longest goes first. With weights it has a second bound, of their
 * sum. Nothing of it lasts, and nothing may rely on finding again what it has put in.
 */

export interface RecentMapOptions<V> {
  readonly entriesMax: number;
  /** Of all entries; none when absent. */
  readonly weightMax?: number;
  /** 0 when absent. */
  readonly weightOf?: (value: V) => number;
}

export class RecentMap<V> {
  readonly #entriesMax: number;
  readonly #weightMax: number;
  readonly #weightOf: (value: V) => number;
  /** The least recently used first: a Map keeps the order in which keys were set. */
  readonly #entries = new Map<string, V>();
  #weight = 0;

  constructor({ entriesMax, weightMax = Number.POSITIVE_INFINITY, weightOf = () => 0 }: RecentMapOptions<V>) {
    this.#entriesMax = entriesMax;
    this.#weightMax = weightMax;
    this.#weightOf = weightOf;
  }

  get size(): number {
    return this.#entries.size;
  }

  get weight(): number {
    return this.#weight;
  }

  /** Uses it. */
  get(key: string): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  /** What by itself is over the bound of weights is not kept. */
  set(key: string, value: V): void {
    this.delete(key);
    const weight = this.#weightOf(value);
    if (weight > this.#weightMax) return;
    this.#entries.set(key, value);
    this.#weight += weight;
    while (this.#entries.size > this.#entriesMax || this.#weight > this.#weightMax) this.delete(this.#entries.keys().next().value!);
  }

  delete(key: string): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#weight -= this.#weightOf(value);
  }
}
