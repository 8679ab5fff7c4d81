/**
 * Rereads the rows of one slot, all of one commit: their sums, whether they decode, and whether what one row says of another
 * is so. Of the index of timers and of the calls, which no slot divides, it reads those rows that the slot's keys name; so
 * their sums are known without reading those tables from end to end.
 */
import { decodeCall } from "../../actors/fold/call-row.ts";
import { decodeEntry, type Expiry } from "../../actors/fold/entry-row.ts";
import type { KeyRow, KeyRowCodec, Section } from "../../actors/fold/key-row.ts";
import { callRow, entryRow, pageRow, readCallRow, slotRows, TABLE, type TimerAddress, timerRow } from "../../actors/fold/keys.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { readKey, slotOf } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import type { Row } from "../store/shard-store.ts";
import type { FindingPlace, Findings } from "./finding.ts";
import { rowsBetween, tokenIn } from "./scrub-rows.ts";

/** Tables whose sum of a slot this tells. */
export const SLOT_TABLES = [TABLE.key, TABLE.page, TABLE.entry, TABLE.failure, TABLE.pumped, TABLE.timer, TABLE.call, TABLE.held] as const;

const NO_VALUE = new Uint8Array(0);

export class SlotScrub {
  readonly sums = new StateSums();
  /** Read. */
  rowCount = 0;
  readonly #rows: CommittedRows;
  readonly #slot: number;
  readonly #codec: KeyRowCodec | undefined;
  readonly #findings: Findings;

  constructor(rows: CommittedRows, slot: number, codec: KeyRowCodec | undefined, findings: Findings) {
    this.#rows = rows;
    this.#slot = slot;
    this.#codec = codec;
    this.#findings = findings;
    for (const table of [TABLE.page, TABLE.failure, TABLE.pumped, TABLE.held]) for (const row of this.#table(table)) this.#count(row);
    this.#keysAndEntries();
  }

  #keysAndEntries(): void {
    const entries = this.#table(TABLE.entry);
    let next = entries.next();
    const entriesBefore = (isMine: (token: string) => boolean, take: (row: Row) => void): void => {
      for (; next.done !== true && isMine(tokenIn(next.value.key)); next = entries.next()) {
        this.#count(next.value);
        take(next.value);
      }
    };
    const orphan = ({ key }: Row): void =>
      this.#find({ table: TABLE.entry, token: tokenIn(key) }, "an entry of a cell stands without its key's row");
    for (const row of this.#table(TABLE.key)) {
      this.#count(row);
      const token = row.key.slice(3);
      entriesBefore((other) => other < token, orphan);
      const keyRow = this.#decode(row, token);
      const check =
        keyRow === undefined ? undefined : new KeyCheck(this.#rows, keyRow, this.sums, (place, detail) => this.#find(place, detail));
      entriesBefore(
        (other) => other === token,
        (entry) => check?.entry(entry),
      );
      this.rowCount += check?.end() ?? 0;
    }
    entriesBefore(() => true, orphan);
  }

  #decode(row: Row, token: string): KeyRow | undefined {
    if (readKey(token) === undefined || slotOf(token) !== this.#slot) {
      this.#find({ table: TABLE.key, token }, "the row stands in a slot that is not its key's");
      return undefined;
    }
    if (this.#codec === undefined) return undefined;
    try {
      return this.#codec.decode(token, this.#slot, row.value);
    } catch (error) {
      this.#find({ table: TABLE.key, token }, `the row cannot be decoded: ${messageOf(error)}`);
      return undefined;
    }
  }

  *#table(table: string): Generator<Row> {
    yield* rowsBetween(this.#rows, slotRows(table, this.#slot), slotRows(table, this.#slot + 1));
  }

  #count({ key, value }: Row): void {
    this.rowCount++;
    this.sums.replace(key[0]!, this.#slot, 0n, primitives.rowHash(key, value));
  }

  #find(place: FindingPlace, detail: string): void {
    this.#findings.add({ slot: this.#slot, ...place }, detail);
  }
}

/** What the row of one key says of other rows. */
class KeyCheck {
  readonly #rows: CommittedRows;
  readonly #row: KeyRow;
  readonly #sums: StateSums;
  readonly #find: (place: FindingPlace, detail: string) => void;
  /** By actor and cell. */
  readonly #entries = new Map<string, { count: number; ending: number }>();
  #read = 0;

  constructor(rows: CommittedRows, row: KeyRow, sums: StateSums, find: (place: FindingPlace, detail: string) => void) {
    this.#rows = rows;
    this.#row = row;
    this.#sums = sums;
    this.#find = find;
  }

