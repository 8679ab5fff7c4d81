/** All guards around models behind a real server, as they are put together; the server fails, and is well again. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { AnswerCache } from "../../../inference/cache/answer-cache.ts";
import { CachedInferrer } from "../../../inference/cache/cached-inferrer.ts";
import { InferenceError } from "../../../inference/failures.ts";
import { Bulkhead } from "../../../inference/guards/bulkhead.ts";
import { BulkheadGuard } from "../../../inference/guards/bulkhead-guard.ts";
import { Circuit } from "../../../inference/guards/circuit.ts";
import { FallbackGuard } from "../../../inference/guards/fallback-guard.ts";
import { RateGuard } from "../../../inference/guards/rate-guard.ts";
import { RateLimits } from "../../../inference/guards/rate-limits.ts";
import { ResidencyGuard } from "../../../inference/guards/residency-guard.ts";
import { RetryingInferrer } from "../../../inference/guards/retries.ts";
import { readContract, SchemaGuard } from "../../../inference/guards/schema-guard.ts";
import { TimedInferrer } from "../../../inference/guards/timed-inferrer.ts";
import type { Inference, InferenceRequest, Inferrer, ServedModel } from "../../../inference/inference.ts";
import { HttpConnections } from "../../../inference/remote/http-exchange.ts";
import { openRemoteModel } from "../../../inference/remote/remote-model.ts";
import { Secrets } from "../../../inference/secrets/secrets.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { ANYWHERE, recordOf } from "../remote/remote-records.ts";
import { answerOf, NEVER, requestOf, Scripted, said } from "./scripted-inferrer.ts";

const directory = mkdtempSync(join(tmpdir(), "tidemark-chain-"));
after(() => rmSync(directory, { recursive: true, force: true }));
writeFileSync(join(directory, "token"), "the first secret");

type Answer = (response: ServerResponse, body: string) => void;
const well: Answer = (response, body) =>
  void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ p: 0.5, of: JSON.parse(body) }));
const status =
  (code: number, headers = {}): Answer =>
  (response) =>
    void response.writeHead(code, headers).end();
let answer: Answer = well;
const server = await startFaultyServer({ after }, { score: ({ body }, response) => answer(response, body) });
const connections = new HttpConnections({ responseMaxBytes: 64 * 1024 });
after(() => connections.close());

/** One input a call: what batches is tested elsewhere. */
class Direct implements Inferrer {
  readonly #model: ServedModel;

  constructor(model: ServedModel) {
    this.#model = model;
  }

  async infer({ id, input, model, version }: InferenceRequest, signal: AbortSignal): Promise<Inference> {
    try {
      const [came] = await this.#model.run([{ id, value: JSON.parse(input) }], signal);
      return "failed" in came! ? came : { ...came!, confidence: null, model, version, latencyMs: 0, cached: "no" };
    } catch (error) {
      if (error instanceof InferenceError) return { failed: error.failure };
      throw error;
    }
  }
}

/** Pauses take no time but the clock's; they are noted. */
async function chain({ places = 4, fallback = new Scripted(answerOf("small", { model: "small" })) } = {}) {
  const pauses: number[] = [];
  const clock = {
    time: Date.now(),
    now: () => clock.time,
    sleep: async (ms: number) => {
      pauses.push(ms);
      clock.time += ms;
    },
  };
  const { now } = clock;
  const record = recordOf(
    { kind: "json", url: `${server.url}/score`, region: "eu-1", secret: { name: "token" }, timeoutMs: 200 },
    { input: { type: "object" }, output: { type: "object", required: ["p"], properties: { p: { type: "number" } } }, confidence: "p" },
  );
  const circuit = new Circuit({ consecutive: 4, openMs: 1_000, probes: 1 });
  const secrets = new Secrets({ environment: {}, directory, now });
  const model = await openRemoteModel(record, { connections, secrets, secretOrigins: ANYWHERE, circuit, now });
  const contract = readContract(record);
  assert(typeof contract !== "string");
  const bulkhead = new Bulkhead({ places, waitingMax: 1_000 });
  const limits = new RateLimits({ tenant: { perSecond: 1, burst: 1_000 } }, now());
  // From the inside out.
  let inferrer: Inferrer = new Direct(model);
  inferrer = new RetryingInferrer(inferrer, { clock, random: () => 1 });
  inferrer = new SchemaGuard(inferrer, contract);
  inferrer = new BulkheadGuard(inferrer, { bulkhead, policy: "queue" });
  inferrer = new RateGuard(inferrer, { limits, policy: "queue", clock });
  inferrer = new CachedInferrer(inferrer, { cache: new AnswerCache(), now });
  inferrer = new ResidencyGuard(inferrer, { region: "eu-1", residencies: new Map([["eu", new Set(["eu-1"])]]) });
  const target = { model: "small", version: 1 };
  inferrer = new FallbackGuard(inferrer, { fallback, target: () => target, policy: "queue", reserveMs: 0, clock });
  inferrer = new TimedInferrer(inferrer, () => performance.now());
  let count = 0;
  const infer = (more: Partial<InferenceRequest> = {}): Promise<Inference> => {
    const own = ++count;
    return inferrer.infer(requestOf({ id: `call.${own}`, input: `{"n":${own}}`, deadline: now() + 60_000, ...more }), NEVER);
  };
  return { infer, clock, circuit, pauses, fallback };
}

