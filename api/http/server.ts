/**
 * Routes on Fastify, apart from any socket: tests inject into it. It knows what a Route is and nothing of nodes.
 *
 * Fastify reads and routes; it checks nothing and writes no JSON of its own. The order for every request, also one that
 * no route takes: headers, guard against browsers, who it is, whether there is room, whether the role suffices; only
 * then is a body read. Every answer that is no success is a problem document.
 */
import { Readable } from "node:stream";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Clock } from "../../runtime/clock.ts";
import type { ThreadLoad } from "../../runtime/node/thread-load.ts";
import { type Access, ANONYMOUS, authorise, type Caller } from "./access.ts";
import { Admission } from "./admission.ts";
import { CommandMemory } from "./idempotency.ts";
import { API_LIMITS, type ApiLimits, BODY_MAX_BYTES, CONNECTIONS_MAX, PARAM_MAX_CHARS, RECEIVE_TIMEOUT_MS } from "./limits.ts";
import { HttpProblem, notFound, PROBLEM_MEDIA_TYPE, problemDocument, problemOf } from "./problem.ts";
import { inputReader } from "./request-input.ts";
import { refuseOnSocket, SECURITY_HEADERS } from "./response-headers.ts";
import type { Route, RouteAnswer, RouteRequest } from "./route.ts";
import { Visit } from "./visit.ts";

export interface ServerOptions {
  readonly access: Access;
  readonly clock: Clock;
  readonly limits?: Partial<ApiLimits>;
  /** How busy the node is; without it reads are never shed for the shards' sake. */
  readonly load?: () => ThreadLoad;
}

interface Platform {
  readonly access: Access;
  readonly limits: ApiLimits;
  readonly admission: Admission;
  readonly commands: CommandMemory;
  readonly visits: Set<Visit>;
}

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;

declare module "fastify" {
  interface FastifyRequest {
    /** Set for every request before anything else sees it. */
    visit: Visit | null;
  }
  interface FastifyContextConfig {
    route?: Route;
  }
}

export function buildServer(routes: readonly Route[], options: ServerOptions): FastifyInstance {
  const { access, clock, load } = options;
  const limits = { ...API_LIMITS, ...options.limits };
  const platform: Platform = {
    access,
    limits,
    admission: new Admission(limits, clock, load),
    commands: new CommandMemory(clock),
    visits: new Set(),
  };
  const app = Fastify({
    routerOptions: { maxParamLength: PARAM_MAX_CHARS },
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    exposeHeadRoutes: false,
    clientErrorHandler: refuseOnSocket,
    // What the router itself refuses: a path that is no UTF-8, or a parameter beyond its bound.
    frameworkErrors: (error, _request, reply) => {
      void sendProblem(reply, error);
    },
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  app.decorateRequest("visit", null);
  app.addHook("onRequest", (request, reply) => receive(platform, request, reply));
  app.addHook("preClose", async () => {
    for (const visit of platform.visits) visit.abort();
  });
  app.setErrorHandler((error, _request, reply) => sendProblem(reply, error));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, notFound(`There is no ${request.method} ${request.url.split("?")[0]}. /docs shows what there is.`)),
  );
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  for (const route of routes) serve(app, route, platform);
  refuseOtherMethods(app, routes);
  app.addHook("onRoute", ({ url }) => {
    throw new Error(`${url} is not in the route table: no role guards it and no document names it`);
  });
  return app;
}

/** Everything that is decided before a byte of the body is read. */
async function receive({ access, admission, visits }: Platform, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { headers, ip } = request;
  const { route } = request.routeOptions.config;
  reply.headers(SECURITY_HEADERS);
  access.guard(request.method, headers);
  const isPublic = route?.role === "public";
  const caller = isPublic ? ANONYMOUS : identify(access, admission, request);
  let leave: () => void;
  try {
    leave = await admission.enter(isPublic || caller.name === "loopback" ? `address ${ip}` : `token ${caller.name}`, route);
  } catch (error) {
    if (!(await admission.delay())) reply.header("connection", "close");
    throw error;
  }
  const visit = new Visit(caller.name, () => {
    visits.delete(visit);
    leave();
  });
  visits.add(visit);
  request.visit = visit;
  reply.raw.once("close", () => visit.closed(reply.raw.writableFinished));
  if (route !== undefined) authorise(caller, route.role);
}

function identify(access: Access, admission: Admission, { headers, ip }: FastifyRequest): Caller {
  try {
    return access.identify(headers);
  } catch (error) {
    admission.failed(ip);
    throw error;
  }
}

function serve(app: FastifyInstance, route: Route, platform: Platform): void {
  const input = inputReader(route);
  app.route({
    // A HEAD of an answer without end would never end.
    method: route.method === "GET" && route.long !== true ? ["GET", "HEAD"] : route.method,
    url: fastifyPath(route.path),
    bodyLimit: route.bodyMaxBytes ?? BODY_MAX_BYTES,
    config: { route },
    handler: async (request, reply) => {
      const visit = request.visit!;
      const { headers } = request;
      const body = request.body as Buffer | undefined;
      const asked: RouteRequest = {
        params: input.params(request.params as Readonly<Record<string, unknown>>),
        query: input.query(searchOf(request)),
        headers: headers as Readonly<Record<string, string | undefined>>,
        body: input.body(body, headers["content-type"], headers["content-encoding"]),
        who: visit.who,
        signal: visit.signal,
      };
      const key = route.command === true ? headers["idempotency-key"] : undefined;
      const run = (): Promise<RouteAnswer> => visit.handle(() => route.handle(asked));
      const command = { key: String(key), who: visit.who, target: `${request.method} ${request.url}`, body };
      const answer = key === undefined ? run() : platform.commands.once(command, run);
      return await send(reply, route, await (route.long === true ? answer : inTime(answer, visit, platform.limits)));
    },
  });
}

/** What takes too long is told so, and asked to end; its place stays taken until it does. */
async function inTime(answer: Promise<RouteAnswer>, visit: Visit, { answerTimeoutMs }: ApiLimits): Promise<RouteAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      visit.abort();
      reject(new HttpProblem(504, "TIMEOUT", `There was no answer within ${answerTimeoutMs} ms.`));
    }, answerTimeoutMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
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
    .headers({ ...SECURITY_HEADERS, ...problem.headers })
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemDocument(problem)));
}

/** A path that is there with another method is not "not found". */
function refuseOtherMethods(app: FastifyInstance, routes: readonly Route[]): void {
  for (const url of new Set(routes.map(({ path }) => fastifyPath(path)))) {
    const taken = METHODS.filter((method) => app.hasRoute({ method, url }));
    app.route({
      method: METHODS.filter((method) => !taken.includes(method)),
      url,
      handler: async (request) => {
        const detail = `${request.method} is no method of this path; ${taken.join(", ")} is.`;
        throw new HttpProblem(405, "METHOD_NOT_ALLOWED", detail, { allow: taken.join(", ") });
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
