/**
 * Every route of a running node, taken from its own OpenAPI document, so that a route added later is held to it too:
 * whatever is sent, no 5xx, no crash, every answer as the document says, every refusal a problem document.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import fc from "fast-check";
import type { OpenApiDocument, Operation } from "../../api/http/openapi.ts";
import { type EventPayload, openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { cloudEvent, T0 } from "../support/entries.ts";
import job from "../support/meter-hold.ts";
import { startTestNats } from "../support/nats.ts";
import { getJson, NodeProcess, shardsOf, untilShards } from "../support/node-process.ts";
import { anyBody, anyHeaders, anyPiece, requestFor, type Sent } from "./hostile-requests.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);
/** A long answer is not waited for: that it begins as declared, or has not begun, is what can be said of it. */
const LONG_MS = 300;

const nats = await startTestNats({ after }, { logs: [job.log] });
const dataDir = mkdtempSync(join(tmpdir(), "tidemark-contract-"));
const node = new NodeProcess({
  app: new URL("../support/meter-hold.ts", import.meta.url).pathname,
  natsUrl: nats.url,
  dataDir,
  env: { TIDEMARK_API_RATE: "1000000" },
});
// A connection for each: what one request leaves unread on its connection must not be taken for the answer to the next.
const agent = new Agent({ keepAlive: false, maxSockets: 8 });
after(async () => {
  agent.destroy();
  await node.kill();
  rmSync(dataDir, { recursive: true, force: true });
});
const url = await node.ready;
await publish();

async function publish(): Promise<void> {
  const nc = await connect({ servers: nats.url });
  const publisher = openLogPublisher(nc, job.log, (await readSlotMap(nc, job.log))!);
  for (const key of ["a", "b", "a/b", "käse"]) {
    await publisher.publish(key, cloudEvent({ id: "1", key, time: T0 }) as EventPayload);
    await publisher.publish(key, cloudEvent({ id: "2", key, type: "meter.unknown", time: T0 }) as EventPayload);
  }
  publisher.close();
  await nc.close();
  await untilShards(url, (shards) => shards.reduce((sum, { counts }) => sum + (counts.in ?? 0), 0) === 8);
}

const document = await getJson<OpenApiDocument>(`${url}/openapi.json`);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

const ajv = new Ajv2020({ strict: false });
ajvFormats.default(ajv);
ajv.addSchema(document, "api");
const checks = new Map<object, ValidateFunction>();

function assertMatches(schema: object, value: unknown, what: string): void {
  let check = checks.get(schema);
  if (check === undefined) {
    check = ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object);
    checks.set(schema, check);
  }
  assert(check(value), `${what}: ${ajv.errorsText(check.errors)}\n${JSON.stringify(value).slice(0, 500)}`);
}

interface Answer {
  readonly status: number;
  readonly type: string;
  /** `undefined`: not waited for. */
  readonly text: string | undefined;
}

/** `undefined` when a long answer has not begun. */
function send({ method, target, headers, body }: Sent, long: boolean): Promise<Answer | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, method, path: target, headers, agent }, (answer: IncomingMessage) => {
      const type = answer.headers["content-type"] ?? "";
      const status = answer.statusCode!;
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("error", reject).on("end", () => {
        clearTimeout(timer);
        resolve({ status, type, text });
      });
      if (type.startsWith("text/event-stream")) {
        clearTimeout(timer);
        resolve({ status, type, text: undefined });
        answer.removeAllListeners("error").on("error", () => {});
        asked.destroy();
      }
    });
    const timer = long
      ? setTimeout(() => {
          resolve(undefined);
          asked.removeAllListeners("error").on("error", () => {});
          asked.destroy();
        }, LONG_MS)
      : undefined;
    // A server that refuses a body while it is being sent may reset the connection behind its answer.
    asked.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? resolve(undefined) : reject(error),
    );
    asked.end(body);
  });
}

