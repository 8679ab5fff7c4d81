/**
 * The HTTP API of a node (CONTRACT "HTTP"), apart from any socket: tests inject into it. It talks to the node, never
 * to a store or a shard. Loopback only: there is no authentication yet.
 */
import Fastify, { type FastifyInstance } from "fastify";
import type { Node } from "../../runtime/node/node.ts";
import { actorRoutes } from "./actors.ts";
import { outputRoutes } from "./outputs.ts";
import { notFound, sendProblem } from "./problem.ts";
import { shardRoutes } from "./shards.ts";

/** A key is at most 256 written bytes; percent-encoded once more at most three times as long. */
const PARAM_MAX_CHARS = 1_024;
const BODY_MAX_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;

export function buildApi(node: Node): FastifyInstance {
  const app = Fastify({
    routerOptions: { maxParamLength: PARAM_MAX_CHARS },
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    // What the router itself refuses: a path that is no UTF-8, or a parameter beyond its bound.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, error);
    },
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  app.setNotFoundHandler(async (request, reply) => {
    await sendProblem(reply, notFound(`There is no ${request.method} ${request.url.split("?")[0]}.`));
  });
  shardRoutes(app, node);
  actorRoutes(app, node);
  outputRoutes(app, node);
  return app;
}
