/** What every route gets from the platform: problem documents, headers, ends, idempotent commands. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { Readable } from "node:stream";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { HttpProblem } from "../../api/http/problem.ts";
import type { RouteRequest } from "../../api/http/route.ts";
import { systemClock } from "../../runtime/clock.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { Anything, asker, route, serve } from "./serving.ts";

suite("methods", () => {
  const app = serve([
    route({ handle: async () => ({ status: 200, body: { a: 1 } }) }),
    route({ method: "PUT", handle: async () => ({ status: 200 }) }),
    route({ path: "/live", long: true, answers: { 200: "text/event-stream" }, handle: async () => ({ status: 200, body: "x" }) }),
  ]);
  const ask = asker(app);

  test("that a path does not have are 405 with those that it has", async () => {
    for (const method of ["POST", "DELETE", "PATCH", "OPTIONS"]) {
      const { status, headers, body } = await ask({ url: "/x", method });
      assert.deepEqual([status, headers.allow, body.code], [405, "GET, HEAD, PUT", "METHOD_NOT_ALLOWED"]);
    }
  });

  test("HEAD is GET without its body, but not of what has no end", async () => {
    const answer = await app.inject({ method: "HEAD", url: "/x" });
    assert.deepEqual([answer.statusCode, answer.body, answer.headers["content-length"]], [200, "", "7"]);
    assert.equal((await app.inject({ method: "HEAD", url: "/live" })).statusCode, 405);
  });
});

suite("answers", () => {
  const thrown: Record<string, () => Error> = {
    problem: () => new HttpProblem(409, "NOT_NOW", "Later.", { "retry-after": "7" }),
    full: () => new TidemarkError("LOG_FULL", "Stream x is full."),
    away: () => new TidemarkError("NATS_UNREACHABLE", "Nobody."),
    bug: () => new RangeError("secret inside"),
  };
  const app = serve([
    ...Object.entries(thrown).map(([name, make]) =>
      route({
        path: `/${name}`,
        handle: async () => {
          throw make();
        },
      }),
    ),
    route({
      path: "/html",
      answers: { 200: "text/html; charset=utf-8" },
      handle: async () => ({ status: 200, body: "<p>", headers: { "x-own": "1" } }),
    }),
    route({ path: "/stream", answers: { 200: "text/plain" }, handle: async () => ({ status: 200, body: Readable.from(["a", "b"]) }) }),
    route({ path: "/empty", answers: { 204: Anything }, handle: async () => ({ status: 204 }) }),
  ]);
  const ask = asker(app);

  test("of what went wrong are problem documents with their code, and show no inside", async () => {
    const found = [];
    for (const name of Object.keys(thrown)) {
      const { status, headers, body } = await ask({ url: `/${name}` });
      assert.match(String(headers["content-type"]), /^application\/problem\+json/);
      assert.deepEqual([body.status, body.type, typeof body.title], [status, "about:blank", "string"]);
      found.push([status, body.code, headers["retry-after"]]);
      assert(!JSON.stringify(body).includes("secret"));
    }
    assert.deepEqual(found, [
      [409, "NOT_NOW", "7"],
      [507, "LOG_FULL", undefined],
      [503, "NATS_UNREACHABLE", "1"],
      [500, "INTERNAL", undefined],
    ]);
  });

  test("of all kinds carry the headers that keep browsers from guessing, framing and keeping", async () => {
    for (const url of ["/html", "/problem", "/nowhere", "/%FF", "/empty", "/stream"]) {
      const { headers } = await app.inject(url);
      assert.equal(headers["x-content-type-options"], "nosniff", url);
      assert.equal(headers["cache-control"], "no-store", url);
      assert.match(String(headers["content-security-policy"]), /default-src 'none'; frame-ancestors 'none'/, url);
      assert.equal(headers["access-control-allow-origin"], undefined, url);
    }
  });

  test("may be another media type, a stream, or empty", async () => {
    const html = await app.inject("/html");
    assert.deepEqual([html.headers["content-type"], html.headers["x-own"], html.body], ["text/html; charset=utf-8", "1", "<p>"]);
    assert.equal((await app.inject("/stream")).body, "ab");
    const empty = await app.inject("/empty");
    assert.deepEqual([empty.statusCode, empty.body], [204, ""]);
  });
});

suite("ends", () => {
  test("an answer that takes too long is 504, its handler is told, and its place is kept until it ends", async () => {
    let end = (): void => {};
    let told: AbortSignal | undefined;
    const slow = route({
      handle: ({ signal }) =>
        new Promise((resolve) => {
          told = signal;
          end = () => resolve({ status: 200 });
        }),
    });
    const ask = asker(serve([slow], { answerTimeoutMs: 20, requestsMax: 1 }));
    const late = await ask({ url: "/x" });
    assert.deepEqual([late.status, late.body.code], [504, "TIMEOUT"]);
    assert(told?.aborted);
    assert.equal((await ask({ url: "/x" })).body.code, "OVERLOADED");
    end();
    await systemClock.sleep(0);
    assert.equal((await ask({ url: "/x" })).body.code, "TIMEOUT");
  });

  test("a caller that hangs up, and a node that stops, abort what runs for them", async () => {
    const asked: RouteRequest[] = [];
    let arrived = (): void => {};
    const live = route({
      long: true,
      answers: { 200: "text/event-stream" },
      handle: async (request) => {
        asked.push(request);
        arrived();
        return { status: 200, body: new Readable({ read() {} }) };
      },
    });
    const app = serve([live]);
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const open = async () => {
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      const here = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      socket.write("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await here;
      return socket;
    };
    const first = await open();
    await open();
    first.destroy();
    await once(asked[0]!.signal, "abort");
    assert(!asked[1]!.signal.aborted);
    await app.close();
    assert(asked[1]!.signal.aborted);
  });
});

suite("a command", () => {
  function counted() {
    const state = { runs: 0, release: (): void => {}, held: undefined as Promise<void> | undefined, fail: false };
    const handle = async () => {
      state.runs++;
      await state.held;
      if (state.fail) throw new HttpProblem(409, "NOT_NOW", "Later.");
      return { status: 200, body: { run: state.runs } };
    };
    const ask = asker(
      serve([
        route({
          method: "POST",
          path: "/do/{id}",
          params: Type.Object({ id: Type.String() }),
          body: Type.Unknown(),
          command: true,
          handle,
        }),
      ]),
    );
    const run = (key: string | undefined, payload = "1", url = "/do/1") =>
      ask({
        url,
        method: "POST",
        payload,
        headers: { "content-type": "application/json", ...(key === undefined ? {} : { "idempotency-key": key }) },
      });
    return { state, run };
  }

  test("sent again under its key does nothing more and gets the same answer", async () => {
    const { state, run } = counted();
    assert.deepEqual((await run("k1")).body, { run: 1 });
    const again = await run("k1");
    assert.deepEqual([again.body, again.headers["idempotency-replayed"]], [{ run: 1 }, "true"]);
    assert.deepEqual(
      [(await run("k2")).body, (await run(undefined)).body, (await run(undefined)).body],
      [{ run: 2 }, { run: 3 }, { run: 4 }],
    );
    assert.equal(state.runs, 4);
  });

  test("sent again while it runs waits for the first", async () => {
    const { state, run } = counted();
    state.held = new Promise((resolve) => {
      state.release = resolve;
    });
    const both = [run("k"), run("k")];
    while (state.runs === 0) await systemClock.sleep(0);
    state.release();
    assert.deepEqual(
      (await Promise.all(both)).map(({ body }) => body),
      [{ run: 1 }, { run: 1 }],
    );
  });

  test("of another body or path under the same key is 422", async () => {
    const { run } = counted();
    await run("k");
    for (const answer of [await run("k", "2"), await run("k", "1", "/do/2")])
      assert.deepEqual([answer.status, answer.body.code], [422, "IDEMPOTENCY_KEY_REUSED"]);
  });

  test("that was refused is carried out when it is sent again", async () => {
    const { state, run } = counted();
    state.fail = true;
    assert.equal((await run("k")).status, 409);
    state.fail = false;
    assert.deepEqual((await run("k")).body, { run: 2 });
  });

  test("under a key that is none is 400", async () => {
    const { run } = counted();
    for (const key of ["", "a b", "ä", "x".repeat(256)]) assert.equal((await run(key)).status, 400, key);
  });

  test("is remembered a thousand commands long", async () => {
    const { run } = counted();
    for (let i = 0; i <= 1_000; i++) await run(`k${i}`);
    assert.equal((await run("k1000")).headers["idempotency-replayed"], "true");
    assert.equal((await run("k0")).headers["idempotency-replayed"], undefined);
  });
});

suite("what is no request", () => {
  const app = serve([route({ handle: async () => ({ status: 200 }) })]);

  for (const [name, text, status] of [
    ["no HTTP at all", "HELLO\r\n\r\n", 400],
    ["headers of 20 KB", `GET /x HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ["a HEAD with headers of 20 KB", `HEAD /x HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, 431],
    ["two lengths", "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400],
  ] as const) {
    test(`${name} is answered with a problem and the end of the connection`, async () => {
      await app.listen({ host: "127.0.0.1", port: 0 }).catch(() => {});
      const { port } = app.server.address() as AddressInfo;
      const socket = connect(port, "127.0.0.1")
        .setEncoding("utf8")
        .on("error", () => {});
      socket.write(text);
      let answer = "";
      socket.on("data", (chunk: string) => {
        answer += chunk;
      });
      await once(socket, "close");
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
      if (text.startsWith("HEAD")) return assert.equal(answer.slice(answer.indexOf("\r\n\r\n")), "\r\n\r\n");
      const body = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as Record<string, unknown>;
      assert.equal(body.status, status);
      assert.match(answer, /content-type: application\/problem\+json/);
    });
  }
});
