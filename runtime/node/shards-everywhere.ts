/** The shards of the whole cluster, as one node sees them: what each node says of its own, put together. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Cluster } from "../cluster/cluster.ts";
import { askNodes } from "../cluster/node-calls.ts";
import { TidemarkError } from "../errors.ts";
import { type ShardReport, unstartedReport } from "../shard/report.ts";
import type { RunningJob } from "./node.ts";

interface Here {
  readonly nc: NatsConnection;
  readonly cluster: Cluster;
  readonly jobs: readonly RunningJob[];
  shardsHere(): Promise<readonly ShardReport[]>;
}

/** Nodes that do not answer say nothing; a shard without an owner that answers has a stand-in that says so. */
export async function shardsEverywhere(node: Here): Promise<readonly ShardReport[]> {
  const others = askNodes<ShardReport[]>(node.nc, node.cluster.members.others(), "shards", []);
  const all = [...(await node.shardsHere()), ...(await others).flat()];
  return [...all, ...unowned(node, all)].sort((a, b) => byShard(a, b) || compare(a.role, b.role) || compare(a.node, b.node));
}

/** Throws NODE_UNREACHABLE where a shard has no owner that answers. */
export async function ownersEverywhere(node: Here): Promise<readonly ShardReport[]> {
  const owners = (await shardsEverywhere(node)).filter(({ role }) => role === "owner");
  const silent = owners.find(({ waitsFor }) => waitsFor?.code === "NODE_UNREACHABLE");
  if (silent === undefined) return owners;
  throw new TidemarkError("NODE_UNREACHABLE", `${silent.job}/${silent.shard}: ${silent.waitsFor!.detail}`);
}

function unowned({ cluster, jobs }: Here, reports: readonly ShardReport[]): ShardReport[] {
  const owned = new Set(reports.filter(({ role }) => role === "owner").map(({ job, shard }) => `${job}/${shard}`));
  return jobs.flatMap(({ job, map }) =>
    Array.from({ length: map.partitions }, (_, shard) => shard)
      .filter((shard) => !owned.has(`${job.name}/${shard}`))
      .map((shard) => {
        const owner = cluster.ownerOf(job.name, shard);
        const why = owner === undefined ? "Nobody owns the shard at this moment." : `Its owner, ${owner}, does not answer.`;
        const waitsFor = new TidemarkError("NODE_UNREACHABLE", why).toRecord();
        return unstartedReport(job.name, shard, owner ?? "", { role: "owner", restoring: undefined, error: undefined, waitsFor });
      }),
  );
}

interface Named {
  readonly job: string;
  readonly shard: number;
}

export function byShard(a: Named, b: Named): number {
  return compare(a.job, b.job) || a.shard - b.shard;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
