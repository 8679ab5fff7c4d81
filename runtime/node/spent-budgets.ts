/** What a shard's calls have cost of the budgets of models and tenants, from its committed rows. */
import { type BudgetWindow, decodeBudget } from "../../actors/fold/budget-rows.ts";
import { undamaged } from "../../actors/fold/damaged-row.ts";
import { budgetRow, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import type { CommittedRows } from "../../actors/fold/rows.ts";

export interface SpentBudget extends BudgetWindow {
  /** `model:<name>`, `tenant:<name>`, or `challenger:<name>` for what a challenger of that model costs. */
  readonly id: string;
}

/** A row for each model and tenant that effects have ever named. */
const ROWS_MAX = 10_000;

/** By id; of each the window in which the shard has asked last. */
export function spentBudgets(rows: Pick<CommittedRows, "scan">): readonly SpentBudget[] {
  return rows
    .scan(budgetRow(""), tableEnd(TABLE.budget), ROWS_MAX)
    .map(({ key, value }) => ({ id: key.slice(1), ...undamaged(key, () => decodeBudget(value)) }));
}
