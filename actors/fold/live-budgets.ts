/**
 * What the calls of the key in hand may cost. Asking reserves the most that a call may cost, its answer settles what it
 * has cost; so however many wait, a key never gets beyond its budget by more than a call that costs more than it said.
 *
 * What was spent in the window is the data of a timer of the actor, which fires at the window's end and takes it along.
 * A call of a window that is over changes nothing any more.
 */
import { windowOf } from "../model/budget.ts";
import { budgetTimer, type DeclaredEffect } from "../model/effect.ts";
import { BudgetExceeded } from "../model/handler-error.ts";
import { formatInstant } from "../model/time.ts";
import type { CallRecord } from "./call-row.ts";
import type { KeyRow, Section, TimerRecord } from "./key-row.ts";
import { findTimer, type LiveTimers, timerNumber } from "./live-timers.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

/** Data of the timer. */
interface Spent {
  readonly used: number;
  /** By calls that wait. */
  readonly reserved: number;
}

const NOTHING: Spent = { used: 0, reserved: 0 };

export class LiveBudgets {
  readonly #shard: ShardState;
  readonly #unit: Unit;
  readonly #timers: LiveTimers;

  constructor(shard: ShardState, unit: Unit, timers: LiveTimers) {
    this.#shard = shard;
    this.#unit = unit;
    this.#timers = timers;
  }

  /** Units that may still be reserved in the window of now. */
  left(section: Section | undefined, effect: DeclaredEffect): number {
    const { budget } = effect;
    if (budget === undefined) return Number.POSITIVE_INFINITY;
    const { used, reserved } = this.#spent(section, effect.name, this.#end(budget.perMs));
    return Math.max(0, budget.units - used - reserved);
  }

  /** Throws BUDGET_EXCEEDED when no call of the effect may be asked for. */
  check(section: Section, effect: DeclaredEffect): void {
    const { budget, name } = effect;
    if (budget === undefined) return;
    const left = this.left(section, effect);
    if (left >= budget.reserve) return;
    const until = formatInstant(this.#end(budget.perMs));
    throw new BudgetExceeded(
      "key",
      `effects.${name}: of ${budget.units} units ${left} are left until ${until}, and a call may cost ${budget.reserve}. Ask ctx.effects.${name}.left() before.`,
    );
  }

  /** Takes what a call may cost. */
  reserve(row: KeyRow, section: Section, effect: DeclaredEffect): { readonly units: number; readonly until: number } {
    const { perMs, reserve } = effect.budget!;
    const until = this.#end(perMs);
    const { used, reserved } = this.#spent(section, effect.name, until);
    this.#set(row, section, effect.name, until, { used, reserved: reserved + reserve });
    return { units: reserve, until };
  }

  /** Gives back what the call has taken, and takes what it has cost: `units`, or all of it where nobody says. */
  settle(row: KeyRow, section: Section, { effect, reserved }: CallRecord, units = reserved?.units ?? 0): void {
    if (reserved === undefined) return;
    const { until } = reserved;
    const record = this.#record(section, effect);
    if (record?.at !== until) return;
    const spent = record.data as Spent;
    this.#set(
      row,
      section,
      effect,
      until,
      { used: spent.used + units, reserved: Math.max(0, spent.reserved - reserved.units) },
      record.armedBy,
    );
  }

  #set(row: KeyRow, section: Section, effect: string, until: number, data: Spent, armedBy = this.#unit.cause): void {
    const timer = timerNumber(section, budgetTimer(effect));
    this.#timers.set(row, section, { timer, id: "", at: until, indexedAt: until, data: Object.freeze(data), armedBy });
  }

  #spent(section: Section | undefined, effect: string, until: number): Spent {
    const record = section === undefined ? undefined : this.#record(section, effect);
    return record?.at === until ? (record.data as Spent) : NOTHING;
  }

  #record(section: Section, effect: string): TimerRecord | undefined {
    return findTimer(section, timerNumber(section, budgetTimer(effect)), "");
  }

  /** Of the window of now. */
  #end(perMs: number): number {
    return windowOf(this.#shard.meta.processingTime, perMs) + perMs;
  }
}
