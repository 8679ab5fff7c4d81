/**
 * Which entries touched a key through anything but its own subject: events of batches and of pumps, timers, expiries,
 * results, redrives. Events on the key's subject are found by that. It stands outside the state hash: without it the same
 * questions take a fold.
 *
 * One row for each key and 16,384 sequences, a list of differences, so that a commit adds to few rows. A row's bytes are a
 * function of the sequences in it, however they were committed. A row of its own says for which entries the index was kept.
 *
 * Rows of entries that the log does not have any more go, a few with each commit: so the index is bounded as the log is.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import type { KeyRow } from "./key-row.ts";
import { readTouchesBlock, TABLE, TOUCHED_ROW, TOUCHES_BLOCK, touchesRow } from "./keys.ts";
import type { Cursor } from "./meta.ts";
import type { CommittedRows, Rows } from "./rows.ts";

/** Entries from `from` on and before `to` are indexed. */
export interface TouchedRange {
  readonly from: number;
  readonly to: number;
}

const FORMAT = 1;
/** Before the differences of a row: format, and the offset of its last sequence. */
const HEAD_BYTES = 3;
/** Rows looked at with one commit, while there is something to drop. */
const SWEEP_ROWS = 500;
const NO_BYTES = new Uint8Array(0);

export class TouchIndex {
  readonly #rows: Rows;
  readonly #on: boolean;
  #ranges: TouchedRange[];
  readonly #writer = new ByteWriter();
  #touched: KeyRow[] = [];
  /** The first sequence that anybody may still ask for. */
  #floor = 0;
  /** Blocks before this one are dropped, or are being dropped. */
  #sweptTo = 0;
  /** Where the sweep goes on; `undefined` when there is none. */
  #sweepFrom: string | undefined;

  constructor(rows: Rows, committed: CommittedRows, cursor: Cursor, on: boolean) {
    this.#rows = rows;
    this.#on = on;
    this.#ranges = on ? readTouched(committed) : [];
    // What an earlier build, or a node that was told not to, has folded is a hole.
    const { sequence, index, phase } = cursor;
    const from = index > 0 || phase === "timers" ? sequence + 1 : sequence;
    if (on && this.#ranges.at(-1)?.to !== sequence) this.#ranges.push({ from, to: from });
  }

  touch(row: KeyRow, sequence: number): void {
    if (!this.#on) return;
    const touches = row.touches;
    if (touches === undefined) {
      row.touches = [sequence];
      this.#touched.push(row);
    } else if (touches.length === 0) {
      touches.push(sequence);
      this.#touched.push(row);
    } else if (touches[touches.length - 1] !== sequence) touches.push(sequence);
  }

  /** The log begins at this sequence: what lies before cannot be told any more. */
  forgetBefore(sequence: number): void {
    this.#floor = Math.max(this.#floor, sequence);
  }

  get size(): number {
    return this.#touched.length;
  }

  seal({ sequence }: Cursor): void {
    if (!this.#on) return;
    for (const row of this.#touched) {
      this.#write(row, row.touches!);
      row.touches!.length = 0;
    }
    this.#touched = [];
    this.#sweep();
    const last = this.#ranges.pop()!;
    this.#ranges = this.#ranges.filter(({ to }) => to > this.#floor);
    this.#ranges.push({ from: last.from, to: Math.max(last.from, sequence) });
    this.#rows.set(TOUCHED_ROW, writeTouched(this.#ranges));
  }

  #sweep(): void {
    const block = Math.floor(this.#floor / TOUCHES_BLOCK);
    if (this.#sweepFrom === undefined) {
      if (block <= this.#sweptTo) return;
      this.#sweptTo = block;
      this.#sweepFrom = TABLE.touches;
    }
    const found = this.#rows.stored(this.#sweepFrom, TOUCHED_ROW, SWEEP_ROWS);
    for (const { key } of found) if (readTouchesBlock(key) < this.#sweptTo) this.#rows.set(key, null);
    this.#sweepFrom = found.length < SWEEP_ROWS ? undefined : `${found.at(-1)!.key}\0`;
  }

  #write({ slot, token }: KeyRow, touches: readonly number[]): void {
    for (let i = 0; i < touches.length; ) {
      const block = Math.floor(touches[i]! / TOUCHES_BLOCK);
      const key = touchesRow(slot, token, block);
      const before = this.#rows.get(key);
      const first = block * TOUCHES_BLOCK;
      let last = before === undefined ? -1 : before[1]! * 256 + before[2]!;
      const writer = this.#writer;
      writer.reset();
      for (; i < touches.length && touches[i]! < first + TOUCHES_BLOCK; i++) {
        const offset = touches[i]! - first;
        // The entry may have been touched before a commit within it.
        if (offset > last) writer.uint(offset - last);
        last = Math.max(last, offset);
      }
      const added = writer.finish();
      if (added.length > 0) this.#rows.set(key, joined(before ?? NO_BYTES, added, last));
    }
  }
}

/** Sequences of a row of the index. Throws RangeError for one that no commit has written so. */
export function readTouches(block: number, bytes: Uint8Array): number[] {
  if (bytes[0] !== FORMAT) throw new RangeError("a row of the index of touches has an unknown format");
  const reader = new ByteReader(bytes.subarray(HEAD_BYTES));
  const sequences: number[] = [];
  let offset = -1;
  while (!reader.done) {
    const difference = reader.uint();
    offset += difference;
    if (difference === 0 || offset >= TOUCHES_BLOCK) throw new RangeError("a row of the index of touches does not ascend in its block");
    sequences.push(block * TOUCHES_BLOCK + offset);
  }
  // The head repeats the last of them: so most changed bits are found.
  if (offset !== bytes[1]! * 256 + bytes[2]!) throw new RangeError("a row of the index of touches ends elsewhere than it says");
  return sequences;
}

/** The entries that the index covers; none when it was never kept. */
export function readTouched(rows: Pick<CommittedRows, "get">): TouchedRange[] {
  const bytes = rows.get(TOUCHED_ROW);
  if (bytes === undefined) return [];
  const reader = new ByteReader(bytes);
  if (reader.u8() !== FORMAT) return [];
  return Array.from({ length: reader.uint() }, () => ({ from: reader.uint(), to: reader.uint() }));
}

function writeTouched(ranges: readonly TouchedRange[]): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(FORMAT);
  writer.uint(ranges.length);
  for (const { from, to } of ranges) {
    writer.uint(from);
    writer.uint(to);
  }
  return writer.finish();
}

function joined(before: Uint8Array, added: Uint8Array, last: number): Uint8Array {
  const kept = Math.max(0, before.length - HEAD_BYTES);
  const bytes = new Uint8Array(HEAD_BYTES + kept + added.length);
  bytes[0] = FORMAT;
  bytes[1] = last >> 8;
  bytes[2] = last & 255;
  if (kept > 0) bytes.set(before.subarray(HEAD_BYTES), HEAD_BYTES);
  bytes.set(added, HEAD_BYTES + kept);
  return bytes;
}
