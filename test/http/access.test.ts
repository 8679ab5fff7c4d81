/** Who is let in: open on loopback, with tokens, and the roles, over a table of every method and role. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { FastifyInstance } from "fastify";
import { Type } from "typebox";
import { openOnLoopback, withTokens } from "../../api/http/access.ts";
import { ROLES, type Route } from "../../api/http/route.ts";
import { buildServer } from "../../api/http/server.ts";
import { TokenFile } from "../../api/http/tokens.ts";
import { systemClock } from "../../runtime/clock.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { ManualClock } from "./manual-clock.ts";

const folder = mkdtempSync(join(tmpdir(), "tidemark-access-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const METHODS = ["GET", "POST", "PUT", "DELETE"] as const;
const NEEDED = ["public", ...ROLES] as const;

/** Every method with every role; a body where one may be. */
const routes: Route[] = METHODS.flatMap((method) =>
  NEEDED.map((role) => ({
    method,
    path: `/${role}`,
    role,
    summary: "A route of the table",
    ...(method === "GET" ? {} : { body: Type.Unknown() }),
    answers: { 200: Type.Object({ who: Type.String() }) },
    handle: async ({ who }) => ({ status: 200, body: { who } }),
  })),
);

// @ts-expect-error: a route without a role is not written by accident.
const withoutRole: Route = {
  method: "GET",
  path: "/open",
  summary: "Nobody said who may",
  answers: { 200: Type.Unknown() },
  handle: async () => ({ status: 200 }),
};

const tokenOf = (name: string) => `${name}-token-0123456789`;
const path = join(folder, "tokens");
writeFileSync(path, ROLES.map((role) => `${role}-1:${role}:${createHash("sha256").update(tokenOf(role)).digest("hex")}\n`).join(""), {
  mode: 0o600,
});
const tokens = new TokenFile(path, { clock: systemClock, notice: () => {} });
const clock = new ManualClock();
const guarded = buildServer(routes, { access: withTokens(tokens), clock });
const open = buildServer(routes, { access: openOnLoopback, clock: systemClock });

async function ask(app: FastifyInstance, method: string, url: string, headers: Readonly<Record<string, string>> = {}) {
  // Time goes by between two requests, so that nobody's rate is what a test about roles finds.
  if (app === guarded) clock.pass(1_000);
  const hasBody = method !== "GET" && method !== "HEAD";
  const answer = await app.inject({
    method: method as "GET",
    url,
    headers: { host: "localhost:7070", ...(hasBody ? { "content-type": "application/json" } : {}), ...headers },
    ...(hasBody ? { payload: "1" } : {}),
  });
  const isProblem = String(answer.headers["content-type"]).startsWith("application/problem+json");
  return {
    status: answer.statusCode,
    headers: answer.headers,
    isProblem,
    body: JSON.parse(answer.body || "{}") as Record<string, unknown>,
  };
}

suite("with tokens", () => {
  for (const { method, path: url, role: needed } of routes) {
    for (const role of ROLES) {
      const may = needed === "public" || ROLES.indexOf(role) >= ROLES.indexOf(needed);
      test(`${method} of a route for ${needed} ${may ? "answers" : "refuses"} a ${role}`, async () => {
        const answer = await ask(guarded, method, url, { authorization: `Bearer ${tokenOf(role)}` });
        if (may) {
          assert.equal(answer.status, 200);
          assert.equal(answer.body.who, needed === "public" ? "anonymous" : `${role}-1`);
          return;
        }
        assert.deepEqual([answer.status, answer.isProblem, answer.body.code], [403, true, "FORBIDDEN"]);
        assert.match(String(answer.body.detail), new RegExp(`needs the role ${needed}`));
        assert.match(String(answer.headers["www-authenticate"]), new RegExp(`insufficient_scope", scope="${needed}"`));
      });
    }

    test(`${method} of a route for ${needed} ${needed === "public" ? "answers" : "refuses"} who has none`, async () => {
      const { status, body, headers } = await ask(guarded, method, url);
      assert.equal(status, needed === "public" ? 200 : 401);
      if (needed === "public") return;
      assert.equal(body.code, "UNAUTHENTICATED");
      assert.equal(headers["www-authenticate"], 'Bearer realm="tidemark"');
    });
  }

  const WRONG: Readonly<Record<string, string>> = {
    "another token": "Bearer nobodys-token",
    "another scheme": `Basic ${Buffer.from(`admin:${tokenOf("admin")}`).toString("base64")}`,
    "no token": "Bearer ",
    "two tokens": `Bearer ${tokenOf("admin")} ${tokenOf("admin")}`,
    "the hash of a token": `Bearer ${createHash("sha256").update(tokenOf("admin")).digest("hex")}`,
    "an endless token": `Bearer ${"x".repeat(8_000)}`,
    "the name of a token": "Bearer admin-1",
  };
  for (const [name, authorization] of Object.entries(WRONG)) {
    test(`${name} is 401`, async () => {
      const { status, headers } = await ask(guarded, "GET", "/viewer", { authorization });
      assert.equal(status, 401);
      assert.match(String(headers["www-authenticate"]), /error="invalid_token"/);
    });
  }

  test("what is not there is not told to who has no token", async () => {
    assert.equal((await ask(guarded, "GET", "/nowhere")).status, 401);
    assert.equal((await ask(guarded, "PATCH", "/admin")).status, 401);
    const viewer = { authorization: `bearer ${tokenOf("viewer")}` };
    assert.equal((await ask(guarded, "GET", "/nowhere", viewer)).status, 404);
    assert.equal((await ask(guarded, "PATCH", "/admin", viewer)).status, 405);
  });

  test("who guesses is slowed down, by address, and the right token still works", async () => {
    const app = buildServer(routes, { access: withTokens(tokens), clock: systemClock });
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) statuses.push((await ask(app, "GET", "/viewer", { authorization: `Bearer guess-${i}` })).status);
    assert.equal(statuses[0], 401);
    assert(statuses.includes(429), statuses.join());
    assert.equal((await ask(app, "GET", "/viewer", { authorization: `Bearer ${tokenOf("viewer")}` })).status, 200);
  });
});

