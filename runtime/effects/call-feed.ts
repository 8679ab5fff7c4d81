/**
 * Calls of one shard that nobody has begun to make, in the order in which they were asked for. Memory holds the next
 * ones, as the fold asks for them; what is beyond the bound is read from the rows when those are used up. So however
 * many wait, they cost rows and no memory.
 *
 * The fold tells it of each change in the middle of a handler, so it only takes notes.
 */
import type { CallRecord } from "../../actors/fold/call-row.ts";
import type { CallWatch, WaitingCalls } from "../../actors/fold/call-table.ts";
import { callsOf } from "../../actors/fold/keys.ts";
import { FRESH_MAX, FRESH_MAX_CHARS, REFILL_CALLS } from "./bounds.ts";

export interface FreshCall {
  readonly row: string;
  readonly call: CallRecord;
}

export class CallFeed implements CallWatch {
  readonly #fresh = new Map<string, CallRecord>();
  /** Its rows by effect and target, each in their order: whether one may begin is a question of whom it goes to, and of its timeout. */
  readonly #groups = new Map<string, Set<string>>();
  #freshChars = 0;
  /** Calls in this row and behind it are read from the rows; `undefined` when memory has all. */
  #rest: string | undefined = callsOf();
  /** Closed since they were last taken. */
  #closed: string[] = [];
  /** Somebody takes what is noted. */
  #open = false;

  asked(row: string, call: CallRecord): void {
    if (this.#rest !== undefined && row >= this.#rest) return;
    if (this.#fresh.size >= FRESH_MAX || this.#freshChars + call.input.length > FRESH_MAX_CHARS) this.#rest = row;
    else this.#add(row, call);
  }

  closed(row: string): void {
    if (!this.#drop(row) && this.#open) this.#closed.push(row);
  }

  /** Rows of calls that were taken before and do not wait any more, since the last call of this. */
  takeClosed(): readonly string[] {
    const closed = this.#closed;
    if (closed.length > 0) this.#closed = [];
    return closed;
  }

  /** Nothing waits to be made. */
  get empty(): boolean {
    return this.#fresh.size === 0 && this.#rest === undefined;
  }

  /**
   * The first call that `mayBegin` allows, of those in memory: of several that go to one target the first one is asked
   * for, and stands for those behind it. `read` reads the rows, as the fold has them now; `taken` tells which of them were
   * taken before.
   */
  take(
    mayBegin: (call: CallRecord) => boolean,
    taken: (row: string) => boolean,
    read: (from: string, limit: number) => WaitingCalls,
  ): FreshCall | undefined {
    this.#open = true;
    for (;;) {
      const row = this.#firstThat(mayBegin);
      if (row !== undefined) {
        const call = this.#fresh.get(row)!;
        this.#drop(row);
        return { row, call };
      }
      // None may begin, as when one origin is slow: one for another may stand further behind.
      if (this.#rest === undefined || this.#fresh.size + REFILL_CALLS > FRESH_MAX || this.#freshChars >= FRESH_MAX_CHARS) return undefined;
      const { calls, next } = read(this.#rest, REFILL_CALLS);
      this.#rest = next;
      for (const { row, call } of calls) if (!taken(row)) this.#add(row, call);
    }
  }

  /** Looks at all rows again: for a call that was taken and still waits. */
  rewind(): void {
    this.#fresh.clear();
    this.#groups.clear();
    this.#freshChars = 0;
    this.#rest = callsOf();
  }

  /** All of them are looked at only by their targets: when one is slow, a thousand wait for it each time that one may begin. */
  #firstThat(mayBegin: (call: CallRecord) => boolean): string | undefined {
    let first: string | undefined;
    for (const rows of this.#groups.values()) {
      const [row] = rows;
      if ((first === undefined || row! < first) && mayBegin(this.#fresh.get(row!)!)) first = row!;
    }
    return first;
  }

  /** Nobody takes what is noted any more; who begins again looks at all rows. */
  leave(): void {
    this.#open = false;
    this.#closed = [];
    this.rewind();
  }

  #add(row: string, call: CallRecord): void {
    this.#fresh.set(row, call);
    const rows = this.#groups.get(groupOf(call));
    if (rows === undefined) this.#groups.set(groupOf(call), new Set([row]));
    else rows.add(row);
    this.#freshChars += call.input.length;
  }

  #drop(row: string): boolean {
    const call = this.#fresh.get(row);
    if (call === undefined) return false;
    this.#fresh.delete(row);
    const rows = this.#groups.get(groupOf(call))!;
    rows.delete(row);
    if (rows.size === 0) this.#groups.delete(groupOf(call));
    this.#freshChars -= call.input.length;
    return true;
  }
}

function groupOf({ actor, effect, target }: CallRecord): string {
  return `${actor}.${effect} ${target}`;
}
