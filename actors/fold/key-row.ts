/**
 * One row per key: its dedupe set, and for each actor type the cells, timers and waiting calls of that key's actor. The slots of
 * cells share this row, their entries are rows of their own; its bytes are a function of its value alone.
 */
import { ByteReader, ByteWriter } from "../model/bytes.ts";
import { readKey } from "../model/key.ts";
import { readAny, writeAny } from "../model/layout.ts";
import { DedupeSet } from "./dedupe.ts";
import { EntryTable, type Expiry, readExpiry, writeExpiry } from "./entry-row.ts";
import type { Hold } from "./held-rows.ts";
import type { CallAddress } from "./keys.ts";
import type { Shape, Shapes } from "./shapes.ts";

export interface TimerRecord {
  /** Number of the timer in its section's shape. */
  readonly timer: number;
  /** As a written token. */
  readonly id: string;
  readonly at: number;
  /**
   * Where it stands in the index: `at` or earlier. A timer moved later keeps its place there until that comes due,
   * so that a timer which every event pushes back costs no index row per event. `undefined`: it is due, and stands in
   * no index while a call holds the key.
   */
  readonly indexedAt: number | undefined;
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
  /** That it is written with: an earlier build's until a handler needs it. */
  readonly shape: Shape;
  /** By the cell's number in the shape. */
  readonly cells: CellState[];
  readonly timers: TimerRecord[];
  /** Its calls that wait for their result, in the order in which they were asked for. Replaced, never changed. */
  calls: readonly CallAddress[];
}

/** Shared by all sections that have none, which are most. */
export const NO_CALLS: readonly CallAddress[] = [];

export class KeyRow {
  readonly token: string;
  readonly slot: number;
  readonly key: string;
  dedupe = new DedupeSet();
  /** Where the end of the dedupe set stands in the index; `undefined` while it is empty. */
  forgetIndexedAt: number | undefined;
  /** By the actor's number in its job; `undefined` while the key has no such actor. */
  readonly sections: (Section | undefined)[] = [];
  /** Of actors that the job does not have any more. */
  readonly gone: Section[] = [];
  /** Of what it holds back, in rows of its own; `undefined` while no call holds it. */
  hold: Hold | undefined = undefined;
  /** Hash of the row as last sealed; 0 while it is not stored. */
  hash = 0n;
  /** Length as last encoded, and what its dedupe set takes beside. */
  ownBytes = 0;
  /** The same with its entries in memory. */
  bytes = 0;
  /** Number of the overlay that changed it last; 0 when unchanged since it was loaded. */
  changedIn = 0;
  /** Number of the overlay that looked at it last. */
  usedIn = 0;
  /** Entries that touched it since the last seal; see TouchIndex. */
  touches: number[] | undefined = undefined;

  constructor(token: string, slot: number) {
    const key = readKey(token);
    if (key === undefined) throw new Error("a row's token is no written key");
    this.token = token;
    this.slot = slot;
    this.key = key;
  }

  /** The section of an actor, in the shape given when there is none yet. */
  section(actor: number, shape: Shape): Section {
    let section = this.sections[actor];
    if (section === undefined) {
      section = { shape, cells: shape.cells.map(emptyCell), timers: [], calls: NO_CALLS };
      this.sections[actor] = section;
    }
    return section;
  }