function assertContract(operation: Operation | undefined, sent: Sent, answer: Answer): void {
  const what = `${sent.method} ${sent.target.slice(0, 200)} answered ${answer.status}`;
  // A moment that its shard has not come to: asked for by chance, it is answered as it has to be.
  const isNotYet = answer.status === 504 && (sent.method === "HEAD" || answer.text?.includes('"code":"NOT_YET"') === true);
  assert(answer.status < 500 || isNotYet, `${what} ${answer.text}`);
  const declared = operation?.responses[answer.status];
  if (declared !== undefined && !answer.type.startsWith("application/problem+json")) {
    const [[type, { schema }] = ["", { schema: {} }]] = Object.entries(declared.content ?? {});
    assert(answer.type.startsWith(type), `${what} as ${answer.type}`);
    if (type === "application/json" && sent.method !== "HEAD") assertMatches(schema, JSON.parse(answer.text!), what);
    return;
  }
  assert(answer.status >= 400, `${what}, which is not declared`);
  assert.match(answer.type, /^application\/problem\+json/, what);
  if (sent.method === "HEAD") return;
  const problem = JSON.parse(answer.text!) as { readonly status: number };
  assertMatches({ $ref: "#/components/schemas/Problem" }, problem, what);
  assert.equal(problem.status, answer.status);
  assert(!/node_modules|\.ts:|at \w+ \(/.test(answer.text!), `${what} shows an inside: ${answer.text}`);
}

suite("the document", () => {
  test("is OpenAPI 3.1, by a validator that is not ours", async () => {
    const { valid, errors } = await new Validator().validate(document as Record<string, unknown>);
    assert(valid, JSON.stringify(errors));
    assert.equal(document.openapi, "3.1.0");
  });

  test("has a name of its own, a role and a summary for each operation, and schemas that compile", () => {
    const names = operations.map(({ operation }) => operation.operationId);
    assert.deepEqual([...new Set(names)], names);
    for (const { operation } of operations) {
      assert.match(operation.summary, /^[A-Z].{5,}/);
      assert(["public", "viewer", "operator", "admin"].includes(operation["x-role"]));
      const contents = [operation.requestBody?.content, ...Object.values(operation.responses).map(({ content }) => content)];
      for (const content of contents)
        for (const { schema } of Object.values(content ?? {}))
          ajv.compile(JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"api#/')) as object);
    }
  });

  test("says of exactly these routes that they need no token", () => {
    const open = operations.filter(({ operation }) => operation["x-role"] === "public");
    assert.deepEqual(open.map(({ path }) => path).sort(), ["/docs", "/healthz", "/openapi.json", "/readyz"]);
    assert(open.every(({ method, operation }) => method === "GET" && operation.security?.length === 0));
  });

  test("names whatever changes something an operator's or an admin's", () => {
    // A query asks by POST, for what it asks may be any JSON; it changes nothing.
    const changing = operations.filter(({ method, path }) => method !== "GET" && !path.includes("/queries/"));
    assert.deepEqual(
      changing.filter(({ operation }) => !["operator", "admin"].includes(operation["x-role"])),
      [],
    );
  });

  test("is a page too, with every operation, no script and nothing from elsewhere", async () => {
    const answer = await fetch(`${url}/docs`);
    const html = await answer.text();
    for (const { operation } of operations) assert(html.includes(`id="${operation.operationId}"`), operation.operationId);
    assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'none'; style-src 'sha256-/);
    assert(!/<script|<link|<img|<iframe|\bon\w+=|(src|href)="(?!#|openapi\.json)/i.test(html));
  });
});

suite("whatever is sent to", () => {
  for (const { path, method, operation } of operations) {
    test(`${method} ${path}, it is answered as documented`, async () => {
      let answered = 0;
      const property = fc.asyncProperty(requestFor(path, method, operation), async (sent) => {
        const answer = await send(sent, operation["x-long"] === true);
        if (answer === undefined) return;
        const declared = document.paths[path]?.[(sent.method === "HEAD" ? "get" : sent.method).toLowerCase()];
        assertContract(declared, sent, answer);
        if (answer.status !== 429) answered++;
      });
      await fc.assert(property, { numRuns: Math.ceil(RUNS / 3) });
      assert(answered > RUNS / 10, `only ${answered} requests were let in`);
    });
  }

  test("no route at all, it is a problem", async () => {
    const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS");
    const target = fc.array(anyPiece, { maxLength: 5 }).map((pieces) => `/${pieces.join("/")}`);
    const property = fc.asyncProperty(method, target, anyHeaders, anyBody, async (name, where, extra, bytes) => {
      const sent = { method: name, target: where, headers: extra, body: name === "GET" ? undefined : bytes };
      const answer = await send(sent, false);
      if (answer !== undefined) assertContract(undefined, sent, answer);
    });
    await fc.assert(property, { numRuns: Math.ceil(RUNS / 3) });
  });

  test("the socket, the next request is answered", async () => {
    const { hostname, port } = new URL(url);
    const start = fc.constantFrom(
      "",
      "GET / HTTP/1.1\r\n",
      "POST /v1/shards HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
      "GET /v1/shards HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n",
    );
    const property = fc.asyncProperty(start, fc.uint8Array({ maxLength: 300 }), async (head, bytes) => {
      await new Promise<void>((resolve) => {
        const socket = connectSocket(Number(port), hostname, () => socket.end(Buffer.concat([Buffer.from(head), bytes])));
        socket.on("error", () => {});
        socket.resume().on("close", () => resolve());
      });
      assert.deepEqual(await getJson(`${url}/healthz`), { status: "alive" });
    });
    await fc.assert(property, { numRuns: Math.ceil(RUNS / 10) });
  });

  test("the node, in the end it is as ready as before and no shard has halted", async () => {
    assert.deepEqual(await getJson(`${url}/readyz`), { ready: true, reasons: [] });
    for (const { status } of await shardsOf(url)) assert.equal(status, "running");
    assert(!node.log.includes("    at "), node.log);
  });
});
