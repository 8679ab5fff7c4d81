/**
 * Keys of the rows of a shard, as binary strings (one char a byte). The first byte is the table.
 */

export const TABLE = {
  meta: "m",
  sums: "h",
  mark: "k",
  hash: "n",
  key: "a",
  page: "d",
  entry: "e",
  redriven: "v",
  failure: "f",
  shape: "s",
  timer: "t",
  reference: "r",
  referenceVersion: "w",
  call: "c",
  held: "p",
  budget: "b",
  pumped: "o",
  sources: "q",
  touches: "i",
} as const;

/** Tables that the state hash covers, beside the meta row. Not the touches: a node may be told to keep none. */
export const HASHED_TABLES = [
  TABLE.key,
  TABLE.page,
  TABLE.entry,
  TABLE.redriven,
  TABLE.failure,
  TABLE.shape,
  TABLE.timer,
  TABLE.reference,
  TABLE.referenceVersion,
  TABLE.call,
  TABLE.pumped,
  TABLE.sources,
  TABLE.held,
  TABLE.budget,
] as const;

/** Of them, those that every store has a sum of; of the ones behind only while they have rows. */
export const ALWAYS_SUMMED = 12;

export const META_ROW = TABLE.meta;
export const SUMS_ROW = TABLE.sums;
/** The state hash of the commit that it came with: it says whether the meta row and the sums are still what they were. */
export const HASH_ROW = TABLE.hash;

const TIME_OFFSET = 2 ** 52;
const TIME_CHARS = 8;

export function keyRow(slot: number, token: string): string {
  return `${TABLE.key}${u16(slot)}${token}`;
}

export function pageRow(slot: number, token: string, page: number): string {
  return `${TABLE.page}${u16(slot)}${token}\0${u32(page)}`;
}

/** Before the rows of a slot in one of the tables that are divided by slots. */
export function slotRows(table: string, slot: number): string {
  return `${table}${u16(slot)}`;
}

/** Of an entry of a cell. Entries of a cell sort by id, behind `entryRow(…, "")`. */
export function entryRow(slot: number, token: string, actor: string, cell: string, id: string): string {
  return `${TABLE.entry}${u16(slot)}${token}\0${actor}\0${cell}\0${id}`;
}

/** Before the rows of all shapes, which stand in the order of their ids. */
export function shapesOf(): string {
  return TABLE.shape;
}

/** Of a shape of an actor; in the table's slot 0. */
export function shapeRow(id: number): string {
  return `${TABLE.shape}${u32(id)}`;
}

/** Of a dead letter that was put back; in the table's slot 0. */
export function redrivenRow(deadLetter: string): string {
  return `${TABLE.redriven}${deadLetter}`;
}

/** Of a handler call of the key that failed and was not put back. */
export function failureRow(slot: number, token: string, call: string): string {
  return `${TABLE.failure}${u16(slot)}${token}\0${call}`;
}

export function markRow(sequence: number): string {
  return `${TABLE.mark}${u64(sequence)}`;
}

/** The sequence of a mark. */
export function readMarkRow(row: string): number {
  return readUint(row, 1, 8);
}

/** Lists the versions of a reference id. */
export function referenceRow(table: string, token: string): string {
  return `${TABLE.reference}${table}\0${token}`;
}

/** Data of one version of a reference id. */
export function referenceVersionRow(table: string, token: string, version: number): string {
  return `${TABLE.referenceVersion}${table}\0${token}\0${u64(version)}`;
}

/** Where a call was asked for: the entry, the event in it, and how many had been asked for there before, counted from 1. */
export interface CallAddress {
  readonly sequence: number;
  readonly index: number;
  readonly n: number;
}

/** Of a call that waits for its result. Sorts in the order in which they were asked for, behind {@link callsOf}. */
export function callRow({ sequence, index, n }: CallAddress): string {
  return `${TABLE.call}${u64(sequence)}${u32(index)}${u32(n)}`;
}

