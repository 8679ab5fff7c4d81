/**
 * Cells: what the state of an actor is made of. A kind of cell is a declaration and a handle; what it keeps lies in
 * at most one slot, which is part of the actor's own row, and in entries, which are rows of their own. The fold gives
 * both, with rollback, bounds and expiry; so a new kind of cell needs nothing from it.
 *
 * Time to live is event time: an entry, or a slot, that was written at t is seen by handlers whose time is before
 * t + ttl, and its row goes when the watermark gets there. t is the event's time, or the watermark where that is
 * ahead of it; in the handler of a processing-time timer it is the watermark. Written again, it lives anew. The ttl is
 * that of the write, else that of the cell; with neither it stays.
 */
import type { Clock } from "./clock.ts";
import type { JsonSchema } from "./layout.ts";
import type { OperatorHost } from "./operators/operator.ts";
import type { Schema } from "./schema.ts";
import { DAY_MS, durationMs } from "./time.ts";

export interface EntryRange {
  readonly from: string;
  readonly to: string;
}

/** What a cell keeps, as it can be read at one moment. Values are frozen, and what has expired is not there. */
export interface CellView {
  /** `undefined` while it is empty. */
  slot(): unknown;
  /** Entries, without those that have expired. */
  count(): number;
  entry(id: string): unknown;
  /** By id, ascending; with a range those from `from` on and before `to`. */
  entries(range?: EntryRange): Iterable<readonly [id: string, value: unknown]>;
  /** When the slot, or the entry `id`, expires; `undefined` when it does not, or is not there. */
  expiresAt(id?: string): number | undefined;
}

/** What a write may say of how long the written lives. */
export interface Lifetime {
  /** "30d", "12h", or milliseconds, in event time. Instead of that of the cell. Default: that of the cell. */
  readonly ttl?: string | number | undefined;
}

/** The same, to be changed by a handler. Throws HandlerError: STATE_SCHEMA, STATE_SHAPE, STATE_TOO_LARGE, STATE_TTL. */
export interface CellStore extends CellView {
  setSlot(value: unknown, lifetime?: Lifetime): void;
  clearSlot(): void;
  setEntry(id: string, value: unknown, lifetime?: Lifetime): void;
  /** Whether it was there. */
  deleteEntry(id: string): boolean;
  /** Takes out everything, also what has expired for the event in hand and not yet for one that is behind it. */
  clear(): void;
  /** For messages: `state.<cell>`. */
  readonly path: string;
}

export type CellKind = "value" | "counter" | "map" | "list" | "set" | "operator";

/** H: the handle by which handlers change it. */
export interface Cell<H> {
  readonly kind: CellKind;
  /** Of the slot, of each entry and of the keys; absent where the kind has none. */
  readonly slot?: Schema<unknown>;
  readonly entry?: Schema<unknown>;
  readonly key?: JsonSchema;
  readonly ttlMs: number | undefined;
  /** The slot counts entries, and goes with the last of them. */
  readonly countsEntries?: true;
  /** Of an operator: see operators/operator.ts. */
  readonly operator?: Operator;
  /** The same cell whose content lives so long in event time after it was written: "30d", "12h", or milliseconds. */
  ttl(duration: string | number): Cell<H>;
  /** `host`: for operators; the others do without. */
  readonly bind: (store: CellStore, host: OperatorHost) => H;
  /** What the API and the test kit show of it: a plain JSON value. */
  readonly plain: (view: CellView) => unknown;
  /** Puts back what `plain` gave: for a migration. */
  readonly load: (store: CellStore, plain: unknown) => void;
}

/** What makes a cell an operator. */
export interface Operator {
  /** What its alarm goes by. */
  readonly clock: Clock;
  /** What it was declared with, as plain JSON: another configuration is another cell. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Its alarm has come; {@link OperatorHost.reached} says how far. */
  readonly ring: (store: CellStore, host: OperatorHost) => void;
  /** For the API, in place of `plain`: results instead of what they are made of. */
  readonly show: (view: CellView) => unknown;
}

/** A cell of any kind. */
export type AnyCell = Cell<unknown>;

/** What a shard notes of a cell, to read its rows for ever. Plain JSON. */
export interface DeclaredCell {
  readonly kind: CellKind;
  readonly slot?: JsonSchema;
  readonly entry?: JsonSchema;
  readonly key?: JsonSchema;
  readonly ttlMs?: number;
  readonly operator?: Readonly<Record<string, unknown>>;
}

export function declaredCell({ kind, slot, entry, key, ttlMs, operator }: AnyCell): DeclaredCell {
  return {
    kind,
    ...(slot === undefined ? {} : { slot: slot.json }),
    ...(entry === undefined ? {} : { entry: entry.json }),
    ...(key === undefined ? {} : { key }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(operator === undefined ? {} : { operator: operator.config }),
  };
}

/** Builds a cell of some kind. */
export function defineCell<H>(parts: Omit<Cell<H>, "ttl" | "ttlMs">, ttlMs?: number): Cell<H> {
  return {
    ...parts,
    ttlMs,
    ttl: (duration) => {
      if (parts.operator !== undefined) throw new TypeError("ttl: an operator forgets by itself what it no longer needs.");
      return defineCell(parts, ttlMsOf(duration));
    },
  };
}

/** Beyond it a cell has no time to live: the end of what lives so long has no text as an instant. */
const TTL_MAX_MS = 1_000_000 * DAY_MS;

/** Throws TypeError for what is no time to live. */
export function ttlMsOf(duration: string | number): number {
  const ms = durationMs(duration, "ttl");
  if (ms < 1 || ms > TTL_MAX_MS) throw new TypeError(`ttl: "${duration}" is none. Give 1 ms to ${TTL_MAX_MS / DAY_MS}d.`);
  return ms;
}
