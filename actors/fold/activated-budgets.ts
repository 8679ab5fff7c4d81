/**
 * What models and tenants may cost: the records of the reserved table `_budgets`, under `model:<name>` and
 * `tenant:<name>`. No shard knows what another one spends, so each has an allotment: a part of the units, the same
 * in every fold, and all parts of one window together are no more than the units.
 *
 * A window begins with a record, and at each multiple of its `per` since 1970 from there on; by processing time, as
 * that of a key's budget. It is a matter of the records alone, when each is put before its `effectiveFrom`.
 */
import { type Static, Type } from "typebox";
import { BUDGET_UNITS_MAX, perMsOf, windowOf } from "../model/budget.ts";
import { lineageOf } from "../model/job.ts";
import type { ReferenceTable } from "../model/reference.ts";
import { schemaOf } from "../model/schema.ts";
import type { BudgetWindow } from "./budget-rows.ts";
import { inForce, type Step, type TableState } from "./reference-state.ts";

const Units = Type.Integer({ minimum: 1, maximum: BUDGET_UNITS_MAX });
/** Data of a record of `_budgets`. */
export const BudgetRecord = Type.Object(
  {
    units: Units,
    /** Length of a window, 1 s to 31 d, as "1d". */
    per: Type.String(),
    /** The most that one call costs, where its effect has no budget that says so. */
    reserve: Units,
    /** Units of each shard, as `risk/0`; one that is not named has none. Without it each partition has an equal part. */
    shares: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: 0, maximum: BUDGET_UNITS_MAX }))),
  },
  { additionalProperties: false },
);
export type BudgetRecord = Static<typeof BudgetRecord>;

const SHAPE = schemaOf(BudgetRecord);
const SHARD = /^[a-z][a-z0-9-]{0,30}\/(0|[1-9]\d{0,3})$/;
const ID = /^(model|tenant):(.+)$/s;

/** Not a name that an actor can declare. */
export const BUDGET_TABLE: ReferenceTable<BudgetRecord> & { readonly name: "_budgets" } = {
  kind: "reference",
  name: "_budgets",
  schema: {
    ...SHAPE,
    check: (data): data is BudgetRecord => SHAPE.check(data) && faultOf(data) === undefined,
    explain: (data) => (SHAPE.check(data) ? (faultOf(data) ?? "matches") : SHAPE.explain(data)),
  },
};

/** Whose budget a record is; `undefined` for an id that is none. */
export function readBudgetId(id: string): { readonly of: "model" | "tenant"; readonly name: string } | undefined {
  const [, of, name] = ID.exec(id) ?? [];
  return name === undefined ? undefined : { of: of as "model" | "tenant", name };
}

/** What no schema says. */
function faultOf({ units, per, reserve, shares = {} }: BudgetRecord): string | undefined {
  try {
    perMsOf(per, "/per");
  } catch (error) {
    return (error as Error).message;
  }
  if (reserve > units) return `/reserve is more than the ${units} of /units`;
  const wrong = Object.keys(shares).find((shard) => !SHARD.test(shard));
  if (wrong !== undefined) return `/shares: ${JSON.stringify(wrong.slice(0, 64))} names no shard, as "risk/0" does`;
  const sum = Object.values(shares).reduce((all, share) => all + share, 0);
  return sum > units ? `/shares come to ${sum} units, more than the ${units} of /units` : undefined;
}

/** Of which job and partition a fold is. */
export interface ShardPlace {
  readonly partition: number;
  readonly partitions: number;
}

/** Units of one shard. `job`: that of its lineage, so a generation has what its job has. */
export function allotmentOf({ units, shares }: BudgetRecord, job: string, { partition, partitions }: ShardPlace): number {
  if (shares !== undefined) return shares[`${job}/${partition}`] ?? 0;
  return Math.floor(units / partitions) + (partition < units % partitions ? 1 : 0);
}

export class ActivatedBudgets {
  readonly #table: TableState;
  readonly #job: string;
  readonly #place: ShardPlace;

  constructor(table: TableState, job: Parameters<typeof lineageOf>[0], place: ShardPlace) {
    this.#table = table;
    this.#job = lineageOf(job);
    this.#place = place;
  }

  /** Whether the log has no record at all: then nothing else is asked. */
  get none(): boolean {
    return this.#table.isEmpty;
  }

  /**
   * The window that a time is in; `undefined` where no budget is in force. `begun`: the one that the shard was in last.
   * It goes on to its end, unless a record has begun since: so one that is put late counts from the next window on.
   */
  window(id: string, time: number, begun: BudgetWindow | undefined): BudgetWindow | undefined {
    const steps = this.#table.known(id)?.steps ?? [];
    const step = inForce(steps, time);
    if (step === undefined) return undefined;
    if (begun !== undefined && time < begun.until && step.effectiveFrom <= begun.from) return begun;
    return step.ended ? undefined : this.#begin(id, time, step, steps[steps.indexOf(step) + 1]);
  }

  #begin(id: string, time: number, step: Step, next: Step | undefined): BudgetWindow {
    const record = this.#table.record(id, step).data as BudgetRecord;
    const perMs = perMsOf(record.per, "per");
    const begin = windowOf(time, perMs);
    return {
      from: Math.max(step.effectiveFrom, begin),
      until: Math.min(begin + perMs, next?.effectiveFrom ?? Number.POSITIVE_INFINITY),
      units: allotmentOf(record, this.#job, this.#place),
      reserve: record.reserve,
      used: 0,
      reserved: 0,
    };
  }
}
