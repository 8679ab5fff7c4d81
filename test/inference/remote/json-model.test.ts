/** Models that are asked with plain JSON, on a real server that answers well or badly; and that a secret shows nowhere. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, suite, test } from "node:test";
import { inspect } from "node:util";
import { InferenceError } from "../../../inference/failures.ts";
import type { ModelAnswer } from "../../../inference/inference.ts";
import type { JsonServing } from "../../../inference/remote/remote-serving.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { ask, opener, SECRET_VALUE, said } from "./remote-records.ts";

const json = { "content-type": "application/json" };
const seenSecret = (authorization: string | undefined): string => authorization ?? "";
const server = await startFaultyServer(
  { after },
  {
    score: (_, response) => void response.writeHead(200, json).end('{"data":[{"score":0.5}]}'),
    nan: (_, response) => void response.writeHead(200, json).end('{"score": NaN, "other": 1}'),
    "echo-error": ({ headers }, response) =>
      void response.writeHead(401, { ...json, "x-echo": seenSecret(headers.authorization) }).end(JSON.stringify(headers)),
    "echo-type": ({ headers }, response) =>
      void response.writeHead(200, { "content-type": `text/${headers.authorization?.slice(7)}` }).end("x"),
    "echo-encoding": ({ headers }, response) =>
      void response.writeHead(200, { ...json, "content-encoding": seenSecret(headers.authorization) }).end("{}"),
    "echo-reason": ({ headers }, response) => void response.writeHead(500, seenSecret(headers.authorization)).end(),
    "echo-redirect": ({ headers }, response) => void response.writeHead(302, { location: seenSecret(headers.authorization) }).end(),
    "echo-html": ({ headers }, response) => void response.writeHead(200, { "content-type": "text/html" }).end(inspect(headers)),
    "echo-broken": ({ headers }, response) => void response.writeHead(200, json).end(`{"${headers.authorization}`),
    "echo-garbage": ({ headers }, _, socket) => void socket.end(`${headers.authorization}\r\n\r\n`),
    "echo-output": ({ headers }, response) => void response.writeHead(200, json).end(JSON.stringify({ args: {}, headers })),
    "echo-escaped": ({ headers }, response) =>
      void response.writeHead(200, json).end(`{"a":"${seenSecret(headers.authorization).replaceAll("-", "\\u002d")}"}`),
    limited: (_, response) => void response.writeHead(429, { "retry-after": "7" }).end(),
  },
);
const models = opener();
after(() => models.close());

/** What came of one input. */
async function call(path: string, more: Partial<JsonServing> = {}, signal?: AbortSignal): Promise<ModelAnswer> {
  const model = await models.open({ kind: "json", url: server.url + path, ...more });
  try {
    return (await ask(model, [{ a: "ü", b: 1 }], signal))[0]!;
  } catch (error) {
    if (error instanceof InferenceError) return { failed: error.failure };
    throw error;
  }
}

suite("a model that is asked with JSON", () => {
  test("gets the input, and its id as Idempotency-Key", async () => {
    const answer = await call("/echo/it");
    assert.deepEqual(answer, { output: { method: "POST", path: "/echo/it", body: '{"a":"ü","b":1}' }, units: 1 });
    const { headers } = server.seen.at(-1)!;
    assert.deepEqual(
      [headers["idempotency-key"], headers["content-type"], headers.accept, headers["accept-encoding"], headers.authorization],
      ["call.0", "application/json", "application/json", "identity", undefined],
    );
  });

  test("answers with the part that its serving points at, and is refused without it", async () => {
    assert.deepEqual(await call("/score", { output: "/data/0/score" }), { output: 0.5, units: 1 });
    for (const output of ["/data/1", "/data/length", "/data/0/score/x", "/constructor"])
      assert.equal(said(await call("/score", { output })), "OUTPUT_REFUSED");
  });

  test("is asked on the path that its serving names", async () => {
    await call("/before/", { path: "/echo?api-version=1" });
    assert.equal(server.seen.at(-1)!.path, "/before/echo?api-version=1");
  });

  test("gets a key that a header takes, whatever the id is", async () => {
    const model = await models.open({ kind: "json", url: `${server.url}/echo` });
    for (const id of ["a\r\nb: c", "ü", "x".repeat(300)]) {
      await model.run([{ id, value: 1 }], AbortSignal.timeout(10_000));
      assert.match(String(server.seen.at(-1)!.headers["idempotency-key"]), /^[0-9a-f]{64}$/);
    }
  });
});

suite("a fault of the server", () => {
  /** Path, code, whether another attempt might end otherwise. */
  const FAULTS: readonly [string, string, boolean][] = [
    ["/reset", "CONNECTION_LOST", true],
    ["/cut", "CONNECTION_LOST", true],
    ["/garbage", "BAD_RESPONSE", true],
    ["/html", "NOT_JSON", false],
    ["/untyped", "NOT_JSON", false],
    ["/broken", "NOT_JSON", false],
    ["/latin", "NOT_JSON", false],
    ["/zipped", "NOT_JSON", false],
    ["/nan", "OUTPUT_REFUSED", false],
    ["/large", "RESPONSE_TOO_LARGE", false],
    ["/endless", "RESPONSE_TOO_LARGE", false],
    ["/redirect", "HTTP_302", false],
    ["/status/400", "HTTP_400", false],
    ["/status/404", "HTTP_404", false],
    ["/status/500", "HTTP_500", true],
    ["/status/501", "HTTP_501", false],
    ["/status/503", "HTTP_503", true],
  ];
  for (const [path, code, again] of FAULTS) {
    test(`${path}: ${code}, ${again ? "to be tried again" : "final"}`, async () => {
      const answer = await call(path);
      assert("failed" in answer, said(answer));
      assert.deepEqual([answer.failed.code, answer.failed.again], [code, again]);
    });
  }

  test("429 says how long to wait", async () => {
    const answer = await call("/limited");
    assert("failed" in answer);
    assert.deepEqual([answer.failed.code, answer.failed.again, answer.failed.waitMs], ["HTTP_429", true, 7_000]);
  });

  for (const path of ["/hang", "/drip"]) {
    test(`${path}: TIMEOUT after the time of one request, to be tried again`, async () => {
      const answer = await call(path, { timeoutMs: 30 });
      assert("failed" in answer);
      assert.deepEqual([answer.failed.code, answer.failed.again], ["TIMEOUT", true]);
    });

    test(`${path}: ends with the signal`, async () => {
      const end = new AbortController();
      const before = server.count(path);
      const asked = call(path, {}, end.signal).catch(() => "ended");
      while (server.count(path) === before) await new Promise(setImmediate);
      end.abort();
      await asked;
      while (server.open > 0) await new Promise(setImmediate);
    });
  }

  test("its message says nothing of the input", async () => {
    for (const [path] of FAULTS) assert(!JSON.stringify(await call(path)).includes("ü"), path);
  });
});

