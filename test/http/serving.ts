/** Routes of a test on the platform, asked without a socket. */
import { after } from "node:test";
import { Type } from "typebox";
import { openOnLoopback } from "../../api/http/access.ts";
import type { ApiLimits } from "../../api/http/limits.ts";
import type { Route, RouteRequest } from "../../api/http/route.ts";
import { buildServer } from "../../api/http/server.ts";
import { systemClock } from "../../runtime/clock.ts";

export const Anything = Type.Unknown();
const base = { role: "viewer", summary: "A test's", answers: { 200: Anything } } as const;

export function route(changes: Partial<Route> & Pick<Route, "handle">): Route {
  return { ...base, method: "GET", path: "/x", ...changes };
}

export function serve(routes: readonly Route[], limits: Partial<ApiLimits> = {}) {
  const app = buildServer(routes, { access: openOnLoopback, clock: systemClock, limits: { refusalDelayMs: 0, ...limits } });
  after(() => app.close());
  return app;
}

export const echo = (asked: RouteRequest) => ({
  status: 200,
  body: { params: asked.params, query: asked.query, body: asked.body ?? null },
});

interface Asked {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string | Buffer;
}

export function asker(app: ReturnType<typeof serve>) {
  return async ({ url, method = "GET", headers = {}, payload }: Asked) => {
    const answer = await app.inject({ method: method as "GET", url, headers, ...(payload === undefined ? {} : { payload }) });
    const body: unknown = answer.body === "" ? undefined : JSON.parse(answer.body);
    return { status: answer.statusCode, headers: answer.headers, body: body as Record<string, unknown> };
  };
}
