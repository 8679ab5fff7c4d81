/**
 * Routes on Fastify, apart from any socket: tests inject into it. It knows what a Route is and nothing of nodes.
 *
 * Fastify reads and routes; it checks nothing and writes no JSON of its own. Every body comes as bytes and is read by
 * `request-input.ts`, so that no content type slips past a schema. Every answer that is no success is a problem document.
 */
import { Readable } from "node:stream";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { HttpProblem, notFound, PROBLEM_MEDIA_TYPE, problemDocument, problemOf } from "./problem.ts";
import { inputReader } from "./request-input.ts";
import type { Route, RouteAnswer, RouteRequest } from "./route.ts";

/** A key is at most 256 written bytes; percent-encoded once more at most three times as long. */
const PARAM_MAX_CHARS = 1_024;
const BODY_MAX_BYTES = 1024 * 1024;
/** For a request to arrive as a whole. */
const RECEIVE_TIMEOUT_MS = 30_000;
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

export function buildServer(routes: readonly Route[]): FastifyInstance {
  const app = Fastify({
    routerOptions: { maxParamLength: PARAM_MAX_CHARS },
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    // What the router itself refuses: a path that is no UTF-8, or a parameter beyond its bound.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, error);
    },
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  app.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(`There is no ${request.method} ${request.url.split("?")[0]}.`)));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  const running = new Set<AbortController>();
  app.addHook("preClose", async () => {
    for (const request of running) request.abort();
  });
  for (const route of routes) serve(app, route, running);
  refuseOtherMethods(app, routes);
  return app;
}

function serve(app: FastifyInstance, route: Route, running: Set<AbortController>): void {
  const input = inputReader(route);
  app.route({
    // A HEAD of an answer without end would never end.
    method: route.method === "GET" && route.long !== true ? ["GET", "HEAD"] : route.method,
    url: fastifyPath(route.path),
    bodyLimit: route.bodyMaxBytes ?? BODY_MAX_BYTES,
    handler: async (request, reply) => {
      const abort = new AbortController();
      running.add(abort);
      reply.raw.once("close", () => {
        running.delete(abort);
        if (!reply.raw.writableFinished) abort.abort();
      });
      const { headers } = request;
      const asked: RouteRequest = {
        params: input.params(request.params as Readonly<Record<string, unknown>>),
        query: input.query(searchOf(request)),
        headers: headers as Readonly<Record<string, string | undefined>>,
        body: input.body(request.body as Buffer | undefined, headers["content-type"], headers["content-encoding"]),
        who: "loopback",
        signal: abort.signal,
      };
      return await send(reply, route, await route.handle(asked));
    },
  });
}

async function send(reply: FastifyReply, route: Route, { status, headers, body }: RouteAnswer): Promise<FastifyReply> {
  const declared = route.answers[status];
  reply.code(status);
  if (typeof declared === "string") reply.type(declared);
  if (headers !== undefined) reply.headers(headers);
  if (body === undefined) return await reply.send();
  if (body instanceof Readable || typeof declared === "string") return await reply.send(body);
  return await reply.type("application/json; charset=utf-8").send(JSON.stringify(body));
}

async function sendProblem(reply: FastifyReply, error: unknown): Promise<FastifyReply> {
  const problem = problemOf(error);
  if (problem.status === 500) process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return await reply
    .code(problem.status)
    .headers(problem.headers)
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemDocument(problem)));
}

/** A path that is there with another method is not "not found". */
function refuseOtherMethods(app: FastifyInstance, routes: readonly Route[]): void {
  const paths = Map.groupBy(routes, ({ path }) => fastifyPath(path));
  for (const [url] of paths) {
    const taken = METHODS.filter((method) => app.hasRoute({ method, url }));
    app.route({
      method: METHODS.filter((method) => !taken.includes(method)),
      url,
      handler: async (request) => {
        throw new HttpProblem(405, "METHOD_NOT_ALLOWED", `${request.method} is no method of this path; ${taken.join(", ")} is.`, {
          allow: taken.join(", "),
        });
      },
    });
  }
}

function fastifyPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ":$1");
}

function searchOf({ url }: FastifyRequest): string {
  const at = url.indexOf("?");
  return at === -1 ? "" : url.slice(at + 1);
}
