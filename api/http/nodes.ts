/** Health, readiness and the nodes: of a cluster some day, today this one. */
import { type Static, Type } from "typebox";
import { formatInstant } from "../../actors/model/time.ts";
import { TIDEMARK_VERSION } from "../../runtime/app.ts";
import type { Node } from "../../runtime/node/node.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant } from "./shapes.ts";

const Text = Type.String();

const Readiness = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Text) });

const NodeState = Type.Object({
  node: Type.String({ description: "Its id." }),
  status: Type.Union([Type.Literal("running"), Type.Literal("stopping")]),
  tidemark: Type.String({ description: "Version of Tidemark." }),
  nodejs: Type.String({ description: "Version of Node.js." }),
  startedAt: Instant,
  connected: Type.Boolean({ description: "NATS answers." }),
  jobs: Type.Array(Text),
  workers: Type.Integer({ minimum: 1, description: "Threads that hold shards." }),
  rssBytes: Type.Integer({ minimum: 0, description: "Memory of the process." }),
});

export function nodeRoutes(node: Node): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/healthz",
      role: "public",
      summary: "Whether the process is alive",
      answers: { 200: Type.Object({ status: Type.Literal("alive") }) },
      handle: async () => ({ status: 200, body: { status: "alive" } }),
    },
    {
      method: "GET",
      path: "/readyz",
      role: "public",
      summary: "Whether every shard runs, its features are kept and NATS answers, with reasons when not",
      answers: { 200: Readiness, 503: Readiness },
      handle: async () => {
        const { ready, reasons } = await readiness(node);
        return { status: ready ? 200 : 503, body: { ready, reasons } };
      },
    },
    {
      method: "GET",
      path: "/v1/nodes",
      role: "viewer",
      summary: "The nodes, with versions and what they run",
      query: Type.Object(WHOLE_QUERY),
      answers: { 200: listOf(NodeState) },
      handle: async ({ query }) => ({ status: 200, body: pageOf([stateOf(node)], query) }),
    },
  ];
}

function stateOf(node: Node): Static<typeof NodeState> {
  return {
    node: node.id,
    status: node.stopping ? "stopping" : "running",
    tidemark: TIDEMARK_VERSION,
    nodejs: process.versions.node,
    startedAt: formatInstant(Math.floor(performance.timeOrigin)),
    connected: node.natsAway === undefined,
    jobs: node.jobs.map(({ job }) => job.name),
    workers: node.workers,
    rssBytes: process.memoryUsage.rss(),
  };
}

async function readiness(node: Node): Promise<Static<typeof Readiness>> {
  const reasons = node.stopping ? ["the node is stopping"] : (await node.shards()).flatMap(whyNotReady);
  if (node.models.waitsFor !== undefined) reasons.push(node.models.waitsFor);
  if (node.natsAway !== undefined) reasons.push(`NATS does not answer: ${node.natsAway}`);
  return { ready: reasons.length === 0, reasons };
}

function whyNotReady(report: ShardReport): string[] {
  if (report.status === "running")
    return report.features?.error === undefined ? [] : [`${report.job}/${report.shard} keeps no features: ${report.features.error.code}`];
  return [`${report.job}/${report.shard} is ${report.status}${report.error === undefined ? "" : `: ${report.error.code}`}`];
}
