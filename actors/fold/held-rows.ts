/**
 * What a key keeps back while a call that holds it waits: events that were taken and whose handlers have not run. One
 * row says how much there is, and each event has one, in the order in which they came. So a key may hold more than one
 * row should, and an event that comes costs one small row and one large one.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { readAny, writeAny } from "../model/layout.ts";
import { HELD_EVENTS_MAX, HELD_MAX_BYTES } from "./bounds.ts";
import { DamagedRow, undamaged } from "./damaged-row.ts";
import type { KeyRow } from "./key-row.ts";
import { heldOf, heldRow, heldRows, TABLE, tableEnd } from "./keys.ts";
import type { Primitives } from "./primitives.ts";
import type { CommittedRows, Rows } from "./rows.ts";
import type { StateSums } from "./state-hash.ts";

/** The shard's clocks. */
export interface Clocks {
  readonly watermark: number | undefined;
  readonly processingTime: number;
}

/** Of one key. Replaced, never changed. */
export interface Hold {
  /** Calls that wait and hold it. 0 only until what was held has run. */
  readonly calls: number;
  /** Number of its first event, and of the next one that comes. */
  readonly first: number;
  readonly next: number;
  /** Of the rows of its events. */
  readonly bytes: number;
}

/** An event that was taken: what was found then of its time, and the event itself. */
export interface HeldEvent {
  readonly sequence: number;
  readonly index: number;
  /** At which it was taken. */
  readonly clocks: Clocks;
  readonly isLate: boolean;
  readonly behind: boolean;
  /** A CloudEvent, as JSON. */
  readonly text: string;
}

const FORMAT = 1;
const FLAG = { late: 1, behind: 2 } as const;
const NONE: Hold = { calls: 0, first: 0, next: 0, bytes: 0 };
const writer = new ByteWriter();

export class HeldRows {
  readonly #rows: Rows;
  readonly #sums: StateSums;
  readonly #primitives: Primitives;
  /** Whether any key can have a row: a job in which nothing holds does not look for one. */
  readonly #isUsed: boolean;

  /** `mayHold`: whether an effect of the job does. What an earlier build has left is found too. */
  constructor(mayHold: boolean, committed: CommittedRows, rows: Rows, sums: StateSums, primitives: Primitives) {
    this.#rows = rows;
    this.#sums = sums;
    this.#primitives = primitives;
    this.#isUsed = mayHold || committed.scan(heldRows(), tableEnd(heldRows()), 1).length > 0;
  }

  /** What a key that is brought into memory holds. */
  load(row: KeyRow): void {
    if (!this.#isUsed) return;
    const key = heldOf(row.slot, row.token);
    const bytes = this.#rows.get(key);
    row.hold = bytes === undefined ? undefined : undamaged(key, () => decodeHold(bytes));
  }

  /** So many calls more hold the key. Gives its undoing. */
  count(row: KeyRow, by: 1 | -1): () => void {
    const before = row.hold;
    const hold = before ?? NONE;
    this.#set(row, { ...hold, calls: hold.calls + by });
    return () => this.#set(row, before);
  }

  /** Keeps an event back. False when the key holds too much already. */
  keep(row: KeyRow, event: HeldEvent): boolean {
    const hold = row.hold!;
    const bytes = encodeEvent(event);
    if (hold.next - hold.first >= HELD_EVENTS_MAX || hold.bytes + bytes.length > HELD_MAX_BYTES) return false;
    const key = heldRow(row.slot, row.token, hold.next);
    this.#rows.set(key, bytes);
    this.#sums.replace(TABLE.held, row.slot, 0n, this.#primitives.rowHash(key, bytes));
    this.#set(row, { ...hold, next: hold.next + 1, bytes: hold.bytes + bytes.length });
    return true;
  }

  /** The first event of the key, which stays. */
  first(row: KeyRow): HeldEvent | undefined {
    const { first, next } = row.hold!;
    if (first === next) return undefined;
    const { key, bytes } = this.#event(row, first);
    return undamaged(key, () => decodeEvent(bytes));
  }

  /** Takes the first event out. */
  drop(row: KeyRow): void {
    const hold = row.hold!;
    const { key, bytes } = this.#event(row, hold.first);
    this.#rows.set(key, null);
    this.#sums.replace(TABLE.held, row.slot, this.#primitives.rowHash(key, bytes), 0n);
    this.#set(row, { ...hold, first: hold.first + 1, bytes: hold.bytes - bytes.length });
  }

  /** Nothing holds the key, and nothing is held. */
  end(row: KeyRow): void {
    this.#set(row, undefined);
  }

  #event(row: KeyRow, n: number): { readonly key: string; readonly bytes: Uint8Array } {
    const key = heldRow(row.slot, row.token, n);
    const bytes = this.#rows.get(key);
    if (bytes === undefined) throw new DamagedRow(key, "is missing");
    return { key, bytes };
  }

  #set(row: KeyRow, hold: Hold | undefined): void {
    const { slot, token } = row;
    const key = heldOf(slot, token);
    const hashOf = (bytes: Uint8Array | null) => (bytes === null ? 0n : this.#primitives.rowHash(key, bytes));
    const before = row.hold === undefined ? null : encodeHold(row.hold);
    const after = hold === undefined ? null : encodeHold(hold);
    this.#rows.set(key, after);
    this.#sums.replace(TABLE.held, slot, hashOf(before), hashOf(after));
    row.hold = hold;
  }
}

/** Whether the handlers of the key's events and timers have to wait. */
export function isHeld({ hold }: KeyRow): boolean {
  return hold !== undefined && hold.calls > 0;
}

/** What a key holds back, as committed rows have it; `undefined` when no call holds it. */
export function committedHold(rows: CommittedRows, slot: number, token: string): Hold | undefined {
  const key = heldOf(slot, token);
  const bytes = rows.get(key);
  return bytes === undefined ? undefined : undamaged(key, () => decodeHold(bytes));
}

function encodeHold({ calls, first, next, bytes }: Hold): Uint8Array {
  writer.reset();
  writer.u8(FORMAT);
  for (const count of [calls, first, next, bytes]) writer.uint(count);
  return writer.finish();
}

function decodeHold(bytes: Uint8Array): Hold {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new RangeError("what a key holds has an unknown format");
  return { calls: reader.uint(), first: reader.uint(), next: reader.uint(), bytes: reader.uint() };
}

function encodeEvent({ sequence, index, clocks, isLate, behind, text }: HeldEvent): Uint8Array {
  writer.reset();
  writer.u8(FORMAT);
  writer.uint(sequence);
  writer.uint(index);
  writeAny(writer, clocks.watermark ?? null);
  writeAny(writer, clocks.processingTime);
  writer.u8((isLate ? FLAG.late : 0) | (behind ? FLAG.behind : 0));
  writer.text(text);
  return writer.finish();
}

function decodeEvent(bytes: Uint8Array): HeldEvent {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) throw new RangeError("a held event has an unknown format");
  const sequence = reader.uint();
  const index = reader.uint();
  const watermark = (readAny(reader) as number | null) ?? undefined;
  const processingTime = readAny(reader) as number;
  const flags = reader.u8();
  const text = reader.text();
  return {
    sequence,
    index,
    clocks: { watermark, processingTime },
    isLate: (flags & FLAG.late) !== 0,
    behind: (flags & FLAG.behind) !== 0,
    text,
  };
}