suite("open on loopback", () => {
  for (const { method, path: url } of routes) {
    test(`${method} ${url} answers as admin "loopback"`, async () => {
      const { status, body } = await ask(open, method, url);
      assert.deepEqual([status, body.who], [200, url === "/public" ? "anonymous" : "loopback"]);
    });
  }

  for (const host of ["localhost", "LOCALHOST:7070", "127.0.0.1:7070", "127.8.4.2", "[::1]:7070", "tidemark.localhost:80"]) {
    test(`the host ${host} is this machine`, async () => assert.equal((await ask(open, "GET", "/viewer", { host })).status, 200));
  }

  for (const host of [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.1",
    "0.0.0.0",
    "[::2]",
    "localhost:7070@evil",
    "::1",
  ]) {
    test(`a page that reached it by the name "${host}" is refused, on public routes too`, async () => {
      for (const url of ["/viewer", "/public", "/nowhere"]) {
        const { status, body } = await ask(open, "GET", url, { host });
        assert.deepEqual([status, body.code], [421, "MISDIRECTED"]);
      }
    });
  }

  const FOREIGN: readonly Readonly<Record<string, string>>[] = [
    { origin: "https://evil.example" },
    { origin: "null" },
    { origin: "http://localhost:3000" },
    { origin: "https://localhost:7070" },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site", origin: "http://localhost:7070" },
  ];
  for (const headers of FOREIGN) {
    test(`a page with ${JSON.stringify(headers)} may change nothing`, async () => {
      for (const method of ["POST", "PUT", "DELETE"]) {
        const { status, body } = await ask(open, method, "/admin", headers);
        assert.deepEqual([status, body.code], [403, "CROSS_ORIGIN"]);
      }
      assert.equal((await ask(open, "GET", "/viewer", headers)).headers["access-control-allow-origin"], undefined);
    });
  }

  test("a page of its own, and programs, may", async () => {
    const own = { origin: "http://localhost:7070", "sec-fetch-site": "same-origin" };
    assert.equal((await ask(open, "POST", "/admin", own)).status, 200);
    assert.equal((await ask(open, "POST", "/admin", { "sec-fetch-site": "none" })).status, 200);
  });
});

suite("the settings", () => {
  for (const host of ["0.0.0.0", "::", "10.1.2.3", "tidemark.example", "localhost.example"]) {
    test(`refuse to listen on ${host} without tokens, and say what to do`, () => {
      assert.throws(
        () => readConfig({ TIDEMARK_HTTP_HOST: host }),
        /CONFIG_INVALID: TIDEMARK_HTTP_HOST=.*TIDEMARK_API_TOKENS is not set: name a file of tokens, or listen on 127\.0\.0\.1/,
      );
      assert.equal(readConfig({ TIDEMARK_HTTP_HOST: host, TIDEMARK_API_TOKENS: path }).httpHost, host);
    });
  }

  for (const host of ["127.0.0.1", "127.0.0.9", "::1", "localhost"]) {
    test(`let ${host} be open`, () => assert.equal(readConfig({ TIDEMARK_HTTP_HOST: host }).apiTokens, undefined));
  }

  for (const host of ["a b", "host:7070/", "-x", "http://x"]) {
    test(`refuse "${host}" as a host`, () => assert.throws(() => readConfig({ TIDEMARK_HTTP_HOST: host }), /CONFIG_INVALID/));
  }
});

void withoutRole;
