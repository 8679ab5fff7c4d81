/** Timers of the key in hand: set, moved and taken out, each change with its index row and its undo. */
import { HandlerError } from "../model/handler-error.ts";
import { TIMERS_MAX } from "./bounds.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import type { TimerAddress } from "./keys.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

export class LiveTimers {
  readonly #shard: ShardState;
  readonly #unit: Unit;

  constructor(shard: ShardState, unit: Unit) {
    this.#shard = shard;
    this.#unit = unit;
  }

  /** Puts a timer in, in place of one of its name and id. One that only moves later keeps its index row. */
  set(row: KeyRow, section: Section, wanted: TimerRecord): void {
    const { timers } = section;
    const at = timers.findIndex((record) => record.timer === wanted.timer && record.id === wanted.id);
    if (at === -1) this.checkRoom(section, 1);
    const known = timers[at];
    const record = known?.indexedAt !== undefined && known.indexedAt <= wanted.at ? { ...wanted, indexedAt: known.indexedAt } : wanted;
    if (known === undefined) {
      timers.push(record);
      this.#unit.undo.push(() => timers.pop());
    } else {
      timers[at] = record;
      this.#unit.undo.push(() => {
        timers[at] = known;
      });
    }
    if (record.indexedAt !== known?.indexedAt) {
      if (known?.indexedAt !== undefined) this.#index(row, section, known, false);
      this.#index(row, section, record, true);
    }
    this.#shard.changed(row);
  }

  /** Throws TOO_MANY_TIMERS when the actor may not have so many more. */
  checkRoom({ timers }: Section, more: number): void {
    if (timers.length + more > TIMERS_MAX)
      throw new HandlerError("TOO_MANY_TIMERS", `An actor may have ${TIMERS_MAX} timers. Cancel some, or spread them over keys.`);
  }

  /** Takes a timer out. */
  drop(row: KeyRow, section: Section, record: TimerRecord): void {
    const { timers } = section;
    const at = timers.indexOf(record);
    timers.splice(at, 1);
    this.#unit.undo.push(() => timers.splice(at, 0, record));
    if (record.indexedAt !== undefined) this.#index(row, section, record, false);
    this.#shard.changed(row);
  }

  /** Takes a timer out of the index while the key is held, or puts it back. */
  hold(row: KeyRow, section: Section, record: TimerRecord, held: boolean): void {
    const after = { ...record, indexedAt: held ? undefined : record.at };
    section.timers[section.timers.indexOf(record)] = after;
    this.#index(row, section, held ? record : after, !held);
    this.#shard.changed(row);
  }

  #index(row: KeyRow, { shape }: Section, record: TimerRecord, add: boolean): void {
    const { name, clock } = shape.timers[record.timer]!;
    const address: TimerAddress = { clock, time: record.indexedAt!, token: row.token, actor: shape.actor, name, id: record.id };
    const put = () => this.#shard.addTimer(address, row.slot);
    const take = () => this.#shard.removeTimer(address, row.slot);
    if (add) put();
    else take();
    this.#unit.undo.push(add ? take : put);
  }
}

/** Number of a timer in the section's shape; -1 when that does not declare it. */
export function timerNumber({ shape }: Section, name: string): number {
  return shape.timers.findIndex((timer) => timer.name === name);
}

export function findTimer(section: Section | undefined, timer: number, id: string): TimerRecord | undefined {
  return section?.timers.find((record) => record.timer === timer && record.id === id);
}
