/**
 * One row per key: its dedupe set, and for each actor type the cells and timers of that key's actor. The slots of
 * cells share this row, their entries are rows of their own; its bytes are a function of its value alone.
 */
import type { Actor } from "../model/actor.ts";
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { readKey } from "../model/key.ts";
import { readAny, writeAny } from "../model/layout.ts";
import { DedupeSet } from "./dedupe.ts";
import { EntryTable, type Expiry, readExpiry, writeExpiry } from "./entry-row.ts";

export interface TimerRecord {
  /** Number of the timer in its actor's declaration. */
  readonly timer: number;
  /** As a written token. */
  readonly id: string;
  readonly at: number;
  /**
   * Where it stands in the index: `at` or earlier. A timer moved later keeps its place there until that comes due,
   * so that a timer which every event pushes back costs no index row per event.
   */
  readonly indexedAt: number;
  readonly data: unknown;
  /** Id of the event that armed it. */
  readonly armedBy: string;
}

/** What one cell keeps. */
export interface CellState {
  /** `undefined` while it is empty. */
  slot: unknown;
  /** Of the slot. */
  expiry: Expiry | undefined;
  entries: EntryTable | undefined;
}

export interface Section {
  /** By the cell's number. */
  readonly cells: CellState[];
  readonly timers: TimerRecord[];
}

export class KeyRow {
  readonly token: string;
  readonly slot: number;
  readonly key: string;
  dedupe = new DedupeSet();
  /** Where the end of the dedupe set stands in the index; `undefined` while it is empty. */
  forgetIndexedAt: number | undefined;
  /** By the actor's number in its job; `undefined` while the key has no such actor. */
  readonly sections: (Section | undefined)[] = [];
  /** Hash of the row as last sealed; 0 while it is not stored. */
  hash = 0n;
  /** Length as last encoded. */
  ownBytes = 0;
  /** The same with its entries in memory. */
  bytes = 0;
  /** Number of the overlay that changed it last; 0 when unchanged since it was loaded. */
  changedIn = 0;
  /** Number of the overlay that looked at it last. */
  usedIn = 0;

  constructor(token: string, slot: number) {
    const key = readKey(token);
    if (key === undefined) throw new Error("a row's token is no written key");
    this.token = token;
    this.slot = slot;
    this.key = key;
  }

  section(actor: number, cells: number): Section {
    let section = this.sections[actor];
    if (section === undefined) {
      section = { cells: Array.from({ length: cells }, emptyCell), timers: [] };
      this.sections[actor] = section;
    }
    return section;
  }

  /** Lets go of entries that have not changed since the overlay `sealed`; gives their bytes. */
  dropEntries(sealed: number): number {
    let dropped = 0;
    for (const section of this.sections) {
      for (const { entries } of section?.cells ?? []) {
        if (entries === undefined) continue;
        for (const [id, entry] of entries.rows) {
          if (entry.changedIn > sealed) continue;
          entries.rows.delete(id);
          dropped += entry.bytes;
        }
      }
    }
    return dropped;
  }
}

function emptyCell(): CellState {
  return { slot: undefined, expiry: undefined, entries: undefined };
}

const FORMAT = 2;
const CELL = { slot: 1, expiry: 2, entries: 4 } as const;

export class KeyRowCodec {
  readonly #actors: readonly Actor[];
  readonly #writer = new ByteWriter();

  constructor(actors: readonly Actor[]) {
    this.#actors = actors;
  }

  /** `null` for a row that says nothing: it is not stored. */
  encode(row: KeyRow): Uint8Array | null {
    const writer = this.#writer;
    writer.reset();
    writer.u8(FORMAT);
    row.dedupe.write(writer);
    writer.u8(row.forgetIndexedAt === undefined ? 0 : 1);
    if (row.forgetIndexedAt !== undefined) writeAny(writer, row.forgetIndexedAt);
    let empty = row.dedupe.empty;
    for (let i = 0; i < this.#actors.length; i++) {
      const section = row.sections[i];
      const present = section !== undefined && (section.timers.length > 0 || section.cells.some(isFilled));
      writer.u8(present ? 1 : 0);
      if (!present) continue;
      empty = false;
      this.#writeSection(writer, this.#actors[i]!, section);
    }
    return empty ? null : writer.finish();
  }

  decode(token: string, slot: number, bytes: Uint8Array): KeyRow {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT) throw new RangeError("a key's row has an unknown format");
    const row = new KeyRow(token, slot);
    row.dedupe = DedupeSet.read(reader);
    if (reader.u8() === 1) row.forgetIndexedAt = readAny(reader) as number;
    for (let i = 0; i < this.#actors.length; i++) {
      if (reader.u8() === 1) row.sections[i] = readSection(reader, this.#actors[i]!);
    }
    if (!reader.done) throw new RangeError("a key's row is longer than its layout");
    return row;
  }

  #writeSection(writer: ByteWriter, actor: Actor, section: Section): void {
    writer.uint(actor.version);
    for (let i = 0; i < actor.cells.length; i++) {
      const { slot, expiry, entries } = section.cells[i]!;
      const count = entries?.count ?? 0;
      writer.u8((slot === undefined ? 0 : CELL.slot) | (expiry === undefined ? 0 : CELL.expiry) | (count === 0 ? 0 : CELL.entries));
      if (slot !== undefined) actor.cells[i]!.slot!.layout.write(writer, slot);
      if (expiry !== undefined) writeExpiry(writer, expiry);
      if (count > 0) writer.uint(count);
    }
    const timers = section.timers.length > 1 ? section.timers.toSorted(byName) : section.timers;
    writer.uint(timers.length);
    for (const record of timers) {
      writer.uint(record.timer);
      writer.text(record.id);
      writeAny(writer, record.at);
      writeAny(writer, record.indexedAt);
      const schema = actor.timers[record.timer]!.schema;
      if (schema !== undefined) schema.layout.write(writer, record.data);
      writer.text(record.armedBy);
    }
  }
}

function readSection(reader: ByteReader, actor: Actor): Section {
  const version = reader.uint();
  if (version > actor.version) throw new RangeError(`actor "${actor.name}" was stored by version ${version}, this is ${actor.version}`);
  const cells: CellState[] = [];
  for (const cell of actor.cells) {
    const holds = reader.u8();
    cells.push({
      slot: (holds & CELL.slot) === 0 ? undefined : cell.slot!.layout.read(reader),
      expiry: (holds & CELL.expiry) === 0 ? undefined : readExpiry(reader),
      entries: (holds & CELL.entries) === 0 ? undefined : new EntryTable(reader.uint()),
    });
  }
  const timers: TimerRecord[] = [];
  for (let left = reader.uint(); left > 0; left--) {
    const timer = reader.uint();
    const id = reader.text();
    const at = readAny(reader) as number;
    const indexedAt = readAny(reader) as number;
    const schema = actor.timers[timer]?.schema;
    const data = schema === undefined ? undefined : schema.layout.read(reader);
    timers.push({ timer, id, at, indexedAt, data, armedBy: reader.text() });
  }
  return { cells, timers };
}

function isFilled({ slot, entries }: CellState): boolean {
  return slot !== undefined || (entries !== undefined && entries.count > 0);
}

function byName(a: TimerRecord, b: TimerRecord): number {
  return a.timer - b.timer || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
