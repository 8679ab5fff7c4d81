/**
 * The table of calls that wait: added when a handler asks, taken out when a result is applied. Counts them in the meta
 * row and keeps the state hash in step.
 */
import { slotOf } from "../model/key.ts";
import { type CallRecord, decodeCall, encodeCall } from "./call-row.ts";
import { undamaged } from "./damaged-row.ts";
import { type CallAddress, callRow, callsOf, readCallRow, TABLE, tableEnd } from "./keys.ts";
import type { Meta } from "./meta.ts";
import type { Primitives } from "./primitives.ts";
import type { Rows } from "./rows.ts";
import type { StateSums } from "./state-hash.ts";

/** Told of each change of the table, in the middle of a unit and also of what is undone: it may note, and must not act. */
export interface CallWatch {
  asked(row: string, call: CallRecord): void;
  closed(row: string): void;
}

/** Some of the calls that wait; `next`: the row from which the others are read, `undefined` when there are none. */
export interface WaitingCalls {
  readonly calls: readonly { readonly row: string; readonly call: CallRecord }[];
  readonly next: string | undefined;
}

export class CallTable {
  readonly #meta: Meta;
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;
  readonly #watch: CallWatch | undefined;

  constructor(meta: Meta, rows: Rows, sums: StateSums, primitives: Primitives, watch: CallWatch | undefined) {
    this.#meta = meta;
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
    this.#watch = watch;
  }

  /** Address of a call that is asked for now. */
  get next(): CallAddress {
    const { last, lastCall } = this.#meta;
    const others = lastCall?.sequence === last.sequence && lastCall.index === last.index ? lastCall.n : 0;
    return { sequence: last.sequence, index: last.index, n: others + 1 };
  }

  /** `undefined` when no such call waits. */
  get(address: CallAddress): CallRecord | undefined {
    const bytes = this.#rows.get(callRow(address));
    return bytes === undefined ? undefined : undamaged(callRow(address), () => decodeCall(address, bytes));
  }

  /** At most `limit` of those in the row `from` and behind it, in the order in which they were asked for, uncommitted ones included. */
  waiting(from: string, limit: number): WaitingCalls {
    const table = tableEnd(callsOf());
    const { keys, end } = this.#rows.keys(from, table, limit);
    const calls = keys
      .slice(0, limit)
      .map((row) => ({ row, call: undamaged(row, () => decodeCall(readCallRow(row), this.#rows.get(row)!)) }));
    if (keys.length > limit) return { calls, next: keys[limit]! };
    return { calls, next: end === table ? undefined : end };
  }

  /** Gives its undoing. */
  add(call: CallRecord): () => void {
    const before = this.#meta.lastCall;
    this.#meta.lastCall = call.address;
    this.#set(call, true);
    return () => {
      this.#meta.lastCall = before;
      this.#set(call, false);
    };
  }

  /** Writes a call that waits anew. What it asks for stays, so nobody is told. */
  replace(before: CallRecord, after: CallRecord): void {
    const row = callRow(before.address);
    const bytes = encodeCall(after);
    const { rowHash } = this.#primitives;
    this.#sums.replace(TABLE.call, slotOf(before.token), rowHash(row, encodeCall(before)), rowHash(row, bytes));
    this.#rows.set(row, bytes);
  }

  /** Gives its undoing. */
  remove(call: CallRecord): () => void {
    this.#set(call, false);
    return () => this.#set(call, true);
  }

  #set(call: CallRecord, waits: boolean): void {
    const row = callRow(call.address);
    const bytes = encodeCall(call);
    const hash = this.#primitives.rowHash(row, bytes);
    this.#rows.set(row, waits ? bytes : null);
    this.#sums.replace(TABLE.call, slotOf(call.token), waits ? 0n : hash, waits ? hash : 0n);
    this.#meta.calls += waits ? 1 : -1;
    if (waits) this.#watch?.asked(row, call);
    else this.#watch?.closed(row);
  }
}
