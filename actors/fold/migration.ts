/**
 * Brings what an earlier build left of an actor to the shape of this one, when a handler first needs it. Cells whose
 * declaration is the same stay as they are; others are read as plain values, handed through the actor's `migrate`
 * functions from version to version, checked and written anew. Cells and timers that this build does not declare go;
 * calls wait on, for their rows need no shape.
 *
 * Done inside the unit of the handler: what fails leaves the old state as it was, and a dead letter.
 */
import type { Actor } from "../model/actor.ts";
import type { AnyCell, CellKind } from "../model/cell.ts";
import { sameCell } from "../model/cells/restored-cell.ts";
import { HandlerError } from "../model/handler-error.ts";
import type { Layout } from "../model/layout.ts";
import type { Schema } from "../model/schema.ts";
import { EntryTable } from "./entry-row.ts";
import { type CellState, emptyCell, isFilled, isPresent, type KeyRow, type Section, type TimerRecord } from "./key-row.ts";
import { LiveCell } from "./live-cell.ts";
import type { Shape } from "./shapes.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

type Plain = Readonly<Record<string, unknown>>;

/** `drop` takes a timer out of the old section. */
export function migrate(
  shard: ShardState,
  unit: Unit,
  actor: Actor,
  to: Shape,
  row: KeyRow,
  number: number,
  drop: (record: TimerRecord) => void,
): void {
  const from = row.sections[number]!;
  const oldCells = new Map(from.shape.cells.map((cell, i) => [cell.name, { cell, state: from.cells[i]! }]));
  const live = (cell: Shape["cells"][number], state: CellState): LiveCell => new LiveCell(shard, unit, cell, from.shape.actor, () => state);
  const old: Record<string, unknown> = {};
  for (const [name, { cell, state }] of oldCells) if (isFilled(state)) old[name] = cell.plain(live(cell, state));
  // Emptied meanwhile, it is as good as gone: whether it is still in memory must not show.
  const next = isPresent(from) ? migrated(actor, from.shape.version, old) : {};

  const fresh: Section = { shape: to, cells: [], timers: [], calls: from.calls };
  for (const cell of to.cells) {
    const known = oldCells.get(cell.name);
    const stays = known !== undefined && sameCell(known.cell, cell) && next[cell.name] === old[cell.name];
    fresh.cells.push(stays ? known.state : emptyCell());
    if (stays) oldCells.delete(cell.name);
  }
  const expiries = new Map(
    [...oldCells].map(([name, { cell, state }]) => [name, { kind: cell.kind, ttlMs: cell.ttlMs, ends: expiriesOf(live(cell, state)) }]),
  );
  for (const { cell, state } of oldCells.values()) live(cell, state).clear();
  to.cells.forEach((cell, i) => {
    const emptied = oldCells.get(cell.name)?.state.entries;
    if (cell.entry !== undefined && emptied !== undefined) fresh.cells[i]!.entries = adopted(emptied, cell.entry.layout, unit);
    if (next[cell.name] === undefined || isFilled(fresh.cells[i]!)) return;
    const store = live(cell, fresh.cells[i]!);
    try {
      cell.load(store, next[cell.name]);
    } catch (error) {
      throw migrationFailed(actor, from.shape, error);
    }
    keepExpiries(cell, store, expiries.get(cell.name));
  });
  for (const record of [...from.timers]) {
    const carried = carriedTimer(actor, record, from.shape, to);
    if (carried === undefined) drop(record);
    else fresh.timers.push(carried);
  }
  row.sections[number] = fresh;
  unit.undo.push(() => {
    row.sections[number] = from;
  });
  shard.changed(row);
}

/** The emptied entries under another layout: their rows are still stored, so they must not be read anew. */
function adopted(emptied: EntryTable, layout: Layout, unit: Unit): EntryTable {
  const table = new EntryTable(0);
  for (const [id, entry] of emptied.rows) {
    const before = entry.layout;
    entry.layout = layout;
    unit.undo.push(() => {
      entry.layout = before;
    });
    table.rows.set(id, entry);
  }
  return table;
}

function migrated(actor: Actor, version: number, old: Plain): Plain {
  let next: unknown = old;
  for (let to = version + 1; to <= actor.version; to++) {
    const step = actor.migrate[to];
    if (step === undefined) continue;
    next = step(next as Plain);
    if (typeof next !== "object" || next === null || Array.isArray(next))
      throw new HandlerError("STATE_MIGRATION", `actor "${actor.name}": migrate[${to}] gave no object. Return the state by cell.`);
  }
  return next as Plain;
}

function migrationFailed(actor: Actor, from: Shape, error: unknown): HandlerError {
  const what = error instanceof Error ? error.message : String(error);
  return new HandlerError(
    "STATE_MIGRATION",
    `actor "${actor.name}": what version ${from.version} has left does not fit version ${actor.version}: ${what} Raise the version and give it a migrate function.`,
  );
}

function expiriesOf(cell: LiveCell): [id: string, at: number][] {
  const found: [string, number][] = [];
  for (const id of ["", ...[...cell.entries()].map(([entry]) => entry)]) {
    const at = cell.expiresAt(id);
    if (at !== undefined) found.push([id, at]);
  }
  return found;
}

/** Of a list the elements are numbered anew, and only when none went or came it is known which is which. */
function keepExpiries(
  cell: AnyCell,
  store: LiveCell,
  before: { readonly kind: CellKind; readonly ttlMs: number | undefined; readonly ends: [string, number][] } | undefined,
): void {
  if (before === undefined || (cell.kind === "list") !== (before.kind === "list")) return;
  // A time to live that was taken away: what is there is to stay.
  if (cell.ttlMs === undefined && before.ttlMs !== undefined) return;
  if (cell.kind !== "list") {
    for (const [id, at] of before.ends) store.keepExpiry(id, at);
    return;
  }
  const ids = [...store.entries()].map(([id]) => id);
  if (ids.length !== before.ends.length) return;
  before.ends.forEach(([, at], i) => {
    store.keepExpiry(ids[i]!, at);
  });
}

/** The timer under its number in the new shape; `undefined` when that does not declare it. */
function carriedTimer(actor: Actor, record: TimerRecord, from: Shape, to: Shape): TimerRecord | undefined {
  const { name, clock } = from.timers[record.timer]!;
  const timer = to.timers.findIndex((candidate) => candidate.name === name && candidate.clock === clock);
  const declared = to.timers[timer];
  if (declared === undefined) return undefined;
  return { ...record, timer, data: carriedData(actor, declared, record.data, from) };
}

/** Data of a timer that an earlier build armed, as this one declares it. Throws STATE_MIGRATION when it is not that. */
export function carriedData(
  actor: Actor,
  { name, schema }: { readonly name: string; readonly schema: Schema<unknown> | undefined },
  data: unknown,
  from: Shape,
): unknown {
  if (schema === undefined) return undefined;
  if (!schema.check(data)) throw migrationFailed(actor, from, new Error(`timers.${name} ${schema.explain(data)}.`));
  return schema.layout.normalize(data, `timers.${name}`, { bytes: 0 });
}
