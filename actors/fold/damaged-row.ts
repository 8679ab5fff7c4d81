/**
 * A committed row that is not what was written: a disk's fault, or a program's that wrote beside Tidemark. It is no
 * failure of a handler, although one may have asked for the row: nothing may be folded on it, so whoever folds stops.
 */
import { readKey } from "../model/key.ts";
import { TABLE } from "./keys.ts";

export class DamagedRow extends Error {
  /** Its key in the store. */
  readonly row: string;

  /** `what`: how it is damaged, to stand behind "The row … of …". */
  constructor(row: string, what: string, cause?: unknown) {
    super(`${describeRow(row)} ${what}.`, cause === undefined ? {} : { cause });
    this.name = "DamagedRow";
    this.row = row;
  }
}

/** Runs what decodes the row; whatever that throws is the row's fault. */
export function undamaged<T>(row: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof DamagedRow) throw error;
    throw new DamagedRow(row, `cannot be read: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}

/** Throws it when a damaged row is why something else failed: that is nobody's failure to deal with. */
export function throwDamage(thrown: unknown): void {
  for (let error = thrown; error instanceof Error; error = error.cause) if (error instanceof DamagedRow) throw error;
}

const DIVIDED: readonly string[] = [TABLE.key, TABLE.page, TABLE.entry, TABLE.failure, TABLE.held];

export function tableName(table: string): string {
  return Object.entries(TABLE).find(([, letter]) => letter === table)?.[0] ?? `0x${table.charCodeAt(0).toString(16)}`;
}

/** Table, and where the table is divided by slots, slot and key. */
export function describeRow(row: string): string {
  const table = tableName(row[0]!);
  if (!DIVIDED.includes(row[0]!) || row.length < 3) return `The row ${JSON.stringify(row)} of table ${table}`;
  const slot = row.charCodeAt(1) * 256 + row.charCodeAt(2);
  const [token, ...rest] = row.slice(3).split("\0");
  const within = rest.length === 0 ? "" : ` (${rest.map((part) => JSON.stringify(part)).join(", ")})`;
  return `The row of key ${JSON.stringify(readKey(token!) ?? token)}${within} in table ${table}, slot ${slot},`;
}
