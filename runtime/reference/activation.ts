/** Whether a record may be put into one of the tables that activate something: that something is there to be activated for. */
import { BUDGET_TABLE, type BudgetRecord, readBudgetId } from "../../actors/fold/activated-budgets.ts";
import { MODEL_TABLE } from "../../actors/fold/activated-models.ts";
import { SCHEMA_TABLE } from "../../actors/fold/activated-schemas.ts";
import type { ReservedName } from "../../actors/fold/activations.ts";
import type { DeclaredEffect } from "../../actors/model/effect.ts";
import { type Job, lineageOf } from "../../actors/model/job.ts";
import { TidemarkError } from "../errors.ts";

const NAMED_MAX = 20;

/** A record that somebody wants to put. */
export interface ActivationDraft {
  readonly table: ReservedName;
  readonly id: string;
  /** As it was given; `null` ends the record. */
  readonly data: unknown;
}

/**
 * `jobs` are those of the log that run, with so many partitions. Fails with REFERENCE_INVALID when none of them takes events
 * of the type, or calls the model: most likely it is mistyped; and for a budget that the log's shards could not share.
 */
export function checkActivated({ table, id, data }: ActivationDraft, jobs: readonly Job[], partitions: number): void {
  if (table === SCHEMA_TABLE.name) {
    const types = jobs.flatMap(({ actors }) => actors.flatMap(({ streams }) => streams.map(({ type }) => type)));
    checkKnown(types, table, id, "takes events of that type; they take");
  } else if (table === MODEL_TABLE.name) checkKnown(modelsOf(jobs), table, id, "calls that model; they call");
  else checkBudget(id, data, jobs, partitions);
}

/** Models that actors call, each once. */
export function modelsOf(jobs: readonly Job[]): readonly string[] {
  return [...new Set(inferencesOf(jobs).map(({ model }) => model))];
}

interface Inference {
  readonly model: string;
  /** Budgets that its calls count in. */
  readonly budgets: readonly string[];
  /** `undefined` where the effect does not say what a call may cost. */
  readonly reserve: number | undefined;
}

function inferencesOf(jobs: readonly Job[]): readonly Inference[] {
  return jobs.flatMap(({ actors }) => actors.flatMap(({ effects }) => effects.flatMap(inferenceOf)));
}

function inferenceOf({ callee, budget }: DeclaredEffect): readonly Inference[] {
  if (callee.kind !== "infer") return [];
  const { model, tenant } = callee;
  return [{ model, budgets: [`model:${model}`, ...(tenant === undefined ? [] : [`tenant:${tenant}`])], reserve: budget?.reserve }];
}

function checkBudget(id: string, data: unknown, jobs: readonly Job[], partitions: number): void {
  const refuse = (why: string): never => refused(BUDGET_TABLE.name, id, why);
  if (readBudgetId(id) === undefined) refuse("an id is model:<name> or tenant:<name>");
  const known = inferencesOf(jobs).flatMap(({ budgets }) => budgets);
  checkKnown(known, BUDGET_TABLE.name, id, "asks for calls that count in it; they do in");
  // Whoever writes it says what is wrong with it.
  if (data === null || !BUDGET_TABLE.schema.check(data)) return;
  const { units, reserve, shares }: BudgetRecord = data;
  const asking = jobs.flatMap((job) => inferencesOf([job]).flatMap((one) => (one.budgets.includes(id) ? [{ ...one, job }] : [])));
  const askers = [...new Set(asking.map(({ job }) => lineageOf(job)))];
  if (shares === undefined) {
    if (askers.length > 1)
      refuse(`the jobs ${askers.join(", ")} all ask for such calls: give shares of each, like {"${askers[0]}/0": ${reserve}}`);
    const most = Math.max(...asking.map((one) => one.reserve ?? reserve));
    if (Math.floor(units / partitions) < most)
      refuse(`${units} units in ${partitions} equal parts are less than the ${most} of one call in each: give more, or shares`);
    return;
  }
  const stray = Object.keys(shares).find((shard) => {
    const [job, partition] = shard.split("/") as [string, string];
    return !askers.includes(job) || Number(partition) >= partitions;
  });
  if (stray !== undefined)
    refuse(`data /shares: there is no shard ${stray} that asks for such calls; there are ${askers.join(", ")} with ${partitions} each`);
}

function checkKnown(all: readonly string[], table: string, id: string, what: string): void {
  const known = [...new Set(all)];
  if (known.includes(id)) return;
  const named = known
    .slice(0, NAMED_MAX)
    .map((one) => `"${one}"`)
    .join(", ");
  const told = named === "" ? "none" : `${named}${known.length > NAMED_MAX ? ", …" : ""}`;
  refused(table, id, `no job of the log ${what} ${told}`);
}

function refused(table: string, id: string, why: string): never {
  throw new TidemarkError("REFERENCE_INVALID", `${table} "${id.slice(0, 256)}": ${why}.`);
}
