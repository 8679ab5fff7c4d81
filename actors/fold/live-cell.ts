/**
 * What a cell's handle works on while a handler runs: its slot and entries of the key in hand. Every change is written
 * down in the unit's undo list, within the bounds of state, and with the time at which it expires.
 */
import { type AnyCell, type CellStore, type EntryRange, type Lifetime, ttlMsOf } from "../model/cell.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Schema } from "../model/schema.ts";
import * as bound from "./bounds.ts";
import { type EntryRow, EntryTable, type Expiry } from "./entry-row.ts";
import type { CellState, KeyRow } from "./key-row.ts";
import { entryRow, type TimerAddress } from "./keys.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

export class LiveCell implements CellStore {
  readonly path: string;
  readonly #shard: ShardState;
  readonly #unit: Unit;
  readonly #cell: AnyCell;
  readonly #names: { readonly actorName: string; readonly cellName: string };
  readonly #find: (create: boolean) => CellState | undefined;

  /** `find` gives what the cell keeps for the key in hand; `create` when there must be something. */
  constructor(
    shard: ShardState,
    unit: Unit,
    cell: AnyCell & { readonly name: string },
    actorName: string,
    find: (create: boolean) => CellState | undefined,
  ) {
    this.path = `state.${cell.name}`;
    this.#shard = shard;
    this.#unit = unit;
    this.#cell = cell;
    this.#names = { actorName, cellName: cell.name };
    this.#find = find;
  }

  slot(): unknown {
    const state = this.#find(false);
    return state === undefined || this.#expired(state.expiry) ? undefined : state.slot;
  }