  /** By the actor's name, whether or not the job still has it. */
  sectionOf(actor: string): Section | undefined {
    return this.sections.find((section) => section?.shape.actor === actor) ?? this.gone.find(({ shape }) => shape.actor === actor);
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

export function emptyCell(): CellState {
  return { slot: undefined, expiry: undefined, entries: undefined };
}

const FORMAT = 4;
const CELL = { slot: 1, expiry: 2, entries: 4, ending: 8 } as const;

export class KeyRowCodec {
  readonly #shapes: Shapes;
  readonly #writer = new ByteWriter();

  constructor(shapes: Shapes) {
    this.#shapes = shapes;
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
    for (const section of row.sections) {
      if (section === undefined || !isPresent(section)) continue;
      empty = false;
      writeSection(writer, section);
    }
    for (const section of row.gone) {
      if (!isPresent(section)) continue;
      empty = false;
      writeSection(writer, section);
    }
    return empty ? null : writer.finish();
  }

  decode(token: string, slot: number, bytes: Uint8Array): KeyRow {
    const reader = new ByteReader(bytes);
    if (reader.u8() !== FORMAT) throw new RangeError("a key's row has an unknown format");
    const row = new KeyRow(token, slot);
    row.dedupe = DedupeSet.read(reader);
    if (reader.u8() === 1) row.forgetIndexedAt = readAny(reader) as number;
    while (!reader.done) {
      const shape = this.#shapes.byId(reader.uint());
      if (shape === undefined) throw new RangeError("a key's row has a shape that the shard does not know");
      const section = readSection(reader, shape);
      const actor = this.#shapes.numberOf(shape.actor);
      if (actor === -1) row.gone.push(section);
      else row.sections[actor] = section;
    }
    return row;
  }
}

function writeSection(writer: ByteWriter, { shape, cells, timers, calls }: Section): void {
  writer.uint(shape.id);
  for (let i = 0; i < shape.cells.length; i++) {
    const { slot, expiry, entries } = cells[i]!;
    const count = entries?.count ?? 0;
    const ending = entries?.ending ?? 0;
    const bits = (slot === undefined ? 0 : CELL.slot) | (expiry === undefined ? 0 : CELL.expiry) | (count === 0 ? 0 : CELL.entries);
    // Of a cell with a ttl all have an end.
    const counted = ending > 0 && shape.cells[i]!.ttlMs === undefined;
    writer.u8(bits | (counted ? CELL.ending : 0));
    if (slot !== undefined) shape.cells[i]!.slot!.layout.write(writer, slot);
    if (expiry !== undefined) writeExpiry(writer, expiry);
    if (count > 0) writer.uint(count);
    if (counted) writer.uint(ending);
  }
  const sorted = timers.length > 1 ? timers.toSorted(byName) : timers;
  // The lowest bit says whether calls follow: so a section without any has no byte for them.
  writer.uint(sorted.length * 2 + (calls.length === 0 ? 0 : 1));
  for (const record of sorted) {
    writer.uint(record.timer);
    writer.text(record.id);
    writeAny(writer, record.at);
    writeAny(writer, record.indexedAt ?? null);
    shape.timers[record.timer]!.schema?.layout.write(writer, record.data);
    writer.text(record.armedBy);
  }
  if (calls.length > 0) writeCalls(writer, calls);
}

function writeCalls(writer: ByteWriter, calls: readonly CallAddress[]): void {
  writer.uint(calls.length);
  for (const { sequence, index, n } of calls) {
    writer.uint(sequence);
    writer.uint(index);
    writer.uint(n);
  }
}

function readCalls(reader: ByteReader): CallAddress[] {
  return Array.from({ length: reader.uint() }, () => ({ sequence: reader.uint(), index: reader.uint(), n: reader.uint() }));
}

function readSection(reader: ByteReader, shape: Shape): Section {
  const cells: CellState[] = [];
  for (const cell of shape.cells) {
    const holds = reader.u8();
    cells.push({
      slot: (holds & CELL.slot) === 0 ? undefined : cell.slot!.layout.read(reader),
      expiry: (holds & CELL.expiry) === 0 ? undefined : readExpiry(reader),
      entries: (holds & CELL.entries) === 0 ? undefined : readEntries(reader, holds, cell.ttlMs !== undefined),
    });
  }
  const timers: TimerRecord[] = [];
  const head = reader.uint();
  for (let left = Math.floor(head / 2); left > 0; left--) {
    const timer = reader.uint();
    const id = reader.text();
    const at = readAny(reader) as number;
    const indexedAt = (readAny(reader) as number | null) ?? undefined;
    const data = shape.timers[timer]?.schema?.layout.read(reader);
    timers.push({ timer, id, at, indexedAt, data, armedBy: reader.text() });
  }
  return { shape, cells, timers, calls: head % 2 === 1 ? readCalls(reader) : NO_CALLS };
}

function readEntries(reader: ByteReader, holds: number, allEnd: boolean): EntryTable {
  const count = reader.uint();
  return new EntryTable(count, (holds & CELL.ending) === 0 ? (allEnd ? count : 0) : reader.uint());
}

/** Whether a row says anything of it; what says nothing is not stored. */
export function isPresent({ timers, calls, cells }: Section): boolean {
  return timers.length > 0 || calls.length > 0 || cells.some(isFilled);
}

export function isFilled({ slot, entries }: CellState): boolean {
  return slot !== undefined || (entries !== undefined && entries.count > 0);
}

function byName(a: TimerRecord, b: TimerRecord): number {
  return a.timer - b.timer || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
