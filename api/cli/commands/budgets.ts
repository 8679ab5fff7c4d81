/** `tidemark budgets list`: what models and tenants may cost, and what they have cost. */
import { command } from "../framework/command.ts";
import { type Column, Table } from "../terminal/table.ts";

interface Shard {
  readonly job: string;
  readonly shard: number;
  readonly challenger: boolean;
  readonly until: string;
  readonly units: number;
  readonly used: number;
  readonly reserved: number;
}

interface Budget {
  readonly log: string;
  readonly id: string;
  readonly inForce: { readonly units: number; readonly per: string } | null;
  readonly shards: readonly Shard[];
}

interface Line {
  readonly budget: Budget;
  /** `undefined`: no shard has asked under it. */
  readonly of: Shard | undefined;
}

const COLUMNS: readonly Column<Line>[] = [
  { title: "BUDGET", of: ({ budget }) => budget.id },
  { title: "IN FORCE", of: ({ budget: { log, inForce } }) => `${log}: ${inForce === null ? "none" : `${inForce.units} a ${inForce.per}`}` },
  { title: "SHARD", of: ({ of }) => (of === undefined ? "-" : `${of.job}/${of.shard}${of.challenger ? " challenger" : ""}`) },
  { title: "UNTIL", of: ({ of }) => of?.until ?? "-" },
  { title: "UNITS", of: ({ of }) => numberText(of?.units), right: true },
  { title: "USED", of: ({ of }) => numberText(of?.used), right: true },
  { title: "RESERVED", of: ({ of }) => numberText(of?.reserved), right: true },
];

export const budgetsList = command({
  name: "budgets list",
  summary: "Budgets of models and tenants, and what each shard has spent of them",
  details: [
    "A line for each shard that has asked under the budget: what it may take until when, what answers have cost, and what calls that wait have taken. Of a shard that has asked nothing since, that window may be over.",
    "A budget is put with `tidemark reference put LOG _budgets FILE`.",
  ],
  arguments: {},
  options: {},
  examples: [{ line: "tidemark budgets list", says: "Of each shard of each job that runs here" }],
  async run({ api, terminal }) {
    const table = new Table(terminal, COLUMNS);
    let any = false;
    for await (const page of api().whole("/v1/budgets")) {
      any = true;
      const budgets = page as readonly Budget[];
      if (terminal.json) for (const budget of budgets) await terminal.record(budget);
      else await table.write(budgets.flatMap(linesOf));
    }
    if (!any && !terminal.json) terminal.notice("none");
    return 0;
  },
});

function linesOf(budget: Budget): readonly Line[] {
  return (budget.shards.length === 0 ? [undefined] : budget.shards).map((of) => ({ budget, of }));
}

function numberText(number: number | undefined): string {
  return number === undefined ? "-" : String(number);
}
