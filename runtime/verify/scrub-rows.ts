/** Rows of one commit, read in pieces, and where each of them counts in the state hash. Knows no job: the rows say how they are laid out. */
import { decodeCall } from "../../actors/fold/call-row.ts";
import { KeyRowCodec } from "../../actors/fold/key-row.ts";
import { HASH_ROW, META_ROW, readCallRow, readTimerRow, SUMS_ROW, TABLE } from "../../actors/fold/keys.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { Shapes } from "../../actors/fold/shapes.ts";
import { slotOf } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import type { Row } from "../store/shard-store.ts";

/** Tables of one row, under their letters. */
export const SINGLE_ROWS: ReadonlySet<string> = new Set([META_ROW, SUMS_ROW, HASH_ROW]);
const SCAN_ROWS = 1_000;

export function* rowsBetween(rows: CommittedRows, start: string, end: string): Generator<Row> {
  for (let from = start; ; ) {
    const found = rows.scan(from, end, SCAN_ROWS);
    yield* found;
    if (found.length < SCAN_ROWS) return;
    from = `${found.at(-1)!.key}\0`;
  }
}

/** Reads rows of keys by the shapes that the shard keeps. `undefined` when those cannot be read. */
export function codecOf(rows: CommittedRows): KeyRowCodec | undefined {
  try {
    return new KeyRowCodec(new Shapes([], rows, primitives));
  } catch {
    return undefined;
  }
}

/** The slot that a row of one of the hashed tables counts in; `undefined` when the row does not say. */
export function slotOfRow({ key, value }: Row): number | undefined {
  try {
    switch (key[0]) {
      case TABLE.timer:
        return slotOf(readTimerRow(key).token);
      case TABLE.call:
        return slotOf(decodeCall(readCallRow(key), value).token);
      case TABLE.reference:
      case TABLE.referenceVersion:
        return slotOf(key.slice(1).split("\0")[1]!);
      case TABLE.shape:
      case TABLE.redriven:
      case TABLE.sources:
      case TABLE.budget:
        return 0;
      default:
        return key.length < 3 ? undefined : key.charCodeAt(1) * 256 + key.charCodeAt(2);
    }
  } catch {
    return undefined;
  }
}

/** The written key in a row of a table that is divided by slots. */
export function tokenIn(row: string): string {
  const rest = row.slice(3);
  const end = rest.indexOf("\0");
  return end === -1 ? rest : rest.slice(0, end);
}
