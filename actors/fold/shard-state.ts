/**
 * The state of one shard while it folds: live rows of keys, the timer index, the sums of the state hash and the meta
 * row, over what the store holds.
 *
 * Live rows are a cache: a row that the store does not have yet is never evicted, one that it has may be at any time,
 * and neither shows in what the fold does.
 */
import type { Job } from "../model/job.ts";
import { slotOf } from "../model/key.ts";
import type { Layout } from "../model/layout.ts";
import { Activations, RESERVED_TABLES } from "./activations.ts";
import { MARK_EVERY_SEQUENCES, MARKS_KEPT } from "./bounds.ts";
import { BudgetRows } from "./budget-rows.ts";
import { CallTable } from "./call-table.ts";
import { DamagedRow, throwDamage, undamaged } from "./damaged-row.ts";
import type { PageStore } from "./dedupe.ts";
import { decodeEntry, type EntryRow, type EntryTable, encodeEntry } from "./entry-row.ts";
import { FailureRows } from "./failure-rows.ts";
import { HeldRows } from "./held-rows.ts";
import { KeyRow, KeyRowCodec } from "./key-row.ts";
import {
  entryRow,
  HASH_ROW,
  keyRow,
  META_ROW,
  markRow,
  pageRow,
  readTime,
  SUMS_ROW,
  shapesOf,
  TABLE,
  type TimerAddress,
  tableEnd,
  timerRow,
} from "./keys.ts";
import { type Meta, writeMeta } from "./meta.ts";
import type { Primitives } from "./primitives.ts";
import { PumpState } from "./pump-state.ts";
import { ReferenceState } from "./reference-state.ts";
import { type CommittedRows, Rows } from "./rows.ts";
import type { SealedGroup, ShardStateOptions } from "./sealed-group.ts";
import { Shapes } from "./shapes.ts";
import { StateSums, stateHash } from "./state-hash.ts";
import { TimerIndex } from "./timer-index.ts";
import { TouchIndex } from "./touch-index.ts";

/** Live rows beyond what must be in memory, as encoded; the objects take some three times as much. */
const LIVE_BYTES_MAX = 64 * 1024 * 1024;
const NO_VALUE = new Uint8Array(0);
const SCAN_ROWS = 4_096;