suite("a secret", () => {
  const use = { secret: { name: "token" } };

  test("goes out in the header and with the scheme that its serving says", async () => {
    await call("/echo", use);
    assert.equal(server.seen.at(-1)!.headers.authorization, `Bearer ${SECRET_VALUE}`);
    await call("/echo", { secret: { name: "token", header: "x-api-key" } });
    assert.deepEqual([server.seen.at(-1)!.headers["x-api-key"], server.seen.at(-1)!.headers.authorization], [SECRET_VALUE, undefined]);
    await call("/echo", { secret: { name: "token", scheme: "Key" } });
    assert.equal(server.seen.at(-1)!.headers.authorization, `Key ${SECRET_VALUE}`);
  });

  test("that is not there fails the call without a request", async () => {
    const before = server.seen.length;
    const answer = await call("/echo", { secret: { name: "other" } });
    assert.deepEqual([said(answer), server.seen.length], ["SECRET_MISSING", before]);
    assert.match("failed" in answer ? answer.failed.message : "", /TIDEMARK_SECRET_OTHER/);
  });

  test("goes to the servers that are named for it, and to no other", async () => {
    const asked = async (origins: Record<string, readonly string[]>, others: "anywhere" | "nowhere") => {
      const bound = opener(1024, { origins, others });
      const model = await bound.open({ kind: "json", url: `${server.url}/echo`, ...use });
      const before = server.seen.length;
      const came = await ask(model, [{}]).then(
        ([answer]) => said(answer),
        (error) => (error as InferenceError).failure.code,
      );
      bound.close();
      return [came.split(" ")[0], server.seen.length - before];
    };
    const { origin } = new URL(server.url);
    assert.deepEqual(await asked({ token: ["https://other.example", origin] }, "nowhere"), ["output", 1]);
    for (const others of ["anywhere", "nowhere"] as const) {
      assert.deepEqual(await asked({ token: ["https://other.example"] }, others), ["SECRET_ORIGIN", 0]);
      assert.deepEqual(await asked({ token: [] }, others), ["SECRET_ORIGIN", 0]);
    }
    assert.deepEqual(await asked({ other: [origin] }, "nowhere"), ["SECRET_ORIGIN", 0]);
    assert.deepEqual(await asked({ other: [origin] }, "anywhere"), ["output", 1]);
  });

  test("that the server answers with is used in no output", async () => {
    for (const path of ["/echo-output", "/echo-escaped"]) assert.equal(said(await call(path, use)), "BAD_RESPONSE", path);
  });

  const ECHOES = ["error", "type", "encoding", "reason", "redirect", "html", "broken", "garbage", "output", "escaped"].map(
    (each) => `/echo-${each}`,
  );
  const OTHERS = ["/reset", "/cut", "/garbage", "/html", "/large", "/status/401", "/status/500", "/limited", "/hang"];
  for (const path of [...ECHOES, ...OTHERS]) {
    test(`is in no failure of ${path}, however it is shown`, async () => {
      const model = await models.open({ kind: "json", url: server.url + path, ...use, timeoutMs: path === "/hang" ? 30 : 10_000 });
      const result: unknown = await ask(model, [{}]).catch((error: unknown) => error);
      const stack =
        result instanceof Error ? `${result.stack} ${result} ${JSON.stringify(result)} ${String(result.cause)}` : JSON.stringify(result);
      const shown = `${stack} ${inspect(result, { depth: 20, showHidden: true })} ${inspect(model, { depth: 20, showHidden: true })}`;
      assert.match(shown, /failed|InferenceError/);
      assert(!shown.includes(SECRET_VALUE) && !shown.includes(SECRET_VALUE.slice(3)), shown);
    });
  }

  test("is in no failure of an endpoint that is not there, or has no TLS", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => {
      closed.listen(0, "127.0.0.1", resolve);
    });
    const { port } = closed.address() as { readonly port: number };
    await new Promise((resolve) => {
      closed.close(resolve);
    });
    const urls = [`http://127.0.0.1:${port}`, "https://nobody.invalid", server.url.replace("http:", "https:")];
    const codes: string[] = [];
    for (const url of urls) {
      const model = await models.open({ kind: "json", url, ...use });
      const error: unknown = await ask(model, [{}]).catch((thrown: unknown) => thrown);
      assert(error instanceof InferenceError);
      codes.push(error.failure.code);
      assert(!`${inspect(error, { depth: 20, showHidden: true })} ${error.stack}`.includes(SECRET_VALUE));
    }
    assert.deepEqual(codes, ["CONNECT_FAILED", "DNS_FAILED", "TLS_FAILED"]);
  });
});