const namesOf = (inference: Inference): string =>
  "failed" in inference ? inference.failed.code : `${inference.model} ${inference.cached}`;

suite("a model behind a server", () => {
  test("answers with its confidence, and equal questions without being asked again", async () => {
    answer = well;
    const { infer } = await chain();
    const before = server.seen.length;
    const first = await infer({ input: '{"a":1}' });
    assert.equal(said(first), '{"p":0.5,"of":{"a":1}}');
    assert.deepEqual("confidence" in first && [first.confidence, first.cached, first.units, first.latencyMs > 0], [0.5, "no", 1, true]);
    assert.equal(namesOf(await infer({ input: '{"a":1}' })), "scores exact");
    assert.equal(server.seen.length, before + 1);
  });

  for (const [what, fault, each] of [
    ["is busy", status(503), 3],
    ["resets", ((response) => response.socket?.resetAndDestroy()) as Answer, 3],
    ["hangs", (() => {}) as Answer, 3],
    ["answers HTML", ((response) => response.writeHead(200, { "content-type": "text/html" }).end("<h1>")) as Answer, 1],
  ] as const) {
    test(`that ${what} is tried again where that may help, then left alone while the fallback answers, and asked again when it is well`, async () => {
      const { infer, clock, circuit } = await chain();
      answer = fault;
      const before = server.seen.length;
      assert.equal(namesOf(await infer()), "small no");
      assert.equal(server.seen.length - before, each);
      while (circuit.state === "closed") assert.equal(namesOf(await infer()), "small no");
      assert.equal(server.seen.length - before, 4);
      for (let i = 0; i < 5; i++) assert.equal(namesOf(await infer()), "small no");
      assert.equal(server.seen.length - before, 4);
      answer = well;
      clock.time += 1_000;
      assert.equal(namesOf(await infer()), "scores no");
      assert.equal(circuit.state, "closed");
    });
  }

  test("that answers with another schema, or NaN, has no circuit against it; the fallback answers", async () => {
    const { infer, circuit } = await chain();
    for (const body of ['{"q":1}', '{"p":2}', '{"p":NaN}', '{"p":1e999}', "null"]) {
      answer = (response) => void response.writeHead(200, { "content-type": "application/json" }).end(body);
      assert.equal(namesOf(await infer()), "small no", body);
    }
    assert.equal(circuit.state, "closed");
  });

  test("that asks to be left alone for a while is", async () => {
    const { infer, pauses } = await chain();
    let times = 0;
    answer = (response, body) => (++times === 1 ? status(429, { "retry-after": "3" })(response, body) : well(response, body));
    assert.equal(namesOf(await infer()), "scores no");
    assert.deepEqual(pauses, [3_000]);
    answer = status(429, { "retry-after": "61" });
    assert.equal(namesOf(await infer()), "small no");
    assert.deepEqual(pauses, [3_000]);
  });

  test("has no more questions at once than it has places", async () => {
    answer = well;
    const { infer } = await chain({ places: 3 });
    const open: number[] = [];
    answer = (response, body) => {
      open.push(server.open);
      setImmediate(() => well(response, body));
    };
    const all = await Promise.all(Array.from({ length: 100 }, () => infer()));
    assert.deepEqual(new Set(all.map(namesOf)), new Set(["scores no"]));
    assert(Math.max(...open) <= 3 && open.length === 100);
  });

  test("in another region than the data may be in gets none of it", async () => {
    answer = well;
    const { infer } = await chain();
    const before = server.seen.length;
    assert.equal(namesOf(await infer({ residency: "us" })), "small no");
    assert.equal(server.seen.length, before);
    assert.equal(namesOf(await infer({ residency: "eu" })), "scores no");
  });

  test("gets a secret that changed while it was asked", async () => {
    answer = well;
    const { infer, clock } = await chain();
    await infer();
    assert.equal(server.seen.at(-1)!.headers.authorization, "Bearer the first secret");
    writeFileSync(join(directory, "token"), "the second secret");
    clock.time += 1_000;
    await infer();
    assert.equal(server.seen.at(-1)!.headers.authorization, "Bearer the second secret");
  });

  test("that is not there any more fails without a fallback with the reason", async () => {
    const { infer } = await chain({ fallback: new Scripted({ failed: { code: "CRASHED", message: "x", again: false, waitMs: 0 } }) });
    answer = status(404);
    assert.equal(namesOf(await infer()), "HTTP_404");
  });
});
