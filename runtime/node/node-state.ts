/** What a node says of itself, to whoever asks it or another node. */
import { formatInstant } from "../../actors/model/time.ts";
import { askNode } from "../cluster/node-calls.ts";
import type { NodeRecord } from "../cluster/records.ts";
import { TIDEMARK_VERSION } from "../own-package.ts";
import type { Node } from "./node.ts";

export interface NodeState {
  readonly node: string;
  /** `silent`: it has said that it is there and does not answer. */
  readonly status: "running" | "draining" | "stopping" | "silent";
  /** Empty: not said. */
  readonly zone: string;
  readonly startedAt: string;
  readonly jobs: readonly string[];
  /** The rest is known of nodes that answer. */
  readonly tidemark?: string;
  readonly nodejs?: string;
  readonly connected?: boolean;
  readonly workers?: number;
  readonly rssBytes?: number;
  /** Shards that it owns, and that it stands by for. */
  readonly owns?: number;
  readonly standsBy?: number;
}

export async function nodeState(node: Node): Promise<NodeState> {
  const shards = await node.shardsHere();
  const { zone, state } = node.cluster.members.own;
  const drains = state === "draining" ? "draining" : "running";
  return {
    node: node.id,
    status: node.stopping ? "stopping" : drains,
    zone,
    startedAt: formatInstant(Math.floor(performance.timeOrigin)),
    jobs: node.jobs.map(({ job }) => job.name),
    tidemark: TIDEMARK_VERSION,
    nodejs: process.versions.node,
    connected: node.natsAway === undefined,
    workers: node.workers,
    rssBytes: process.memoryUsage.rss(),
    owns: shards.filter(({ role }) => role === "owner").length,
    standsBy: shards.filter(({ role }) => role === "standby").length,
  };
}

function silentNode({ node, zone, startedAt, jobs }: NodeRecord): NodeState {
  return { node, status: "silent", zone, startedAt: formatInstant(startedAt), jobs: Object.keys(jobs) };
}

/** All nodes, the one that is asked first. */
export async function nodesEverywhere(node: Node): Promise<readonly NodeState[]> {
  const others = node.cluster.members.others().map(async (record) => {
    return await askNode<NodeState>(node.nc, record.node, "node", []).catch(() => silentNode(record));
  });
  return await Promise.all([nodeState(node), ...others]);
}
