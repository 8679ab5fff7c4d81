/** A piece of a shard's index of what touched a key, from its committed rows. */
import { readTouchesBlock, TOUCHES_BLOCK, touchesOf, touchesRow } from "../../actors/fold/keys.ts";
import { readTouched, readTouches } from "../../actors/fold/touch-index.ts";
import { slotOf } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import type { IndexPiece } from "../history/key-touches.ts";
import type { ShardStore } from "../store/shard-store.ts";

const ROWS = 8;

/** Throws STATE_DAMAGED. */
export function indexPiece(store: Pick<ShardStore, "get" | "scan">, token: string, from: number, max: number): IndexPiece {
  try {
    return readPiece(store, token, from, max);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TidemarkError("STATE_DAMAGED", `The index of what touched ${JSON.stringify(token)} cannot be read: ${error.message}.`);
  }
}

function readPiece(store: Pick<ShardStore, "get" | "scan">, token: string, from: number, max: number): IndexPiece {
  const slot = slotOf(token);
  const start = touchesRow(slot, token, Math.floor(from / TOUCHES_BLOCK));
  const prefix = touchesOf(slot, token);
  const rows = store.scan(start, `${prefix.slice(0, -1)}\x01`, ROWS);
  const sequences: number[] = [];
  let read = 0;
  for (; read < rows.length && sequences.length < max; read++) {
    const { key, value } = rows[read]!;
    for (const sequence of readTouches(readTouchesBlock(key), value)) if (sequence >= from) sequences.push(sequence);
  }
  const whole = rows.length < ROWS && read === rows.length && sequences.length <= max;
  return { sequences: sequences.slice(0, max), whole, covered: readTouched(store) };
}
