/** Calls over HTTP to a real server that answers well or badly. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, suite, test } from "node:test";
import type { Outcome } from "../../actors/fold/result-entry.ts";
import { HttpConnections } from "../../inference/remote/http-exchange.ts";
import { systemClock } from "../../runtime/clock.ts";
import { RESPONSE_MAX_BYTES } from "../../runtime/effects/bounds.ts";
import { HttpCaller } from "../../runtime/effects/http-caller.ts";
import { startFaultyServer } from "../support/faulty-server.ts";

const server = await startFaultyServer({ after });
const connections = new HttpConnections({ responseMaxBytes: RESPONSE_MAX_BYTES });
after(() => connections.close());
/** Pauses take no time here; they are noted. */
const pauses: number[] = [];
const clock = { ...systemClock, sleep: async (ms: number) => void pauses.push(ms) };
const caller = new HttpCaller(connections, clock, () => 1);

interface CallOptions {
  readonly method?: string;
  readonly input?: unknown;
  readonly mayRepeat?: boolean;
  readonly timeoutMs?: number;
  readonly base?: string;
}

/** Gives the outcome, and how many attempts there were. */
async function call(path: string, { method = "PUT", input = {}, mayRepeat, timeoutMs = 20_000, base = server.url }: CallOptions = {}) {
  let attempts = 0;
  const target = `http ${method} ${base}${path}`;
  const deadline = Date.now() + timeoutMs;
  const signal = AbortSignal.timeout(timeoutMs);
  const made = { id: "job.0:7.0.look.1", target, input: JSON.stringify(input), key: "ann", mayRepeat, deadline };
  const outcome = await caller.call(made, signal, { onAttempt: () => attempts++, async onTrial() {}, async onLarge() {} });
  return { outcome, attempts };
}

const codeOf = (outcome: Outcome): string => ("failed" in outcome ? outcome.failed.code : `output ${JSON.stringify(outcome.output)}`);

suite("a call", () => {
  test("sends its input as JSON, and its id as Idempotency-Key", async () => {
    const { outcome } = await call("/echo", { method: "POST", input: { a: "ü", b: [1] } });
    assert.deepEqual(outcome, { output: { method: "POST", path: "/echo", body: '{"a":"ü","b":[1]}' } });
    const { headers } = server.seen.at(-1)!;
    assert.deepEqual(
      [headers["idempotency-key"], headers["content-type"], headers.accept, headers["content-length"]],
      ["job.0:7.0.look.1", "application/json", "application/json", "18"],
    );
  });

  for (const method of ["GET", "DELETE"]) {
    test(`by ${method} sends its input as the query, behind the one of the URL`, async () => {
      const input = { id: "a&b ü", n: 1.5, yes: true, none: null, list: ["x", 2] };
      const { outcome } = await call("/echo?key=1", { method, input });
      assert.deepEqual(outcome, { output: { method, path: "/echo?key=1&id=a%26b+%C3%BC&n=1.5&yes=true&list=x&list=2", body: "" } });
      assert.equal(server.seen.at(-1)!.headers["idempotency-key"], "job.0:7.0.look.1");
    });

    for (const input of [{ nested: { a: 1 } }, [1], "text", null, { list: [[1]] }]) {
      test(`by ${method} with the input ${JSON.stringify(input)}, which is no query, fails without a request`, async () => {
        const before = server.seen.length;
        const { outcome, attempts } = await call("/echo", { method, input });
        assert.deepEqual([codeOf(outcome), attempts, server.seen.length], ["INPUT_NOT_A_QUERY", 0, before]);
      });
    }
  }

  test("goes over the connection of the call before", async () => {
    await call("/echo");
    await call("/echo");
    assert.equal(server.seen.at(-1)!.port, server.seen.at(-2)!.port);
  });

  test("with an empty answer gives null", async () => assert.deepEqual((await call("/empty")).outcome, { output: null }));

  test("takes every kind of JSON", async () => assert.deepEqual((await call("/problem")).outcome, { output: { a: 1 } }));
});

