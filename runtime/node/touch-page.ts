/** A piece of a shard's index of what touched a key, from its committed rows. */
import { readTouchesBlock, TOUCHES_BLOCK, touchesOf, touchesRow } from "../../actors/fold/keys.ts";
import { readTouched, readTouches } from "../../actors/fold/touch-index.ts";
import { slotOf } from "../../actors/model/key.ts";
import { TidemarkError } from "../errors.ts";
import type { IndexPiece } from "../history/key-touches.ts";
import type { ShardStore } from "../store/shard-store.ts";

const ROWS = 8;

/** Throws STATE_DAMAGED. */
export function indexPiece(store: Pick<ShardStore, "get" | "scan">, token: string, from: number): IndexPiece {
  try {
    return readPiece(store, token, from);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TidemarkError("STATE_DAMAGED", `The index of what touched ${JSON.stringify(token)} cannot be read: ${error.message}.`);
  }
}

function readPiece(store: Pick<ShardStore, "get" | "scan">, token: string, from: number): IndexPiece {
  const slot = slotOf(token);
  const start = touchesRow(slot, token, Math.floor(from / TOUCHES_BLOCK));
  const prefix = touchesOf(slot, token);
  const rows = store.scan(start, `${prefix.slice(0, -1)}\x01`, ROWS);
  const sequences = rows.flatMap(({ key, value }) => readTouches(readTouchesBlock(key), value)).filter((sequence) => sequence >= from);
  return { sequences, whole: rows.length < ROWS, covered: readTouched(store) };
}
