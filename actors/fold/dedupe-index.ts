/**
 * In which page of a dedupe set an id may stand: an open-addressed table (linear probing, at most two thirds full) of two words a place,
 * the first word of an id's hash and its page's number. 12 to 32 bytes an id, and no object of its own.
 *
 * An id whose page is gone stays until the table is full, and is left out when it is written anew: so that a page which expires costs
 * nothing, and what the table takes for it is paid by the ids that come in.
 */
const START = 64;
/** Of the two words of a place the second, 0 where it is free, else the page's number and one. */
const PLACE_WORDS = 2;

export class PageIndex {
  #table = new Uint32Array(START * PLACE_WORDS);
  #used = 0;

  /** In bytes. */
  get memory(): number {
    return this.#table.byteLength;
  }

  /** `isThere`: whether a page still is. */
  add(hash: number, page: number, isThere: (page: number) => boolean): void {
    if ((this.#used + 1) * 3 > (this.#table.length / PLACE_WORDS) * 2) this.#rewrite(isThere);
    this.#put(hash, page);
  }

  /** A place that names the id, behind `place`; from the beginning with -1, and -1 when there is none any more. */
  next(hash: number, place: number): number {
    const table = this.#table;
    const mask = table.length / PLACE_WORDS - 1;
    for (let at = place < 0 ? hash & mask : (place + 1) & mask; table[at * PLACE_WORDS + 1] !== 0; at = (at + 1) & mask) {
      if (table[at * PLACE_WORDS] === hash) return at;
    }
    return -1;
  }

  pageAt(place: number): number {
    return this.#table[place * PLACE_WORDS + 1]! - 1;
  }

  #put(hash: number, page: number): void {
    const table = this.#table;
    const mask = table.length / PLACE_WORDS - 1;
    let at = hash & mask;
    while (table[at * PLACE_WORDS + 1] !== 0) at = (at + 1) & mask;
    table[at * PLACE_WORDS] = hash;
    table[at * PLACE_WORDS + 1] = page + 1;
    this.#used++;
  }

  /** With places for twice what is there, so that the next time is as far away as all that was written. */
  #rewrite(isThere: (page: number) => boolean): void {
    const before = this.#table;
    const live = new Uint8Array(before.length / PLACE_WORDS);
    let count = 0;
    for (let at = 0; at < live.length; at++) {
      const page = before[at * PLACE_WORDS + 1]!;
      if (page === 0 || !isThere(page - 1)) continue;
      live[at] = 1;
      count++;
    }
    let places = START;
    while (places < 2 * (count + 1)) places *= 2;
    this.#table = new Uint32Array(places * PLACE_WORDS);
    this.#used = 0;
    for (let at = 0; at < live.length; at++) if (live[at] === 1) this.#put(before[at * PLACE_WORDS]!, before[at * PLACE_WORDS + 1]! - 1);
  }
}
