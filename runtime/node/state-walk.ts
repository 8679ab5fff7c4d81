/**
 * Walks over the rows of a shard, a bounded piece at a time: what its parts cost on disk, and what expires when. What a
 * piece gives are sums over its rows alone; whoever walks adds them up. Two pieces may be of two commits.
 */
import { isFilled, type KeyRow, KeyRowCodec } from "../../actors/fold/key-row.ts";
import { clockPrefix, readEntryRow, readTimerRow, slotRows, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";
import { Shapes } from "../../actors/fold/shapes.ts";
import { dedupeBytes, entryBytes, forgetBytes, slotBytes, slotEndBytes } from "../../actors/fold/stored-size.ts";
import type { Job } from "../../actors/model/job.ts";
import { SLOTS } from "../../actors/model/key.ts";
import { primitives } from "../primitives.ts";
import { tokenOf } from "./actor-record.ts";

/** `cell`: of an actor. `dedupe`: ids that are remembered. `keys`: all else in the rows of keys, such as timers and calls. */
export interface PartSize {
  readonly part: "cell" | "dedupe" | "keys";
  readonly actor: string | null;
  readonly cell: string | null;
  /** Keys in which it is something. */
  actors: number;
  /** Of a cell; of `dedupe` ids, of `keys` timers and calls. */
  entries: number;
  bytes: number;
}

/** What expires in a span of time: entries of a cell, or values; without actor and cell the ids that keys remember. */
export interface ExpiryCount {
  /** Where the span begins, milliseconds. */
  readonly from: number;
  readonly actor: string | null;
  readonly cell: string | null;
  count: number;
}

/** Behind a row; its slot and the number of its table. */
export interface SizePlace {
  readonly slot: number;
  readonly table: number;
  readonly after: string;
}

export interface WalkPiece<T, P> {
  readonly sums: readonly T[];
  readonly rows: number;
  /** Where to go on; `undefined` at the end. */
  readonly next: P | undefined;
}

const TABLES = [TABLE.key, TABLE.page, TABLE.entry] as const;

/** Which of its slots a shard is looked at in: the first `taken` of `of`, which a hash has filled alike. */
export function sampleOf(partition: number, partitions: number, sample: number): { readonly taken: number; readonly of: number } {
  const of = Math.ceil((SLOTS - partition) / partitions);
  return { taken: Math.min(of, Math.max(1, Math.round((of * sample) / SLOTS))), of };
}

/** `slots`: how many of the shard's slots the walk is over. */
export function sizesFrom(
  job: Job,
  rows: CommittedRows,
  { partition, partitions, slots }: { readonly partition: number; readonly partitions: number; readonly slots: number },
  from: SizePlace,
  rowsMax: number,
): WalkPiece<PartSize, SizePlace> {
  const sums = new SizeSums(new KeyRowCodec(new Shapes(job.actors, rows, primitives)));
  let left = rowsMax;
  let { table, after } = from;
  for (let slot = Math.max(from.slot, partition); slot < SLOTS && (slot - partition) / partitions < slots; slot += partitions) {
    for (; table < TABLES.length; table++) {
      const prefix = slotRows(TABLES[table]!, slot);
      const found = rows.scan(after === "" ? prefix : `${prefix}${after}\0`, slotRows(TABLES[table]!, slot + 1), left);
      for (const row of found) sums.add(TABLES[table]!, row);
      left -= found.length;
      if (left <= 0) return { sums: sums.list(), rows: rowsMax, next: { slot, table, after: found.at(-1)!.key.slice(prefix.length) } };
      after = "";
    }
    table = 0;
  }
  return { sums: sums.list(), rows: rowsMax - left, next: undefined };
}

/** In spans of `stepMs`, the earliest first. `after`: a row of the index, without the part that all have. */
export function expiriesFrom(rows: CommittedRows, stepMs: number, after: string, rowsMax: number): WalkPiece<ExpiryCount, string> {
  const prefix = clockPrefix("expiry");
  const sums = new Map<string, ExpiryCount>();
  const found = rows.scan(after === "" ? prefix : `${prefix}${after}\0`, tableEnd(prefix), rowsMax);
  for (const { key } of found) {
    const { time, actor, name } = readTimerRow(key);
    const from = Math.floor(time / stepMs) * stepMs;
    const known = sums.get(`${from} ${actor} ${name}`);
    if (known !== undefined) known.count++;
    else sums.set(`${from} ${actor} ${name}`, { from, actor: actor === "" ? null : actor, cell: actor === "" ? null : name, count: 1 });
  }
  const next = found.length < rowsMax ? undefined : found.at(-1)!.key.slice(prefix.length);
  return { sums: [...sums.values()], rows: found.length, next };
}

class SizeSums {
  readonly #codec: KeyRowCodec;
  readonly #parts = new Map<string, PartSize>();

  constructor(codec: KeyRowCodec) {
    this.#codec = codec;
  }

  add(table: string, row: { readonly key: string; readonly value: Uint8Array }): void {
    if (table === TABLE.page) this.#part("dedupe").bytes += row.key.length + row.value.length;
    else if (table === TABLE.key) this.#keyRow(row.key.length + row.value.length, this.#decode(row));
    else {
      const { actor, cell } = readEntryRow(row.key);
      const part = this.#part("cell", actor, cell);
      part.entries++;
      part.bytes += entryBytes(row);
    }
  }

  list(): readonly PartSize[] {
    return [...this.#parts.values()];
  }

  #decode({ key, value }: { readonly key: string; readonly value: Uint8Array }): KeyRow {
    return this.#codec.decode(tokenOf(key), key.charCodeAt(1) * 256 + key.charCodeAt(2), value);
  }

  #keyRow(bytes: number, row: KeyRow): void {
    const dedupe = this.#part("dedupe");
    const remembered = dedupeBytes(row);
    dedupe.actors++;
    dedupe.entries += row.dedupe.count;
    dedupe.bytes += remembered + forgetBytes(row);
    const keys = this.#part("keys");
    keys.actors++;
    keys.bytes += bytes - remembered;
    for (const section of [...row.sections, ...row.gone]) {
      if (section === undefined) continue;
      keys.entries += section.timers.length + section.calls.length;
      section.shape.cells.forEach((cell, i) => {
        const state = section.cells[i]!;
        if (!isFilled(state)) return;
        const part = this.#part("cell", section.shape.actor, cell.name);
        const slot = slotBytes(cell, state);
        part.actors++;
        part.bytes += slot + slotEndBytes(row.token, section.shape.actor, cell.name, state);
        keys.bytes -= slot;
      });
    }
  }

  #part(part: PartSize["part"], actor: string | null = null, cell: string | null = null): PartSize {
    const name = `${part} ${actor} ${cell}`;
    let known = this.#parts.get(name);
    if (known === undefined) {
      known = { part, actor, cell, actors: 0, entries: 0, bytes: 0 };
      this.#parts.set(name, known);
    }
    return known;
  }
}
