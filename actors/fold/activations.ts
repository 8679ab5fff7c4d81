/** What is activated by entries of the log while a build runs: schemas of events, versions of models, and what these may cost. */
import type { Job } from "../model/job.ts";
import { ActivatedBudgets, BUDGET_TABLE, type ShardPlace } from "./activated-budgets.ts";
import { ActivatedModels, type ActivatedVersion, MODEL_TABLE } from "./activated-models.ts";
import { ActivatedSchemas, SCHEMA_TABLE } from "./activated-schemas.ts";
import type { ReferenceState } from "./reference-state.ts";

/** Tables that every log has, and no actor declares. */
export const RESERVED_TABLES = [SCHEMA_TABLE, MODEL_TABLE, BUDGET_TABLE] as const;

export type ReservedName = (typeof RESERVED_TABLES)[number]["name"];

/** Their names. Others that begin with "_" are kept for what else will go this way. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(RESERVED_TABLES.map(({ name }) => name));

export class Activations {
  readonly schemas: ActivatedSchemas;
  readonly models: ActivatedModels;
  readonly budgets: ActivatedBudgets;

  constructor(reference: ReferenceState, job: Job, place: ShardPlace, champions?: ReadonlyMap<string, ActivatedVersion>) {
    this.schemas = new ActivatedSchemas(reference.table(SCHEMA_TABLE.name));
    this.models = new ActivatedModels(reference.table(MODEL_TABLE.name), champions);
    this.budgets = new ActivatedBudgets(reference.table(BUDGET_TABLE.name), job, place);
  }
}
