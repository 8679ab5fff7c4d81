/**
 * What must hold between the rows that a shard has committed, whatever it went through: every index row has its owner
 * and every owner its index row, counts count what is there, and the sums of the state hash are those of the rows.
 */
import assert from "node:assert/strict";
import { decodeBudget } from "../../actors/fold/budget-rows.ts";
import { decodeCall } from "../../actors/fold/call-row.ts";
import { decodeEntry } from "../../actors/fold/entry-row.ts";
import { committedHold } from "../../actors/fold/held-rows.ts";
import { type KeyRow, KeyRowCodec, type Section } from "../../actors/fold/key-row.ts";
import {
  callRow,
  entryRow,
  HASHED_TABLES,
  keyRow,
  META_ROW,
  pageRow,
  readCallRow,
  referenceVersionRow,
  SUMS_ROW,
  TABLE,
  type TimerAddress,
  timerRow,
} from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { readSteps } from "../../actors/fold/reference-state.ts";
import { Shapes } from "../../actors/fold/shapes.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import type { Job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import { primitives } from "../../runtime/primitives.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";

type Stored = Pick<ShardStore, "get" | "scan">;

export function assertRowsHold(store: Stored, job: Job): void {
  const shapes = new Shapes(job.actors, store, primitives);
  const codec = new KeyRowCodec(shapes);
  const owned = new Owned(store);
  let keys = 0;
  for (const { key, value } of rowsOf(store, TABLE.key)) {
    keys++;
    const token = key.slice(3);
    const row = codec.decode(token, slotOf(token), value);
    assert.equal(key, keyRow(row.slot, token));
    assert.deepEqual(codec.encode(row), value, `the row of ${token} has other bytes when it is written anew`);
    owned.key(row);
  }
  for (const { key, value } of rowsOf(store, TABLE.reference)) {
    const [table, token] = key.slice(1).split("\0") as [string, string];
    for (const { version, ended } of readSteps(value)) if (!ended) owned.rows.add(referenceVersionRow(table, token, version));
  }
  for (const table of [TABLE.timer, TABLE.entry, TABLE.page, TABLE.call, TABLE.referenceVersion]) {
    const stored = rowsOf(store, table).map(({ key }) => key);
    const wanted = [...owned.rows].filter((key) => key.startsWith(table)).sort();
    assert.deepEqual(stored, wanted, `rows of table ${table}`);
  }
  assertHeldRows(store);
  assertBudgetRows(store);
  const meta = readMeta(store.get(META_ROW)!)!;
  assert.deepEqual({ keys: meta.keys, timers: meta.timers, calls: meta.calls }, { keys, timers: owned.timers, calls: owned.calls });
  assert.deepEqual(Buffer.from(store.get(SUMS_ROW)!), Buffer.from(sumsOf(store).write()), "sums of the state hash");
}

/** What a key holds is what its rows say, and as many calls hold it as wait and do. */
function assertHeldRows(store: Stored): void {
  const calls = rowsOf(store, TABLE.call).map(({ key, value }) => decodeCall(readCallRow(key), value));
  const held = new Map<string, number[]>();
  const heads = new Set<string>();
  for (const { key, value } of rowsOf(store, TABLE.held)) {
    const [head, n] = key.length > 5 && key.at(-5) === "\0" ? [key.slice(0, -5), key.slice(-4)] : [key, undefined];
    if (n === undefined) heads.add(head);
    else held.set(head, [...(held.get(head) ?? []), value.length]);
  }
  for (const head of held.keys()) assert.ok(heads.has(head), "events are held by a key that says nothing of them");
  for (const head of heads) {
    const token = head.slice(3);
    const hold = committedHold(store, slotOf(token), token)!;
    const sizes = held.get(head) ?? [];
    const own = calls.filter((call) => call.token === token && call.holds).length;
    assert.deepEqual(
      [hold.next - hold.first, hold.bytes, hold.calls],
      [sizes.length, sizes.reduce((sum, size) => sum + size, 0), own],
      `what ${token} holds`,
    );
  }
}

/** What calls that wait have taken of a window is what its budget says. */
function assertBudgetRows(store: Stored): void {
  const calls = rowsOf(store, TABLE.call).map(({ key, value }) => decodeCall(readCallRow(key), value));
  for (const { key, value } of rowsOf(store, TABLE.budget)) {
    const id = key.slice(1);
    const { from, until, used, reserved } = decodeBudget(value);
    const taken = calls.flatMap((call) => call.taken ?? []).filter((one) => one.id === id && one.from === from && one.until === until);
    const sum = taken.reduce((all, { units }) => all + units, 0);
    assert.ok(from < until && used >= 0, id);
    assert.equal(reserved, sum, id);
  }
}

