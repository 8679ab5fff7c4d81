/**
 * The dedupe set of one key: which events it has seen, by (source, id), and with which content.
 *
 * An id takes ten 32-bit words: four of its hash, two of its content's hash, two of its time, two of its position. The newest ids stand
 * in the key's row (the tail); a full tail moves, unchanged from then on, to a page row of its own, so that a key
 * with many events does not rewrite them all at each commit. An id counts until the watermark passes its time +
 * horizon; what has expired is dropped when the tail is full, which is a function of the fold alone. Of pages memory holds an
 * index alone; one is read where it names the id that is asked for.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { PageIndex } from "./dedupe-index.ts";

export const PAGE_IDS = 64;
const WORDS = 10;
const PAGE_WORDS = PAGE_IDS * WORDS;
/** Times are stored with this added, so that years 0 to 9999 are whole numbers from 0. */
const TIME_OFFSET = 2 ** 47;
/** The position's first word: index in the batch above, the sequence's upper bits below. */
const SEQUENCE_HIGH_BITS = 18;

export interface EventIdentity {
  readonly h0: number;
  readonly h1: number;
  readonly h2: number;
  readonly h3: number;
  readonly c0: number;
  readonly c1: number;
}

export type Seen = "new" | "same" | "other";

/** Where an event that was seen stands in the log. */
export interface SeenAt {
  readonly sequence: number;
  readonly index: number;
}

export interface PageStore {
  readPage(page: number): Uint8Array;
  writePage(page: number, bytes: Uint8Array): void;
  dropPage(page: number): void;
}

interface Page {
  readonly number: number;
  /** Greatest event time on the page. */
  readonly maxTime: number;
}

/** Identity from SHA-256 hex digests of (source, id) and of the canonical content. */
export function identityOf(idHash: string, contentHash: string): EventIdentity {
  return {
    h0: Number.parseInt(idHash.slice(0, 8), 16),
    h1: Number.parseInt(idHash.slice(8, 16), 16),
    h2: Number.parseInt(idHash.slice(16, 24), 16),
    h3: Number.parseInt(idHash.slice(24, 32), 16),
    c0: Number.parseInt(contentHash.slice(0, 8), 16),
    c1: Number.parseInt(contentHash.slice(8, 16), 16),
  };
}

export class DedupeSet {
  #tail = new Uint32Array(2 * WORDS);
  #count = 0;
  /** By number, ascending. */
  #pages: Page[] = [];
  #nextPage = 0;
  /** Of all ids in pages; `undefined` until it is asked. */
  #index: PageIndex | undefined;
  #found: SeenAt | undefined;

  /** Position of what the last `seen` found with other content. */
  get conflictsWith(): SeenAt | undefined {
    return this.#found;
  }

  get empty(): boolean {
    return this.#count === 0 && this.#pages.length === 0;
  }

  get count(): number {
    return this.#count + this.#pages.length * PAGE_IDS;
  }

  /** What it takes beside the bytes that {@link write} writes, in bytes. */
  get indexBytes(): number {
    return this.#index?.memory ?? 0;
  }