  setSlot(value: unknown, lifetime?: Lifetime): void {
    const ttlMs = this.#ttlMs(lifetime);
    const kept = this.#keep(this.#cell.slot!, value);
    const row = this.#unit.row;
    const state = this.#find(true)!;
    this.#assign(row, state, kept);
    if (this.#cell.entry === undefined) this.#expire(row, state, "", ttlMs);
  }

  clear(): void {
    const row = this.#unit.row;
    const state = this.#find(false);
    if (state === undefined) return;
    for (const id of this.#ids(row, state.entries)) this.deleteEntry(id);
    this.clearSlot();
  }

  clearSlot(): void {
    const row = this.#unit.row;
    const state = this.#find(false);
    if (state?.slot === undefined) return;
    this.#assign(row, state, undefined);
    this.#unexpire(row, state, "");
  }

  count(): number {
    const table = this.#find(false)?.entries;
    if (table === undefined || table.ending === 0) return table?.count ?? 0;
    let count = 0;
    for (const _ of this.entries()) count++;
    return count;
  }

  entry(id: string): unknown {
    const found = this.#entry(id);
    return found === undefined || this.#expired(found.expiry) ? undefined : found.value;
  }

  *entries(range?: EntryRange): Iterable<readonly [string, unknown]> {
    for (const id of this.#ids(this.#unit.row, this.#find(false)?.entries, range)) {
      const value = this.entry(id);
      if (value !== undefined) yield [id, value];
    }
  }

  setEntry(id: string, value: unknown, lifetime?: Lifetime): void {
    const ttlMs = this.#ttlMs(lifetime);
    const kept = this.#keep(this.#cell.entry!, value);
    const row = this.#unit.row;
    const state = this.#find(true)!;
    state.entries ??= new EntryTable(0);
    const table = state.entries;
    const entry = this.#load(row, table, id);
    if (entry.value === undefined && table.count >= bound.CELL_ENTRIES_MAX) {
      throw new HandlerError(
        "STATE_TOO_MANY_ENTRIES",
        `${this.path}: a cell has at most ${bound.CELL_ENTRIES_MAX} entries. Give them a ttl, or spread them over keys.`,
      );
    }
    this.#put(row, table, id, entry, kept);
    this.#expire(row, entry, id, ttlMs);
  }

  deleteEntry(id: string): boolean {
    const row = this.#unit.row;
    const state = this.#find(false);
    const entry = this.#entry(id);
    if (state === undefined || entry === undefined || entry.value === undefined) return false;
    const seen = !this.#expired(entry.expiry);
    this.#put(row, state.entries!, id, entry, undefined);
    this.#unexpire(row, entry, id);
    // So that an emptied cell leaves nothing behind.
    if (this.#cell.countsEntries && state.entries!.count === 0 && state.slot !== undefined) this.#assign(row, state, undefined);
    return seen;
  }

  expiresAt(id = ""): number | undefined {
    const kept = this.#cell.entry === undefined ? this.#find(false) : this.#entry(id);
    return this.#expired(kept?.expiry) ? undefined : kept?.expiry?.at;
  }

  /** Gives what was just written the end that it had before: for a migration. */
  keepExpiry(id: string, at: number): void {
    const kept = this.#cell.entry === undefined ? this.#find(false) : this.#entry(id);
    const isThere = kept !== undefined && ("key" in kept ? kept.value : kept.slot) !== undefined;
    if (isThere) this.#setExpiry(this.#unit.row, kept, id, { at, indexedAt: at });
  }

  /** At an index row that is due: takes the slot or entry out, or moves the row to its true time. */
  sweep(address: TimerAddress): boolean {
    const row = this.#unit.row;
    const kept = address.id === "" ? this.#find(false) : this.#entry(address.id);
    const expiry = kept?.expiry;
    if (kept === undefined || expiry === undefined || expiry.indexedAt !== address.time)
      throw new Error(`the index names something to expire that its actor does not have: ${JSON.stringify(address)}`);
    const gone = expiry.at <= expiry.indexedAt;
    if (!gone) this.#setExpiry(row, kept, address.id, { at: expiry.at, indexedAt: expiry.at });
    else if (address.id === "") this.clear();
    else this.deleteEntry(address.id);
    return gone;
  }

  /** A copy: the handler may change the cell while it goes through it. */
  #ids(row: KeyRow, table: EntryTable | undefined, range?: EntryRange): readonly string[] {
    if (table === undefined || table.count === 0) return [];
    table.ids ??= this.#shard.entryIds(row, this.#names, table);
    const { ids } = table;
    return range === undefined ? [...ids] : ids.slice(firstAt(ids, range.from), firstAt(ids, range.to));
  }

  /** The entry as it is, expired or not; `undefined` when the cell has none at all. */
  #entry(id: string): EntryRow | undefined {
    const row = this.#unit.row;
    const table = this.#find(false)?.entries;
    return table === undefined || table.count === 0 ? undefined : this.#load(row, table, id);
  }

  #load(row: KeyRow, table: EntryTable, id: string): EntryRow {
    let entry = table.rows.get(id);
    if (entry === undefined) {
      const key = entryRow(row.slot, row.token, this.#names.actorName, this.#names.cellName, id);
      entry = this.#shard.loadEntry(row, key, this.#cell.entry!.layout);
      table.rows.set(id, entry);
    }
    return entry;
  }

  #assign(row: KeyRow, state: CellState, slot: unknown): void {
    const old = state.slot;
    this.#unit.undo.push(() => {
      state.slot = old;
    });
    state.slot = slot;
    this.#shard.changed(row);
  }

  #put(row: KeyRow, table: EntryTable, id: string, entry: EntryRow, value: unknown): void {
    const old = entry.value;
    const set = (to: unknown, from: unknown): void => {
      entry.value = to;
      if ((to === undefined) === (from === undefined)) return;
      table.count += to === undefined ? -1 : 1;
      table.note(id, to !== undefined);
    };
    this.#unit.undo.push(() => set(old, value));
    set(value, old);
    this.#shard.changed(row);
    this.#shard.changedEntry(row, entry);
  }

  #ttlMs(lifetime: Lifetime | undefined): number | undefined {
    if (lifetime?.ttl === undefined) return this.#cell.ttlMs;
    try {
      return ttlMsOf(lifetime.ttl);
    } catch (error) {
      throw new HandlerError("STATE_TTL", `${this.path}: ${(error as Error).message}`);
    }
  }

  #expire(row: KeyRow, kept: CellState | EntryRow, id: string, ttlMs: number | undefined): void {
    if (ttlMs === undefined) {
      this.#unexpire(row, kept, id);
      return;
    }
    const at = this.#unit.clock + ttlMs;
    const known = kept.expiry?.indexedAt;
    this.#setExpiry(row, kept, id, { at, indexedAt: known !== undefined && known <= at ? known : at });
  }

  #unexpire(row: KeyRow, kept: CellState | EntryRow, id: string): void {
    if (kept.expiry !== undefined) this.#setExpiry(row, kept, id, undefined);
  }

  #setExpiry(row: KeyRow, kept: CellState | EntryRow, id: string, expiry: Expiry | undefined): void {
    const old = kept.expiry;
    const table = "key" in kept ? this.#find(false)!.entries! : undefined;
    const set = (to: Expiry | undefined, from: Expiry | undefined): void => {
      kept.expiry = to;
      if (table !== undefined) table.ending += (to === undefined ? 0 : 1) - (from === undefined ? 0 : 1);
    };
    this.#unit.undo.push(() => set(old, expiry));
    set(expiry, old);
    this.#shard.changed(row);
    if ("key" in kept) this.#shard.changedEntry(row, kept);
    if (old?.indexedAt === expiry?.indexedAt) return;
    const address = (time: number): TimerAddress => {
      const { actorName, cellName } = this.#names;
      return { clock: "expiry", time, token: row.token, actor: actorName, name: cellName, id };
    };
    if (old !== undefined) this.#index(row, address(old.indexedAt), false);
    if (expiry !== undefined) this.#index(row, address(expiry.indexedAt), true);
  }

  #index(row: KeyRow, address: TimerAddress, add: boolean): void {
    const put = () => this.#shard.addTimer(address, row.slot);
    const take = () => this.#shard.removeTimer(address, row.slot);
    if (add) put();
    else take();
    this.#unit.undo.push(add ? take : put);
  }

  #expired(expiry: Expiry | undefined): boolean {
    return expiry !== undefined && expiry.at <= this.#unit.clock;
  }

  /** A value as a row may keep it, within its bound. */
  #keep(schema: Schema<unknown>, value: unknown): unknown {
    return this.#unit.keep(this.#shard, schema, value, this.path);
  }
}

/** How many ids come before it. */
function firstAt(ids: readonly string[], id: string): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ids[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