export function readCallRow(row: string): CallAddress {
  return { sequence: readUint(row, 1, 8), index: readUint(row, 9, 4), n: readUint(row, 13, 4) };
}

/** Before the rows of all calls. */
export function callsOf(): string {
  return TABLE.call;
}

/** Of what a shard has spent of a budget; in the table's slot 0. */
export function budgetRow(id: string): string {
  return `${TABLE.budget}${id}`;
}

/** Before the rows of what keys hold back. */
export function heldRows(): string {
  return TABLE.held;
}

/** Says how much a key holds back; before the rows of its events. */
export function heldOf(slot: number, token: string): string {
  return `${TABLE.held}${u16(slot)}${token}`;
}

/** Of an event that is held back. */
export function heldRow(slot: number, token: string, n: number): string {
  return `${heldOf(slot, token)}\0${u32(n)}`;
}

/** Whose entry a row of the table of entries is. */
export function readEntryRow(row: string): { readonly token: string; readonly actor: string; readonly cell: string; readonly id: string } {
  const [token, actor, cell, id] = row.slice(3).split("\0") as [string, string, string, string];
  return { token, actor, cell, id };
}

/** How far a slot has taken what a pump brings of a source partition. */
export function pumpedRow(slot: number, pump: string, source: number): string {
  return `${TABLE.pumped}${u16(slot)}${pump}\0${u16(source)}`;
}

/** The clocks of a pump's source partitions; in the table's slot 0. */
export function sourcesRow(pump: string): string {
  return `${TABLE.sources}${pump}`;
}

/** Sequences of one row of the index of touches. */
export const TOUCHES_BLOCK = 16_384;

/** For which entries touches are indexed; no slot's. */
export const TOUCHED_ROW = `${TABLE.touches}\xff\xff`;

/** Which entries touched a key, of one block of sequences. */
export function touchesRow(slot: number, token: string, block: number): string {
  return `${touchesOf(slot, token)}${u32(block)}`;
}

/** Before the rows of {@link touchesRow} of a key. */
export function touchesOf(slot: number, token: string): string {
  return `${TABLE.touches}${u16(slot)}${token}\0`;
}

export function readTouchesBlock(row: string): number {
  return readUint(row, row.length - 4, 4);
}

/** The clocks of timers, and the one by which state expires. */
export type IndexClock = "event" | "processing" | "expiry";

const CLOCK_CHARS = { event: "e", processing: "p", expiry: "x" } as const;

/**
 * What stands in the index of due times: a timer, or on the clock `expiry` something that expires: the entry `id` of the
 * cell `name`, its slot when `id` is empty, or with an empty `actor` the dedupe set of the key.
 */
export interface TimerAddress {
  readonly clock: IndexClock;
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
export function timerBound(clock: IndexClock, time: number): string {
  return `${clockPrefix(clock)}${u64(time + TIME_OFFSET)}`;
}

/** Before every row of the clock. */
export function clockPrefix(clock: IndexClock): string {
  return `${TABLE.timer}${CLOCK_CHARS[clock]}`;
}

export function clockOf(row: string): IndexClock {
  return row[1] === CLOCK_CHARS.event ? "event" : row[1] === CLOCK_CHARS.processing ? "processing" : "expiry";
}

export function readTimerRow(row: string): TimerAddress {
  const [token, actor, name, id] = row.slice(2 + TIME_CHARS).split("\0") as [string, string, string, string];
  return { clock: clockOf(row), time: readTime(row), token, actor, name, id };
}

export function readTime(row: string): number {
  return readUint(row, 2, TIME_CHARS) - TIME_OFFSET;
}

/** The next table's first key: an exclusive end for scans of one. */
export function tableEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function readUint(row: string, from: number, chars: number): number {
  let value = 0;
  for (let i = from; i < from + chars; i++) value = value * 256 + row.charCodeAt(i);
  return value;
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