/** Rows that must be there because another one says so. */
class Owned {
  readonly rows = new Set<string>();
  readonly #store: Stored;
  timers = 0;
  calls = 0;

  constructor(store: Stored) {
    this.#store = store;
  }

  key(row: KeyRow): void {
    const readPage = (page: number): Uint8Array => {
      const key = pageRow(row.slot, row.token, page);
      this.rows.add(key);
      return this.#store.get(key)!;
    };
    row.dedupe.oldest({ readPage, writePage: () => assert.fail(), dropPage: () => assert.fail() });
    assert.equal(row.forgetIndexedAt === undefined, row.dedupe.empty, `${row.token}: what is remembered is forgotten once`);
    if (row.forgetIndexedAt !== undefined)
      this.#index({ clock: "expiry", time: row.forgetIndexedAt, token: row.token, actor: "", name: "", id: "" });
    for (const section of [...row.sections, ...row.gone]) if (section !== undefined) this.#section(row, section);
  }

  #section(row: KeyRow, section: Section): void {
    const { token } = row;
    const { actor } = section.shape;
    for (const { timer, id, at, indexedAt } of section.timers) {
      const { name, clock } = section.shape.timers[timer]!;
      if (indexedAt === undefined) continue;
      assert.ok(indexedAt <= at);
      this.#index({ clock, time: indexedAt, token, actor, name, id });
      this.timers++;
    }
    for (const address of section.calls) {
      const key = callRow(address);
      const call = decodeCall(readCallRow(key), this.#store.get(key)!);
      assert.deepEqual([call.token, call.actor], [token, actor]);
      this.rows.add(key);
      this.calls++;
    }
    section.shape.cells.forEach((cell, i) => {
      const { slot, expiry, entries } = section.cells[i]!;
      let ending = 0;
      const expires = (id: string, kept: typeof expiry): void => {
        assert.ok(kept !== undefined || cell.ttlMs === undefined, `${actor}.${cell.name} ${id}`);
        if (kept === undefined) return;
        ending++;
        assert.ok(kept.indexedAt <= kept.at);
        this.#index({ clock: "expiry", time: kept.indexedAt, token, actor, name: cell.name, id });
      };
      if (cell.entry === undefined && slot !== undefined) expires("", expiry);
      else assert.equal(expiry, undefined, `${actor}.${cell.name} is empty and has an end`);
      if (cell.kind === "list") assert.equal(slot === undefined, (entries?.count ?? 0) === 0, "a list that is empty has no number");
      if (cell.entry === undefined) return;
      const prefix = entryRow(row.slot, token, actor, cell.name, "");
      const found = this.#store.scan(prefix, `${prefix}\xff`, Number.POSITIVE_INFINITY);
      assert.equal(found.length, entries?.count ?? 0, `${actor}.${cell.name} counts its entries`);
      for (const { key, value } of found) {
        this.rows.add(key);
        expires(key.slice(prefix.length), decodeEntry(value, cell.entry.layout).expiry);
      }
      assert.equal(ending, entries?.ending ?? 0, `${actor}.${cell.name} counts those that have an end`);
    });
  }

  #index(address: TimerAddress): void {
    const key = timerRow(address);
    assert.ok(!this.rows.has(key), `two owners of one index row: ${JSON.stringify(address)}`);
    this.rows.add(key);
  }
}

/** Worked out anew from the rows of every table that the state hash covers. */
function sumsOf(store: Stored): StateSums {
  const sums = new StateSums();
  for (const table of HASHED_TABLES) {
    for (const { key, value } of rowsOf(store, table)) sums.replace(table, slotIn(table, key, value), 0n, primitives.rowHash(key, value));
  }
  return sums;
}

function slotIn(table: string, key: string, value: Uint8Array): number {
  if (table === TABLE.timer) return slotOf(key.slice(10, key.indexOf("\0", 10)));
  if (table === TABLE.call) return slotOf(decodeCall(readCallRow(key), value).token);
  if (table === TABLE.reference || table === TABLE.referenceVersion) return slotOf(key.slice(1).split("\0")[1]!);
  if (table === TABLE.shape || table === TABLE.redriven || table === TABLE.sources || table === TABLE.budget) return 0;
  return key.charCodeAt(1) * 256 + key.charCodeAt(2);
}

function rowsOf(store: Stored, table: string): ReturnType<ShardStore["scan"]> {
  return store.scan(table, String.fromCharCode(table.charCodeAt(0) + 1), Number.POSITIVE_INFINITY);
}
