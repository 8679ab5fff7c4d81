/**
 * The due order of all timers of a shard, and of what expires. Rows hold every timer; memory holds the next few thousand, sorted.
 *
 * The near part is complete below `#end`: whatever is added or removed there changes it, the rest only changes rows.
 * When it runs empty the next chunk is read. So a million timers cost rows, not memory, and the next due one is at hand.
 */
import { clockOf, clockPrefix, type IndexClock, tableEnd, timerBound } from "./keys.ts";
import type { Rows } from "./rows.ts";

const CHUNK = 4_096;
const NEAR_MAX = 4 * CHUNK;
const EMPTY = new Uint8Array(0);

export class TimerIndex {
  readonly #clocks: Readonly<Record<IndexClock, ClockIndex>>;

  constructor(rows: Rows) {
    const clock = (name: IndexClock): ClockIndex => new ClockIndex(rows, clockPrefix(name));
    this.#clocks = { event: clock("event"), processing: clock("processing"), expiry: clock("expiry") };
  }

  add(row: string): void {
    this.#clocks[clockOf(row)].add(row);
  }

  remove(row: string): void {
    this.#clocks[clockOf(row)].remove(row);
  }

  /** The first timer of the clock with a time below `before`; `undefined` when none is due. */
  firstBefore(clock: IndexClock, before: number): string | undefined {
    return this.#clocks[clock].firstBelow(timerBound(clock, before));
  }

  first(clock: IndexClock): string | undefined {
    return this.#clocks[clock].firstBelow(tableEnd(clockPrefix(clock)));
  }
}

class ClockIndex {
  readonly #rows: Rows;
  readonly #tableEnd: string;
  #near: string[] = [];
  /** Rows of `#near` before it are gone. */
  #head = 0;
  #end: string;

  constructor(rows: Rows, prefix: string) {
    this.#rows = rows;
    this.#tableEnd = tableEnd(prefix);
    this.#end = prefix;
  }

  add(row: string): void {
    this.#rows.set(row, EMPTY);
    if (row >= this.#end) return;
    const at = this.#search(row);
    if (at === this.#near.length) this.#near.push(row);
    else if (this.#near[at] !== row) this.#near.splice(at, 0, row);
    if (this.#near.length - this.#head > NEAR_MAX) this.#shrink();
  }

  remove(row: string): void {
    this.#rows.set(row, null);
    if (row >= this.#end) return;
    const at = this.#search(row);
    if (this.#near[at] !== row) return;
    if (at === this.#head) this.#head++;
    else this.#near.splice(at, 1);
    if (this.#head > CHUNK) this.#dropHead();
  }

  firstBelow(bound: string): string | undefined {
    for (;;) {
      const first = this.#near[this.#head];
      if (first !== undefined) return first < bound ? first : undefined;
      if (this.#end >= bound || this.#end >= this.#tableEnd) return undefined;
      const { keys, end } = this.#rows.keys(this.#end, this.#tableEnd, CHUNK);
      this.#near = keys;
      this.#head = 0;
      this.#end = end;
    }
  }

  #shrink(): void {
    this.#near = this.#near.slice(this.#head, this.#head + CHUNK);
    this.#head = 0;
    this.#end = `${this.#near[CHUNK - 1]!}\0`;
  }

  #dropHead(): void {
    this.#near = this.#near.slice(this.#head);
    this.#head = 0;
  }

  #search(row: string): number {
    let low = this.#head;
    let high = this.#near.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#near[middle]! < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
