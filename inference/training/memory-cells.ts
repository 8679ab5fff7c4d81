/**
 * Cells of an actor in plain memory, so that training reads the windows of an actor through the very code of the actor.
 * One key at a time; it commits nothing, rolls nothing back and knows no time to live. What operators fire is told only
 * of cells that the caller hears.
 */
import type { AnyCell, Cell, CellStore, EntryRange } from "../../actors/model/cell.ts";
import type { OperatorHost } from "../../actors/model/operators/operator.ts";

type Handles<C> = { readonly [K in keyof C]: C[K] extends Cell<infer H> ? H : never };
type Heard<C> = { readonly [K in keyof C]?: (fired: unknown) => void };

export class MemoryCells<C extends Readonly<Record<string, AnyCell>>> {
  readonly handles: Handles<C>;
  readonly #kept: readonly Kept[];

  constructor(cells: C, allowedLatenessMs: number, heard: Heard<C>) {
    this.#kept = Object.entries(cells).map(([name, cell]) => new Kept(name, cell, allowedLatenessMs, heard[name]));
    this.handles = Object.fromEntries(Object.keys(cells).map((name, i) => [name, this.#kept[i]!.handle])) as Handles<C>;
  }

  /** `time`: of the event that comes. What is due once everything before `reached` is over happens first, in its order. */
  advance(time: number, reached: number): void {
    for (const kept of this.#kept) kept.time = time;
    for (let next = this.#due(reached); next !== undefined; next = this.#due(reached)) next.ring();
    for (const kept of this.#kept) kept.reached = reached;
  }

  #due(reached: number): Kept | undefined {
    let due: Kept | undefined;
    for (const kept of this.#kept) {
      if (kept.alarm !== undefined && kept.alarm <= reached && (due === undefined || kept.alarm < due.alarm!)) due = kept;
    }
    return due;
  }
}

class Kept implements OperatorHost, CellStore {
  readonly path: string;
  readonly handle: unknown;
  readonly allowedLatenessMs: number;
  readonly heard: boolean;
  readonly passingOver = false;
  readonly cause = "";
  time = 0;
  reached = Number.NEGATIVE_INFINITY;
  alarm: number | undefined;
  readonly #cell: AnyCell;
  readonly #fired: ((fired: unknown) => void) | undefined;
  readonly #entries = new Map<string, unknown>();
  #slot: unknown;

  constructor(name: string, cell: AnyCell, allowedLatenessMs: number, fired: ((fired: unknown) => void) | undefined) {
    this.path = `state.${name}`;
    this.#cell = cell;
    this.allowedLatenessMs = allowedLatenessMs;
    this.#fired = fired;
    this.heard = fired !== undefined;
    this.handle = cell.bind(this, this);
  }

  ring(): void {
    this.reached = this.alarm!;
    this.alarm = undefined;
    this.#cell.operator!.ring(this, this);
  }

  setAlarm(at: number | undefined): void {
    this.alarm = at;
  }

  fire(make: () => unknown): void {
    this.#fired?.(make());
  }

  tellLate(): void {}

  countLate(): void {}

  tellQuality(): void {}

  slot(): unknown {
    return this.#slot;
  }

  setSlot(value: unknown): void {
    this.#slot = value;
  }

  clearSlot(): void {
    this.#slot = undefined;
  }

  count(): number {
    return this.#entries.size;
  }

  entry(id: string): unknown {
    return this.#entries.get(id);
  }

  setEntry(id: string, value: unknown): void {
    this.#entries.set(id, value);
  }

  deleteEntry(id: string): boolean {
    return this.#entries.delete(id);
  }

  *entries(range?: EntryRange): Iterable<readonly [id: string, value: unknown]> {
    const inRange = (id: string): boolean => range === undefined || (id >= range.from && id < range.to);
    for (const id of [...this.#entries.keys()].filter(inRange).sort()) yield [id, this.#entries.get(id)];
  }

  expiresAt(): undefined {
    return undefined;
  }

  clear(): void {
    this.#entries.clear();
    this.#slot = undefined;
  }
}
