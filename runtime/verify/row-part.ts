/**
 * Which part of an actor a byte of a row speaks of. The codec says it without being asked: a part is emptied, the row written
 * again, and the bytes that went were its own.
 */
import { DedupeSet } from "../../actors/fold/dedupe.ts";
import { emptyCell, type KeyRow, type KeyRowCodec, NO_CALLS, type Section } from "../../actors/fold/key-row.ts";
import { readEntryRow, readTimerRow, TABLE } from "../../actors/fold/keys.ts";
import { slotOf } from "../../actors/model/key.ts";
import type { Row } from "../store/shard-store.ts";
import type { FindingPlace } from "./finding.ts";

/** `byte`: counted in the key first, then in the value. */
export function partAt(codec: KeyRowCodec | undefined, row: Row, byte: number): FindingPlace {
  const table = row.key[0]!;
  if (table === TABLE.key) {
    const token = row.key.slice(3);
    const place = { table, slot: slotOf(token), token };
    return byte < row.key.length || codec === undefined
      ? place
      : { ...place, ...partOfKeyRow(codec, token, row.value, byte - row.key.length) };
  }
  if (table === TABLE.entry) {
    const { token, actor, cell } = readEntryRow(row.key);
    return { table, slot: slotOf(token), token, actor, cell };
  }
  if (table === TABLE.timer) {
    const { token, actor, name } = readTimerRow(row.key);
    return { table, slot: slotOf(token), token, ...(actor === "" ? { cell: "dedupe" } : { actor, cell: name }) };
  }
  if (table === TABLE.page || table === TABLE.failure || table === TABLE.held) {
    const token = row.key.slice(3).split("\0")[0]!;
    return { table, slot: slotOf(token), token, ...(table === TABLE.page ? { cell: "dedupe" } : {}) };
  }
  return { table };
}

function partOfKeyRow(codec: KeyRowCodec, token: string, bytes: Uint8Array, byte: number): FindingPlace {
  const slot = slotOf(token);
  const without = (empty: (row: KeyRow) => void): boolean => {
    const row = codec.decode(token, slot, bytes);
    empty(row);
    return isWithin(byte, bytes, codec.encode(row) ?? new Uint8Array(0));
  };
  const whole = codec.decode(token, slot, bytes);
  const sectionsOf = (row: KeyRow): Section[] => [...row.sections.filter((section) => section !== undefined), ...row.gone];
  for (const [number, { shape }] of sectionsOf(whole).entries()) {
    const { actor } = shape;
    for (const [i, cell] of shape.cells.entries()) {
      if (without((row) => (sectionsOf(row)[number]!.cells[i] = emptyCell()))) return { actor, cell: cell.name };
    }
    if (without((row) => sectionsOf(row)[number]!.timers.splice(0))) return { actor, cell: "timers" };
    if (without((row) => (sectionsOf(row)[number]!.calls = NO_CALLS))) return { actor, cell: "calls" };
  }
  return without((row) => (row.dedupe = new DedupeSet())) ? { cell: "dedupe" } : {};
}

/** Whether the byte is of those that `shorter` lacks, or has otherwise. */
function isWithin(byte: number, bytes: Uint8Array, shorter: Uint8Array): boolean {
  const shared = Math.min(bytes.length, shorter.length);
  let from = 0;
  while (from < shared && bytes[from] === shorter[from]) from++;
  let same = 0;
  while (same < shared - from && bytes[bytes.length - 1 - same] === shorter[shorter.length - 1 - same]) same++;
  return byte >= from && byte < bytes.length - same;
}
