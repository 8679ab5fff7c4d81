/**
 * The HTTP API of a node (CONTRACT "HTTP"): its route table on a server. It talks to the node, never to a store or a
 * shard. Loopback only: there is no authentication yet.
 */
import type { FastifyInstance } from "fastify";
import type { Node } from "../../runtime/node/node.ts";
import { apiRoutes } from "./routes.ts";
import { buildServer } from "./server.ts";

export function buildApi(node: Node): FastifyInstance {
  return buildServer(apiRoutes(node));
}