suite("a fault has a code of its own", () => {
  /** Path, code, attempts. */
  const FAULTS: readonly [string, string, number][] = [
    ["/reset", "CONNECTION_LOST", 3],
    ["/cut", "CONNECTION_LOST", 3],
    ["/garbage", "BAD_RESPONSE", 3],
    ["/html", "NOT_JSON", 1],
    ["/untyped", "NOT_JSON", 1],
    ["/broken", "NOT_JSON", 1],
    ["/latin", "NOT_JSON", 1],
    ["/zipped", "NOT_JSON", 1],
    ["/deep", "NOT_JSON", 1],
    ["/large", "RESPONSE_TOO_LARGE", 1],
    ["/numbers", "RESPONSE_TOO_LARGE", 1],
    ["/endless", "RESPONSE_TOO_LARGE", 1],
    ["/redirect", "HTTP_302", 1],
    ["/status/400", "HTTP_400", 1],
    ["/status/404", "HTTP_404", 1],
    ["/status/429", "HTTP_429", 3],
    ["/status/500", "HTTP_500", 3],
    ["/status/501", "HTTP_501", 1],
    ["/status/503", "HTTP_503", 3],
  ];
  for (const [path, code, attempts] of FAULTS) {
    test(`${path}: ${code} after ${attempts} attempts`, async () => {
      const before = server.count(path);
      const made = await call(path);
      assert.deepEqual([codeOf(made.outcome), made.attempts, server.count(path) - before], [code, attempts, attempts]);
    });
  }

  test("a port where nobody listens: CONNECT_FAILED", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => {
      closed.listen(0, "127.0.0.1", resolve);
    });
    const { port } = closed.address() as { readonly port: number };
    await new Promise((resolve) => {
      closed.close(resolve);
    });
    const { outcome, attempts } = await call("/", { base: `http://127.0.0.1:${port}` });
    assert.deepEqual([codeOf(outcome), attempts], ["CONNECT_FAILED", 3]);
  });

  test("a name that no DNS knows: DNS_FAILED", async () => {
    const { outcome } = await call("/", { base: "http://nobody.invalid", mayRepeat: false });
    assert.equal(codeOf(outcome), "DNS_FAILED");
  });

  test("a server without TLS where some was expected: TLS_FAILED, once", async () => {
    const { outcome, attempts } = await call("/", { base: server.url.replace("http:", "https:") });
    assert.deepEqual([codeOf(outcome), attempts], ["TLS_FAILED", 1]);
  });

  test("its message says nothing of the input", async () => {
    for (const path of ["/reset", "/html", "/status/404"]) {
      const { outcome } = await call(path, { method: "GET", input: { secret: "hush" } });
      assert("failed" in outcome && !JSON.stringify(outcome).includes("hush"));
    }
  });
});

suite("a repetition", () => {
  test("is made where nobody said otherwise for PUT, GET and DELETE, and not for POST and PATCH", async () => {
    for (const [method, attempts] of [
      ["PUT", 3],
      ["GET", 3],
      ["DELETE", 3],
      ["POST", 1],
      ["PATCH", 1],
    ] as const) {
      assert.equal((await call("/status/503", { method })).attempts, attempts, method);
    }
  });

  test("is made as the effect says", async () => {
    assert.equal((await call("/reset", { method: "POST", mayRepeat: true })).attempts, 3);
    assert.equal((await call("/reset", { method: "PUT", mayRepeat: false })).attempts, 1);
  });

  test("may succeed, under the same Idempotency-Key", async () => {
    assert.deepEqual(await call("/busy"), { outcome: { output: { tries: 3 } }, attempts: 3 });
    const keys = server.seen.filter(({ path }) => path === "/busy").map(({ headers }) => headers["idempotency-key"]);
    assert.deepEqual(keys, Array(3).fill("job.0:7.0.look.1"));
  });

  test("waits at most 0.2 s, and then 0.4 s", async () => {
    pauses.length = 0;
    await call("/status/500");
    assert.deepEqual(pauses, [200, 400]);
  });

  test("waits as long as Retry-After asks, in seconds or until a date, and no less than without", async () => {
    for (const [after, expected] of [
      ["3", (ms: number) => ms === 3_000],
      [new Date(Date.now() + 60_000).toUTCString(), (ms: number) => ms > 30_000 && ms <= 60_000],
      ["soon", (ms: number) => ms <= 400],
      [new Date(Date.now() - 60_000).toUTCString(), (ms: number) => ms <= 400],
    ] as const) {
      pauses.length = 0;
      assert.deepEqual((await call(`/busy/${encodeURIComponent(after)}`, { timeoutMs: 300_000 })).outcome, { output: { tries: 3 } });
      assert(pauses.length === 2 && pauses.every(expected), `${after}: ${pauses.join()}`);
    }
  });

  test("is not waited for beyond the deadline: the status is the reason", async () => {
    const { outcome, attempts } = await call("/busy/60", { timeoutMs: 10_000 });
    assert.deepEqual([codeOf(outcome), attempts], ["HTTP_503", 1]);
  });
});
