/** Budgets of models and tenants: what is in force in each log, and what each shard has spent of it. */
import { type Static, Type } from "typebox";
import { BUDGET_TABLE, type BudgetRecord } from "../../actors/fold/activated-budgets.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { systemClock } from "../../runtime/clock.ts";
import type { Node, RunningJob } from "../../runtime/node/node.ts";
import type { ReferencePage } from "../../runtime/node/reference-page.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant } from "./shapes.ts";

const Count = Type.Integer({ minimum: 0 });
const Text = Type.String();

const InForce = Type.Object({
  version: Type.Integer({ minimum: 1, description: "Of the record of `_budgets`." }),
  effectiveFrom: Instant,
  units: Count,
  per: Text,
  reserve: Count,
  shares: Type.Union([Type.Record(Text, Count), Type.Null()], { description: "By shard; null: each partition has an equal part." }),
});
const OfShard = Type.Object({
  job: Text,
  shard: Count,
  challenger: Type.Boolean({ description: "What the model's challenger costs, which has as much again." }),
  from: Instant,
  until: Instant,
  units: Type.Integer({ minimum: 0, description: "What the shard may take in that window." }),
  used: Type.Number({ minimum: 0, description: "What answers have cost." }),
  reserved: Type.Integer({ minimum: 0, description: "Taken by calls that wait." }),
});
const Budget = Type.Object({
  log: Text,
  id: Type.String({ description: "`model:<name>` or `tenant:<name>`." }),
  inForce: Type.Union([InForce, Type.Null()], { description: "Now; null: none is." }),
  shards: Type.Array(OfShard, {
    description: "Those that have asked under it, each with the window in which it did so last, as of their last commits.",
  }),
});

const RECORDS_AT_ONCE = 1_000;
const CHALLENGER = "challenger:";

export function budgetRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/budgets",
      role: "viewer",
      summary: "Budgets of models and tenants: what is in force, and what each shard has spent of it",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(Budget) },
      handle: async ({ query }) => {
        const logs = [...new Set(node.jobs.map(({ job }) => job.log))].sort();
        const items: Static<typeof Budget>[] = [];
        for (const log of logs) items.push(...(await budgetsOf(node, log)));
        return { status: 200, body: pageOf(items, query) };
      },
    },
  ];
}

async function budgetsOf(node: Node, log: string): Promise<Static<typeof Budget>[]> {
  const jobs = node.jobs.filter(({ job }) => job.log === log);
  const inForce = await recordsOf(node, jobs[0]!);
  const spent = (await Promise.all(jobs.map((running) => spentOf(node, running)))).flat();
  const ids = [...new Set([...inForce.keys(), ...spent.map(({ id }) => id)])].sort();
  return ids.map((id) => ({
    log,
    id,
    inForce: inForce.get(id) ?? null,
    shards: spent.flatMap(({ id: of, shard }) => (of === id ? [shard] : [])),
  }));
}

/** Every partition holds the same records; the first answers for all. */
async function recordsOf(node: Node, { job }: RunningJob): Promise<ReadonlyMap<string, Static<typeof InForce>>> {
  const place = { job: job.name, partition: 0 };
  const found = new Map<string, Static<typeof InForce>>();
  for (let after: string | undefined = ""; after !== undefined; ) {
    const wanted = { table: BUDGET_TABLE.name, prefix: "", after, limit: RECORDS_AT_ONCE, asOf: systemClock.now() };
    const page: ReferencePage = await node.reads.read("reference", place, [wanted]);
    for (const { id, version, effectiveFrom, data } of page.items) {
      const { units, per, reserve, shares } = data as BudgetRecord;
      found.set(id, { version, effectiveFrom, units, per, reserve, shares: shares ?? null });
    }
    after = page.next;
  }
  return found;
}

async function spentOf(node: Node, { job, map }: RunningJob): Promise<{ readonly id: string; readonly shard: Static<typeof OfShard> }[]> {
  const spent: { readonly id: string; readonly shard: Static<typeof OfShard> }[] = [];
  for (let shard = 0; shard < map.partitions; shard++) {
    const place = { job: job.name, partition: shard };
    for (const { id, from, until, units, used, reserved } of await node.reads.read("budgets", place, [])) {
      const challenger = id.startsWith(CHALLENGER);
      const window = { from: formatInstant(from), until: formatInstant(until), units, used, reserved };
      spent.push({
        id: challenger ? `model:${id.slice(CHALLENGER.length)}` : id,
        shard: { job: job.name, shard, challenger, ...window },
      });
    }
  }
  return spent;
}
