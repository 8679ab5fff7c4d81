/** Health and readiness of this node, and the nodes of the cluster. */
import { type Static, Type } from "typebox";
import type { Node } from "../../runtime/node/node.ts";
import type { NodeState } from "../../runtime/node/node-state.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { HttpProblem, notFound } from "./problem.ts";
import { listOf, pageOf, WHOLE_QUERY } from "./query.ts";
import type { Route } from "./route.ts";
import { Instant } from "./shapes.ts";

const Text = Type.String();

const Readiness = Type.Object({ ready: Type.Boolean(), reasons: Type.Array(Text) });

const Shown = Type.Object({
  node: Type.String({ description: "Its id." }),
  status: Type.Union([Type.Literal("running"), Type.Literal("draining"), Type.Literal("stopping"), Type.Literal("silent")], {
    description: "A silent one has joined and does not answer; what it alone knows is missing then.",
  }),
  zone: Type.String({ description: "Empty where none is named." }),
  startedAt: Instant,
  jobs: Type.Array(Text),
  tidemark: Type.Optional(Type.String({ description: "Version of Tidemark." })),
  nodejs: Type.Optional(Type.String({ description: "Version of Node.js." })),
  connected: Type.Optional(Type.Boolean({ description: "NATS answers." })),
  workers: Type.Optional(Type.Integer({ minimum: 1, description: "Threads that hold shards." })),
  rssBytes: Type.Optional(Type.Integer({ minimum: 0, description: "Memory of the process." })),
  owns: Type.Optional(Type.Integer({ minimum: 0, description: "Shards that it owns." })),
  standsBy: Type.Optional(Type.Integer({ minimum: 0, description: "Shards of other nodes that it stands by for." })),
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
      answers: { 200: listOf(Shown) },
      handle: async ({ query }) => ({ status: 200, body: pageOf(await node.nodes(), query) }),
    },
    {
      method: "POST",
      path: "/v1/nodes/{node}/drain",
      role: "operator",
      summary: "Lets a node give its shards to nodes that are ready for them; it gets none until it resumes. Done when it owns none",
      params: Type.Object({ node: Text }),
      answers: { 200: Shown },
      handle: async ({ params }) => ({ status: 200, body: await setDraining(node, params.node!, true) }),
    },
    {
      method: "POST",
      path: "/v1/nodes/{node}/resume",
      role: "operator",
      summary: "Lets a node that drained take its share of the shards again",
      params: Type.Object({ node: Text }),
      answers: { 200: Shown },
      handle: async ({ params }) => ({ status: 200, body: await setDraining(node, params.node!, false) }),
    },
  ];
}

/** Throws 404 for a node that is no member, 409 where nobody is left to take its shards. */
async function setDraining(node: Node, name: string, draining: boolean): Promise<NodeState> {
  if (!node.cluster.members.records().some((record) => record.node === name)) throw notFound(`There is no node "${name}".`);
  if (draining) await node.cluster.members.lookAgain();
  const others = node.cluster.members.records().filter((record) => record.node !== name && record.state === "active");
  if (draining && others.length === 0) throw new HttpProblem(409, "NO_OTHER_NODE", `Nobody is there to take the shards of ${name}.`);
  return await node.setDraining(name, draining);
}

async function readiness(node: Node): Promise<Static<typeof Readiness>> {
  const reasons = node.stopping ? ["the node is stopping"] : whyNotReadyHere(node, await node.shardsHere());
  if (node.models.waitsFor !== undefined) reasons.push(node.models.waitsFor);
  if (node.natsAway !== undefined) reasons.push(`NATS does not answer: ${node.natsAway}`);
  return { ready: reasons.length === 0, reasons };
}

/** What runs here, and shards that nobody has: this node may be the one that is to take them. */
function whyNotReadyHere(node: Node, shards: readonly ShardReport[]): string[] {
  return [...shards.flatMap(whyNotReady), ...node.cluster.unowned().map(({ job, shard }) => `nobody owns ${job}/${shard}`)];
}

function whyNotReady(report: ShardReport): string[] {
  if (report.status === "running")
    return report.features?.error === undefined ? [] : [`${report.job}/${report.shard} keeps no features: ${report.features.error.code}`];
  return [`${report.job}/${report.shard} is ${report.status}${report.error === undefined ? "" : `: ${report.error.code}`}`];
}