export class ShardState {
  readonly meta: Meta;
  readonly shapes: Shapes;
  readonly reference: ReferenceState;
  readonly activated: Activations;
  readonly calls: CallTable;
  readonly budgets: BudgetRows;
  readonly held: HeldRows;
  readonly failures: FailureRows;
  readonly pumps: PumpState;
  readonly touches: TouchIndex;
  readonly #primitives: Primitives;
  readonly #codec: KeyRowCodec;
  readonly #rows: Rows;
  readonly #timers: TimerIndex;
  readonly #sums: StateSums;
  readonly #live = new Map<string, KeyRow>();
  readonly #liveMax: number;
  #changed: KeyRow[] = [];
  #changedEntries: { readonly row: KeyRow; readonly entry: EntryRow }[] = [];
  /** Bytes that handlers kept since the last seal. */
  #keptBytes = 0;
  /** Bytes of all live rows, as last encoded. */
  #liveBytes = 0;
  #pageOwner: KeyRow | undefined;
  readonly #pages: PageStore = {
    readPage: (page) => this.#page(page).bytes,
    writePage: (page, bytes) => {
      const { slot, token } = this.#pageOwner!;
      const key = pageRow(slot, token, page);
      this.#rows.set(key, bytes);
      this.#sums.replace(TABLE.page, slot, 0n, this.#primitives.rowHash(key, bytes));
    },
    dropPage: (page) => {
      const { key, bytes } = this.#page(page);
      this.#rows.set(key, null);
      this.#sums.replace(TABLE.page, this.#pageOwner!.slot, this.#primitives.rowHash(key, bytes), 0n);
    },
  };
  /** Number of the open overlay. */
  #overlay = 1;

  constructor(
    job: Job,
    committed: CommittedRows,
    meta: Meta,
    primitives: Primitives,
    { liveRowsMax, calls: watch, timelineIndex = true, champions, ...place }: ShardStateOptions,
  ) {
    this.meta = meta;
    this.#primitives = primitives;
    this.#rows = new Rows(committed);
    this.#timers = new TimerIndex(this.#rows);
    const sums = committed.get(SUMS_ROW);
    this.#sums = sums === undefined ? new StateSums() : undamaged(SUMS_ROW, () => StateSums.read(sums));
    this.reference = new ReferenceState([...job.tables.values(), ...RESERVED_TABLES], this.#rows, this.#sums, primitives);
    this.activated = new Activations(this.reference, job, place, champions);
    this.calls = new CallTable(meta, this.#rows, this.#sums, primitives, watch);
    this.budgets = new BudgetRows(this.#rows, this.#sums, primitives);
    const mayHold = job.actors.some(({ effects }) => effects.some(({ hold }) => hold));
    this.held = new HeldRows(mayHold, committed, this.#rows, this.#sums, primitives);
    this.failures = new FailureRows(this.#rows, this.#sums, primitives);
    this.pumps = new PumpState(meta, job.settings, this.#rows, this.#sums, primitives);
    this.#liveMax = liveRowsMax;
    this.touches = new TouchIndex(this.#rows, committed, meta.cursor, timelineIndex);
    const noteShape = (row: string, bytes: Uint8Array): void => {
      this.#rows.set(row, bytes);
      this.#sums.replace(TABLE.shape, 0, 0n, primitives.rowHash(row, bytes));
    };
    this.shapes = undamaged(shapesOf(), () => new Shapes(job.actors, committed, primitives, noteShape));
    this.#codec = new KeyRowCodec(this.shapes);
  }

  /** The row of a key; a fresh one when it has none. `undefined` when the token is no written key. */
  row(token: string): KeyRow | undefined {
    let row = this.#live.get(token);
    if (row === undefined) {
      row = this.#load(token);
      if (row === undefined) return undefined;
      this.#live.set(token, row);
    }
    row.usedIn = this.#overlay;
    return row;
  }

  /** Notes that a row's value changed, so that the next seal writes it. */
  changed(row: KeyRow): void {
    if (row.changedIn === this.#overlay) return;
    row.changedIn = this.#overlay;
    this.#changed.push(row);
  }

  /** The same for an entry of one of its cells. */
  changedEntry(row: KeyRow, entry: EntryRow): void {
    if (entry.changedIn === this.#overlay) return;
    entry.changedIn = this.#overlay;
    this.#changedEntries.push({ row, entry });
  }

  /** An entry of a cell as it was when it was last sealed. */
  loadEntry(row: KeyRow, key: string, layout: Layout): EntryRow {
    const bytes = this.#rows.get(key);
    const entry: EntryRow = { key, layout, value: undefined, expiry: undefined, hash: 0n, bytes: 0, changedIn: 0 };
    if (bytes === undefined) return entry;
    Object.assign(
      entry,
      undamaged(key, () => decodeEntry(bytes, layout)),
    );
    entry.hash = this.#primitives.rowHash(key, bytes);
    this.#resizeEntry(row, entry, bytes.length);
    return entry;
  }

  /**
   * Ids of all entries of a cell, ascending. What changed since the last commit is in memory, whatever else was let go:
   * so the overlays, which hold the rows of all keys, are not looked through.
   */
  entryIds(row: KeyRow, place: { readonly actorName: string; readonly cellName: string }, table: EntryTable): string[] {
    const ids = new Set<string>();
    for (const [id, { value }] of table.rows) if (value !== undefined) ids.add(id);
    if (ids.size === table.count) return [...ids].sort();
    const prefix = entryRow(row.slot, row.token, place.actorName, place.cellName, "");
    const to = tableEnd(prefix);
    for (let from = prefix; ; ) {
      const stored = this.#rows.stored(from, to, SCAN_ROWS);
      for (const { key } of stored) {
        const id = key.slice(prefix.length);
        if (!table.rows.has(id)) ids.add(id);
      }
      if (stored.length < SCAN_ROWS) return [...ids].sort();
      from = `${stored.at(-1)!.key}\0`;
    }
  }

  /** Notes that the entry in hand touched the key, other than by standing on its subject. */
  touch(row: KeyRow): void {
    this.touches.touch(row, this.meta.last.sequence);
  }

  /** Notes how much a handler kept: what an overlay holds is bounded in bytes too. */
  kept(bytes: number): void {
    this.#keptBytes += bytes;
  }

  get keptBytes(): number {
    return this.#keptBytes;
  }

  get changedRows(): number {
    const parts = this.pumps.changedRows + this.budgets.changedRows + this.touches.size;
    return this.#changed.length + this.#changedEntries.length + parts + this.#rows.openSize;
  }

  addTimer(address: TimerAddress, slot: number): void {
    const row = timerRow(address);
    this.#timers.add(row);
    this.#sums.replace(TABLE.timer, slot, 0n, this.#primitives.rowHash(row, NO_VALUE));
    if (address.clock !== "expiry") this.meta.timers++;
  }

  removeTimer(address: TimerAddress, slot: number): void {
    const row = timerRow(address);
    this.#timers.remove(row);
    this.#sums.replace(TABLE.timer, slot, this.#primitives.rowHash(row, NO_VALUE), 0n);
    if (address.clock !== "expiry") this.meta.timers--;
  }

  /**
   * The first index row that is due, processing time first; `undefined` when none is. A timer at t is due when W > t and
   * what expires at t when W >= t, in the order of their times: so a timer's handler sees the state of its own time.
   */
  dueTimer(): string | undefined {
    const { watermark, processingTime } = this.meta;
    const due = this.#timers.firstBefore("processing", processingTime + 1);
    if (due !== undefined || watermark === undefined) return due;
    const timer = this.#timers.firstBefore("event", watermark);
    const expiry = this.#timers.firstBefore("expiry", watermark + 1);
    if (timer === undefined || expiry === undefined) return timer ?? expiry;
    return readTime(expiry) <= readTime(timer) ? expiry : timer;
  }

  /** Notes that the key's ids are remembered until `time`: then its dedupe set is looked at, and forgotten when it has ended. */
  forgetAt(row: KeyRow, time: number | undefined): void {
    const address = (at: number): TimerAddress => ({ clock: "expiry", time: at, token: row.token, actor: "", name: "", id: "" });
    if (row.forgetIndexedAt !== undefined) this.removeTimer(address(row.forgetIndexedAt), row.slot);
    row.forgetIndexedAt = time;
    if (time !== undefined) this.addTimer(address(time), row.slot);
    this.changed(row);
  }

  /** Earliest index row of a clock. */
  firstTimer(clock: "event" | "processing"): string | undefined {
    return this.#timers.first(clock);
  }

  /** Dedupe pages of a key; good until the next call, so that no event costs an object. */
  pages(row: KeyRow): PageStore {
    this.#pageOwner = row;
    return this.#pages;
  }

  /** Whether a group was sealed and not yet committed: then another seal must wait. */
  get sealed(): boolean {
    return this.#rows.sealed;
  }

  /** Closes what changed since the last seal, as of here. `mark`: a sequence under which the state hash is kept. */
  seal(mark?: number): SealedGroup {
    for (const row of this.#changed) this.#encode(row);
    for (const { row, entry } of this.#changedEntries) this.#encodeEntry(row, entry);
    this.#changed = [];
    this.#changedEntries = [];
    this.#keptBytes = 0;
    this.#overlay++;
    this.pumps.seal();
    this.budgets.seal();
    this.touches.seal(this.meta.cursor);
    const metaBytes = writeMeta(this.meta);
    const hash = stateHash(this.#sums, META_ROW, metaBytes, this.#primitives);
    this.#rows.set(META_ROW, metaBytes);
    this.#rows.set(SUMS_ROW, this.#sums.write());
    this.#rows.set(HASH_ROW, this.#primitives.encodeUtf8(hash));
    if (mark !== undefined) {
      this.#rows.set(markRow(mark), this.#primitives.encodeUtf8(hash));
      const outdated = mark - MARKS_KEPT * MARK_EVERY_SEQUENCES;
      if (outdated > 0) this.#rows.set(markRow(outdated), null);
    }
    const changes = this.#rows.seal();
    return { changes, outputs: this.meta.outputs, chain: this.meta.chain, sequence: this.meta.last.sequence, stateHash: hash };
  }

  /** The sealed group is in the store: its rows may leave memory. */
  committed(): void {
    this.#rows.committed();
    if (this.#live.size > this.#liveMax || this.#liveBytes > LIVE_BYTES_MAX) this.#evict();
  }

  #page(page: number): { readonly key: string; readonly bytes: Uint8Array } {
    const { slot, token } = this.#pageOwner!;
    const key = pageRow(slot, token, page);
    const bytes = this.#rows.get(key);
    if (bytes === undefined) throw new DamagedRow(key, "is missing");
    return { key, bytes };
  }

  #load(token: string): KeyRow | undefined {
    const slot = slotOf(token);
    const key = keyRow(slot, token);
    const bytes = this.#rows.get(key);
    if (bytes === undefined) {
      try {
        const fresh = new KeyRow(token, slot);
        this.held.load(fresh);
        return fresh;
      } catch (error) {
        throwDamage(error);
        return undefined;
      }
    }
    const row = undamaged(key, () => this.#codec.decode(token, slot, bytes));
    this.held.load(row);
    row.hash = this.#primitives.rowHash(key, bytes);
    row.ownBytes = this.#resize(row, row.ownBytes, bytes.length);
    return row;
  }

  #encode(row: KeyRow): void {
    const key = keyRow(row.slot, row.token);
    const bytes = this.#codec.encode(row);
    row.ownBytes = this.#resize(row, row.ownBytes, (bytes?.length ?? 0) + row.dedupe.indexBytes);
    const hash = bytes === null ? 0n : this.#primitives.rowHash(key, bytes);
    if (hash === row.hash) return;
    if (row.hash === 0n) this.meta.keys++;
    else if (hash === 0n) this.meta.keys--;
    this.#rows.set(key, bytes);
    this.#sums.replace(TABLE.key, row.slot, row.hash, hash);
    row.hash = hash;
  }

  #encodeEntry(row: KeyRow, entry: EntryRow): void {
    const bytes = encodeEntry(entry);
    this.#resizeEntry(row, entry, bytes?.length ?? 0);
    const hash = bytes === null ? 0n : this.#primitives.rowHash(entry.key, bytes);
    if (hash === entry.hash) return;
    this.#rows.set(entry.key, bytes);
    this.#sums.replace(TABLE.entry, row.slot, entry.hash, hash);
    entry.hash = hash;
  }

  #resizeEntry(row: KeyRow, entry: EntryRow, bytes: number): void {
    entry.bytes = this.#resize(row, entry.bytes, bytes);
  }

  #resize(row: KeyRow, from: number, to: number): number {
    this.#liveBytes += to - from;
    row.bytes += to - from;
    return to;
  }

  /** Down to three quarters of both bounds, oldest first; what is still changing or was just used stays. */
  #evict(): void {
    const sealed = this.#overlay - 1;
    for (const [token, row] of this.#live) {
      if (this.#live.size <= this.#liveMax * 0.75 && this.#liveBytes <= LIVE_BYTES_MAX * 0.75) return;
      if (row.changedIn > sealed || row.usedIn > sealed) {
        const dropped = row.dropEntries(sealed);
        this.#resize(row, dropped, 0);
        continue;
      }
      this.#live.delete(token);
      this.#liveBytes -= row.bytes;
    }
  }
}

/**
 * State hash of what the store holds; `undefined` when nothing was committed. Throws {@link DamagedRow} when the meta row or
 * the sums are not what was committed.
 */
export function committedStateHash(committed: CommittedRows, primitives: Primitives): string | undefined {
  const meta = committed.get(META_ROW);
  const sums = committed.get(SUMS_ROW);
  if (meta === undefined || sums === undefined) return undefined;
  const hash = stateHash(
    undamaged(SUMS_ROW, () => StateSums.read(sums)),
    META_ROW,
    meta,
    primitives,
  );
  const noted = committed.get(HASH_ROW);
  if (noted !== undefined && primitives.decodeUtf8(noted) !== hash)
    throw new DamagedRow(META_ROW, "and the sums of the state hash do not give the state hash that was committed with them");
  return hash;
}
