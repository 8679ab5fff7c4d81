/**
 * What the calls of the unit in hand take of the budgets of their model and their tenant. As with a key's budget, asking
 * reserves the most that a call may cost and its answer settles it; what the shard may take is its allotment.
 *
 * A challenger takes nothing of them, for handlers are to notice nothing of it. It has as much again, in a row of its own, and is
 * not asked when that is used up. A log without a record of a budget pays one look at a boolean.
 */
import type { Callee, DeclaredEffect } from "../model/effect.ts";
import { BudgetExceeded, type BudgetOwner } from "../model/handler-error.ts";
import { formatInstant } from "../model/time.ts";
import type { BudgetWindow } from "./budget-rows.ts";
import type { CallRecord, ModelRole, Taken } from "./call-row.ts";
import type { ShardState } from "./shard-state.ts";
import type { Unit } from "./unit.ts";

/** A budget that is in force for a call. */
interface Open {
  /** Of the row. */
  readonly id: string;
  readonly owner: BudgetOwner;
  readonly name: string;
  readonly window: BudgetWindow;
  /** What the call takes. */
  readonly units: number;
}

const NONE: readonly Open[] = [];

export class LiveAllotments {
  readonly #shard: ShardState;
  readonly #unit: Unit;

  constructor(shard: ShardState, unit: Unit) {
    this.#shard = shard;
    this.#unit = unit;
  }

  /** Units that calls of the effect may still reserve; infinite where no budget is in force. */
  left(effect: DeclaredEffect): number {
    return this.#open(effect, "champion").reduce((least, { window }) => Math.min(least, leftOf(window)), Number.POSITIVE_INFINITY);
  }

  /** Throws BUDGET_EXCEEDED when no call of the effect may be asked for. */
  check(effect: DeclaredEffect): void {
    for (const { owner, name, window, units } of this.#open(effect, "champion")) {
      const left = leftOf(window);
      if (left >= units) continue;
      const whose = `of the ${window.units} units that this partition has of the budget of ${owner} "${name}"`;
      throw new BudgetExceeded(
        owner,
        `effects.${effect.name}: ${whose} ${left} are left until ${formatInstant(window.until)}, and a call may cost ${units}. Ask ctx.effects.${effect.name}.left() before.`,
      );
    }
  }

  /** Whether the model's challenger may be asked too. */
  hasRoomBeside(effect: DeclaredEffect): boolean {
    return this.#open(effect, "challenger").every(({ window, units }) => leftOf(window) >= units);
  }

  /** Takes what a call may cost; `undefined` where no budget is in force. */
  reserve(effect: DeclaredEffect, role: ModelRole): readonly Taken[] | undefined {
    const open = this.#open(effect, role);
    if (open.length === 0) return undefined;
    return open.map(({ id, window, units }) => {
      this.#set(id, { ...window, reserved: window.reserved + units });
      return { id, units, from: window.from, until: window.until };
    });
  }

  /** Gives back what the call has taken, and takes what it has cost: `cost`, or all of it where nobody says. Not in a later window. */
  settle({ taken = [] }: CallRecord, cost: number | undefined): void {
    for (const { id, units, from, until } of taken) {
      const window = this.#shard.budgets.get(id);
      if (window?.from !== from || window.until !== until) continue;
      this.#set(id, { ...window, used: window.used + (cost ?? units), reserved: window.reserved - units });
    }
  }

  #set(id: string, window: BudgetWindow): void {
    this.#unit.undo.push(this.#shard.budgets.set(id, window));
  }

  /** Budgets that are in force for a call, in the order in which they are looked at. */
  #open(effect: DeclaredEffect, role: ModelRole): readonly Open[] {
    const { callee } = effect;
    if (this.#shard.activated.budgets.none || callee.kind !== "infer") return NONE;
    return placesOf(callee, role).flatMap(({ owner, name, id }) => {
      const begun = this.#shard.budgets.get(id);
      const window = this.#shard.activated.budgets.window(`${owner}:${name}`, this.#shard.meta.processingTime, begun);
      return window === undefined ? [] : [{ id, owner, name, window, units: effect.budget?.reserve ?? window.reserve }];
    });
  }
}

function placesOf({ model, tenant }: Callee & { readonly kind: "infer" }, role: ModelRole): readonly Pick<Open, "id" | "owner" | "name">[] {
  if (role === "challenger") return [{ id: `challenger:${model}`, owner: "model", name: model }];
  const ofModel = { id: `model:${model}`, owner: "model", name: model } as const;
  return tenant === undefined ? [ofModel] : [{ id: `tenant:${tenant}`, owner: "tenant", name: tenant }, ofModel];
}

function leftOf({ units, used, reserved }: BudgetWindow): number {
  return Math.max(0, units - used - reserved);
}