  /** Time of the oldest id kept; `undefined` when empty. */
  oldest(store: PageStore): number | undefined {
    let oldest = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) oldest = Math.min(oldest, timeAt(this.#tail, i));
    for (const page of this.#pages) {
      const words = wordsOf(store.readPage(page.number));
      for (let i = 0; i < PAGE_IDS; i++) oldest = Math.min(oldest, timeAt(words, i));
    }
    return Number.isFinite(oldest) ? oldest : undefined;
  }

  /** Greatest event time kept; `undefined` when empty. */
  get newest(): number | undefined {
    let newest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) newest = Math.max(newest, timeAt(this.#tail, i));
    for (const page of this.#pages) newest = Math.max(newest, page.maxTime);
    return Number.isFinite(newest) ? newest : undefined;
  }

  /** Forgets every id. */
  clear(store: PageStore): void {
    for (const page of this.#pages) store.dropPage(page.number);
    this.#pages = [];
    this.#index = undefined;
    this.#count = 0;
    this.#nextPage = 0;
    this.#tail = new Uint32Array(2 * WORDS);
  }

  /** Whether the id was seen with a time at or after `notBefore` (the watermark less the horizon). */
  seen(identity: EventIdentity, notBefore: number, store: PageStore): Seen {
    this.#found = undefined;
    const inTail = this.#lookUp(this.#tail, this.#count, identity, notBefore);
    if (inTail !== "new" || this.#pages.length === 0) return inTail;
    this.#index ??= this.#buildIndex(store);
    for (let place = this.#index.next(identity.h0, -1); place >= 0; place = this.#index.next(identity.h0, place)) {
      const page = this.#page(this.#index.pageAt(place));
      if (page === undefined || page.maxTime < notBefore) continue;
      const found = this.#lookUp(wordsOf(store.readPage(page.number)), PAGE_IDS, identity, notBefore);
      if (found !== "new") return found;
    }
    return "new";
  }

  /** Remembers an id. `notBefore` as in `seen`: what is older may be forgotten. */
  add(identity: EventIdentity, time: number, at: SeenAt, notBefore: number, store: PageStore): void {
    if (this.#count === PAGE_IDS) this.#makeRoom(notBefore, store);
    const word = this.#count++ * WORDS;
    if (word === this.#tail.length) {
      const grown = new Uint32Array(Math.min(PAGE_WORDS, this.#tail.length * 2));
      grown.set(this.#tail);
      this.#tail = grown;
    }
    const tail = this.#tail;
    const stored = time + TIME_OFFSET;
    tail[word] = identity.h0;
    tail[word + 1] = identity.h1;
    tail[word + 2] = identity.h2;
    tail[word + 3] = identity.h3;
    tail[word + 4] = identity.c0;
    tail[word + 5] = identity.c1;
    tail[word + 6] = Math.floor(stored / 2 ** 32);
    tail[word + 7] = stored % 2 ** 32;
    tail[word + 8] = at.index * 2 ** SEQUENCE_HIGH_BITS + Math.floor(at.sequence / 2 ** 32);
    tail[word + 9] = at.sequence % 2 ** 32;
  }

  write(writer: ByteWriter): void {
    writer.uint(this.#count);
    writer.words(this.#tail, this.#count * WORDS);
    writer.uint(this.#nextPage);
    writer.uint(this.#pages.length);
    for (const page of this.#pages) {
      writer.uint(page.number);
      writer.f64(page.maxTime);
    }
  }

  static read(reader: ByteReader): DedupeSet {
    const set = new DedupeSet();
    set.#count = reader.uint();
    let room = 2;
    while (room < set.#count) room *= 2;
    set.#tail = new Uint32Array(room * WORDS);
    reader.words(set.#tail, set.#count * WORDS);
    set.#nextPage = reader.uint();
    const pages = reader.uint();
    for (let i = 0; i < pages; i++) set.#pages.push({ number: reader.uint(), maxTime: reader.f64() });
    return set;
  }

  #makeRoom(notBefore: number, store: PageStore): void {
    if (this.#pages.some(({ maxTime }) => maxTime < notBefore)) {
      for (const page of this.#pages) if (page.maxTime < notBefore) store.dropPage(page.number);
      this.#pages = this.#pages.filter(({ maxTime }) => maxTime >= notBefore);
    }
    let live = 0;
    let maxTime = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.#count; i++) {
      const time = timeAt(this.#tail, i);
      if (time < notBefore) continue;
      if (live !== i) this.#tail.copyWithin(live * WORDS, i * WORDS, (i + 1) * WORDS);
      live++;
      maxTime = Math.max(maxTime, time);
    }
    this.#count = live;
    if (live < PAGE_IDS) return;
    const page: Page = { number: this.#nextPage++, maxTime };
    store.writePage(page.number, bytesOf(this.#tail));
    this.#pages.push(page);
    if (this.#index !== undefined) this.#indexPage(this.#index, page, this.#tail);
    this.#count = 0;
  }

  #lookUp(words: Uint32Array, count: number, identity: EventIdentity, notBefore: number): Seen {
    const { h0, h1, h2, h3 } = identity;
    for (let at = 0, end = count * WORDS; at < end; at += WORDS) {
      if (words[at] !== h0 || words[at + 1] !== h1 || words[at + 2] !== h2 || words[at + 3] !== h3) continue;
      if (timeAt(words, at / WORDS) < notBefore) continue;
      if (words[at + 4] === identity.c0 && words[at + 5] === identity.c1) return "same";
      this.#found = {
        sequence: (words[at + 8]! % 2 ** SEQUENCE_HIGH_BITS) * 2 ** 32 + words[at + 9]!,
        index: words[at + 8]! >>> SEQUENCE_HIGH_BITS,
      };
      return "other";
    }
    return "new";
  }

  #buildIndex(store: PageStore): PageIndex {
    const index = new PageIndex();
    for (const page of this.#pages) this.#indexPage(index, page, wordsOf(store.readPage(page.number)));
    return index;
  }

  #indexPage(index: PageIndex, page: Page, words: Uint32Array): void {
    const isThere = (number: number): boolean => this.#page(number) !== undefined;
    for (let at = 0; at < PAGE_WORDS; at += WORDS) index.add(words[at]!, page.number, isThere);
  }

  #page(number: number): Page | undefined {
    let from = 0;
    let to = this.#pages.length - 1;
    while (from <= to) {
      const middle = (from + to) >>> 1;
      const page = this.#pages[middle]!;
      if (page.number === number) return page;
      if (page.number < number) from = middle + 1;
      else to = middle - 1;
    }
    return undefined;
  }
}

function timeAt(words: Uint32Array, i: number): number {
  return words[i * WORDS + 6]! * 2 ** 32 + words[i * WORDS + 7]! - TIME_OFFSET;
}

function bytesOf(words: Uint32Array): Uint8Array {
  const writer = new ByteWriter();
  writer.words(words, words.length);
  return writer.finish();
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  new ByteReader(bytes).words(words, words.length);
  return words;
}
