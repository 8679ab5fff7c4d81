/**
 * Keys of the rows of a shard, as binary strings (one char a byte). The first byte is the table.
 */

export const TABLE = { meta: "m", sums: "h", mark: "k", key: "a", page: "d", timer: "t", reference: "r", referenceVersion: "v" } as const;

/** Tables that the state hash covers, beside the meta row. */
export const HASHED_TABLES = [TABLE.key, TABLE.page, TABLE.timer, TABLE.reference, TABLE.referenceVersion] as const;

export const META_ROW = TABLE.meta;
export const SUMS_ROW = TABLE.sums;

const TIME_OFFSET = 2 ** 52;
const TIME_CHARS = 8;

export function keyRow(slot: number, token: string): string {
  return `${TABLE.key}${u16(slot)}${token}`;
}

export function pageRow(slot: number, token: string, page: number): string {
  return `${TABLE.page}${u16(slot)}${token}\0${u32(page)}`;
}

export function markRow(sequence: number): string {
  return `${TABLE.mark}${u64(sequence)}`;
}

/** Lists the versions of a reference id. */
export function referenceRow(table: string, token: string): string {
  return `${TABLE.reference}${table}\0${token}`;
}

/** Data of one version of a reference id. */
export function referenceVersionRow(table: string, token: string, version: number): string {
  return `${TABLE.referenceVersion}${table}\0${token}\0${u64(version)}`;
}

export interface TimerAddress {
  readonly clock: "event" | "processing";
  readonly time: number;
  readonly token: string;
  readonly actor: string;
  readonly name: string;
  /** As a written token; empty for the default id. */
  readonly id: string;
}

/** Sorts by (clock, time, key, actor, name, id): the order in which timers fire. */
export function timerRow(address: TimerAddress): string {
  return `${timerBound(address.clock, address.time)}${address.token}\0${address.actor}\0${address.name}\0${address.id}`;
}

/** Below every timer of the clock at `time`, above every earlier one. */
export function timerBound(clock: "event" | "processing", time: number): string {
  return `${TABLE.timer}${clock === "event" ? "e" : "p"}${u64(time + TIME_OFFSET)}`;
}

export function readTimerRow(row: string): TimerAddress {
  const [token, actor, name, id] = row.slice(2 + TIME_CHARS).split("\0") as [string, string, string, string];
  return { clock: row[1] === "e" ? "event" : "processing", time: readTime(row), token, actor, name, id };
}

export function readTime(row: string): number {
  let time = 0;
  for (let i = 2; i < 2 + TIME_CHARS; i++) time = time * 256 + row.charCodeAt(i);
  return time - TIME_OFFSET;
}

/** The next table's first key: an exclusive end for scans of one. */
export function tableEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function u16(value: number): string {
  return String.fromCharCode(value >> 8, value & 255);
}

function u32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function u64(value: number): string {
  return u32(Math.floor(value / 2 ** 32)) + u32((value % 2 ** 32) >>> 0);
}