  entry({ key, value }: Row): void {
    const [, actor = "", cell = "", id = ""] = key.slice(3).split("\0");
    const place = { table: TABLE.entry, token: this.#row.token, actor, cell };
    const declared = this.#row.sectionOf(actor)?.shape.cells.find(({ name }) => name === cell);
    if (declared?.entry === undefined || key !== entryRow(this.#row.slot, this.#row.token, actor, cell, id)) {
      this.#find(place, "an entry stands there that no cell of the actor has");
      return;
    }
    const name = `${actor}\0${cell}`;
    const known = this.#entries.get(name) ?? { count: 0, ending: 0 };
    this.#entries.set(name, known);
    known.count++;
    try {
      const { expiry } = decodeEntry(value, declared.entry.layout);
      if (expiry === undefined) return;
      known.ending++;
      this.#expires(actor, cell, id, expiry);
    } catch (error) {
      this.#find(place, `the entry ${JSON.stringify(id)} cannot be decoded: ${messageOf(error)}`);
    }
  }

  /** Call it behind the last entry. Gives how many rows it has read beside them. */
  end(): number {
    const { token, forgetIndexedAt, sections, gone, dedupe } = this.#row;
    for (const section of [...sections, ...gone]) if (section !== undefined) this.#section(section);
    if (forgetIndexedAt !== undefined) this.#index({ clock: "expiry", time: forgetIndexedAt, token, actor: "", name: "", id: "" });
    const refuse = (): never => {
      throw new Error("a scrub never writes");
    };
    try {
      dedupe.oldest({ readPage: (page) => this.#page(page), writePage: refuse, dropPage: refuse });
    } catch (error) {
      this.#find({ table: TABLE.page, token, cell: "dedupe" }, messageOf(error));
    }
    return this.#read;
  }

  #page(page: number): Uint8Array {
    const bytes = this.#rows.get(pageRow(this.#row.slot, this.#row.token, page));
    if (bytes === undefined) throw new RangeError(`the page ${page} of the ids that the key remembers is missing`);
    return bytes;
  }

  #section({ shape, cells, timers, calls }: Section): void {
    const { token } = this.#row;
    const { actor } = shape;
    shape.cells.forEach((cell, i) => {
      const { expiry, entries } = cells[i]!;
      if (expiry !== undefined) this.#expires(actor, cell.name, "", expiry);
      const found = this.#entries.get(`${actor}\0${cell.name}`) ?? { count: 0, ending: 0 };
      if (found.count === (entries?.count ?? 0) && found.ending === (entries?.ending ?? 0)) return;
      const says = `the row of the key says ${entries?.count ?? 0} entries, ${entries?.ending ?? 0} of them with an end`;
      this.#find({ table: TABLE.key, token, actor, cell: cell.name }, `${says}; ${found.count} are there, ${found.ending} with an end`);
    });
    for (const { timer, id, indexedAt } of timers) {
      const declared = shape.timers[timer];
      if (declared === undefined) this.#find({ table: TABLE.key, token, actor, cell: "timers" }, `there is no timer of number ${timer}`);
      else if (indexedAt !== undefined) this.#index({ clock: declared.clock, time: indexedAt, token, actor, name: declared.name, id });
    }
    for (const address of calls) this.#call(actor, callRow(address));
  }

  #expires(actor: string, name: string, id: string, { indexedAt }: Expiry): void {
    this.#index({ clock: "expiry", time: indexedAt, token: this.#row.token, actor, name, id });
  }

  #index(address: TimerAddress): void {
    const { token, slot } = this.#row;
    const { actor, name, clock } = address;
    const key = timerRow(address);
    this.#read++;
    this.#sums.replace(TABLE.timer, slot, 0n, primitives.rowHash(key, NO_VALUE));
    if (this.#rows.get(key)?.length === 0) return;
    const what =
      actor === "" ? "of the ids that the key remembers" : `${clock === "expiry" ? "of what expires in" : "of the timer"} ${name}`;
    this.#find({ table: TABLE.timer, token, ...(actor === "" ? {} : { actor, cell: name }) }, `the index row ${what} is missing`);
  }

  #call(actor: string, key: string): void {
    const { token, slot } = this.#row;
    const place = { table: TABLE.call, token, actor, cell: "calls" };
    this.#read++;
    const bytes = this.#rows.get(key);
    if (bytes === undefined) {
      this.#find(place, "the row of a call that waits is missing");
      return;
    }
    this.#sums.replace(TABLE.call, slot, 0n, primitives.rowHash(key, bytes));
    try {
      const call = decodeCall(readCallRow(key), bytes);
      if (call.token !== token || call.actor !== actor) this.#find(place, "the row of a call that waits names another actor");
    } catch (error) {
      this.#find(place, `the row of a call that waits cannot be decoded: ${messageOf(error)}`);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
