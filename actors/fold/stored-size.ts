/**
 * What a cell costs on disk: bytes of its slot, of its entries' rows, and of the index rows that say when they end. Keys
 * of rows are counted, pages and padding of the store are not. What has expired and was not swept yet is still there.
 */
import { ByteWriter } from "../model/bytes.ts";
import { hasEnd, writeExpiry } from "./entry-row.ts";
import type { CellState, KeyRow } from "./key-row.ts";
import { readEntryRow, timerRow } from "./keys.ts";
import type { Shape } from "./shapes.ts";

export interface StoredSize {
  readonly entries: number;
  readonly bytes: number;
}

const INDEX_TIME = 0;

const writer = new ByteWriter();

/** Of the slot in the row of its key; 0 while it is empty. */
export function slotBytes(cell: Shape["cells"][number], { slot, expiry }: CellState): number {
  if (slot === undefined) return 0;
  writer.reset();
  cell.slot!.layout.write(writer, slot);
  if (expiry !== undefined) writeExpiry(writer, expiry);
  return writer.length;
}

/** Of the index row that says when the slot ends; 0 when it does not. */
export function slotEndBytes(token: string, actor: string, cell: string, { expiry }: CellState): number {
  return expiry === undefined ? 0 : endBytes(token, actor, cell, "");
}

/** Of the index row that says when the dedupe set of a key is forgotten. */
export function forgetBytes({ token, forgetIndexedAt }: KeyRow): number {
  return forgetIndexedAt === undefined ? 0 : endBytes(token, "", "", "");
}

/** Of what a key remembers, in its row. */
export function dedupeBytes({ dedupe }: KeyRow): number {
  writer.reset();
  dedupe.write(writer);
  return writer.length;
}

/** Of one row of the table of entries, and of the index row that says when it ends. */
export function entryBytes({ key, value }: { readonly key: string; readonly value: Uint8Array }): number {
  const own = key.length + value.length;
  if (!hasEnd(value)) return own;
  const { token, actor, cell, id } = readEntryRow(key);
  return own + endBytes(token, actor, cell, id);
}

function endBytes(token: string, actor: string, name: string, id: string): number {
  return timerRow({ clock: "expiry", time: INDEX_TIME, token, actor, name, id }).length;
}
