/** Health, readiness, jobs and shards. */
import type { FastifyInstance } from "fastify";
import type { Node } from "../../runtime/node/node.ts";
import type { ShardReport } from "../../runtime/shard/report.ts";
import { notFound } from "./problem.ts";

export function shardRoutes(app: FastifyInstance, node: Node): void {
  app.get("/healthz", async () => ({ status: "alive" }));

  app.get("/readyz", async (_request, reply) => {
    const reasons = node.stopping ? ["the node is stopping"] : (await node.shards()).flatMap(whyNotReady);
    if (!node.connected) reasons.push("NATS does not answer");
    return reply.code(reasons.length === 0 ? 200 : 503).send({ ready: reasons.length === 0, reasons });
  });

  app.get("/v1/jobs", async () => ({
    items: node.jobs.map(({ job, map }) => ({
      job: job.name,
      log: job.log,
      version: job.version,
      partitions: map.partitions,
      actors: job.actors.map((actor) => actor.name),
      settings: job.settings,
    })),
    next: null,
  }));

  app.get("/v1/shards", async () => ({ items: await node.shards(), next: null }));

  app.get<{ Params: { job: string; shard: string } }>("/v1/shards/:job/:shard", async (request) => {
    const { job, shard } = request.params;
    const found = (await node.shards()).find((report) => report.job === job && String(report.shard) === shard);
    if (found === undefined) throw notFound(`There is no shard ${shard} of job "${job}".`);
    return found;
  });
}

function whyNotReady(report: ShardReport): string[] {
  if (report.status === "running") return [];
  return [`${report.job}/${report.shard} is ${report.status}${report.error === undefined ? "" : `: ${report.error.code}`}`];
}
