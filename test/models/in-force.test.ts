/** Which version is in force when records begin at other times, end, or name what is not registered here; and secrets of models. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import type { InferenceRequest, Inferred, Inferrer } from "../../inference/inference.ts";
import { readModelDraft } from "../../inference/model-record.ts";
import { ModelHost } from "../../inference/service/model-host.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { readConfig } from "../../runtime/node/config.ts";
import { secretOriginsOf } from "../../runtime/node/service-settings.ts";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { startFaultyServer } from "../support/faulty-server.ts";

const BOUNDED = { timeout: 60_000 };
const DAY_MS = 86_400_000;

interface Detail {
  readonly inForce: readonly { readonly champion: number | null; readonly record: number }[];
  readonly history: readonly { readonly champion: number | null; readonly record: number; readonly effectiveFrom: string }[];
}

suite("a model on a node", async () => {
  const { url, nc } = await startApiNode("./scored-app.ts", "payments", {
    TIDEMARK_SECRET_SCORER_KEY: "swordfish-1",
    TIDEMARK_SECRETS_ORIGINS: "other-key=https://models.example",
  });
  const server = await startFaultyServer(
    { after },
    {
      one: (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end('{"score":0.1}'),
      two: (_, response) => void response.writeHead(200, { "content-type": "application/json" }).end('{"score":0.2}'),
    },
  );
  const publisher = openLogPublisher(nc, "payments", (await readSlotMap(nc, "payments"))!);
  after(() => publisher.close());
  let events = 0;

  const call = async <T>(method: string, path: string, body?: unknown): Promise<{ readonly status: number; readonly body: T }> => {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await fetch(url + path, init);
    return { status: response.status, body: (await response.json()) as T };
  };
  const detail = async () => (await call<Detail>("GET", "/v1/models/fraud")).body;
  const change = async (body: object) => {
    const { status, body: answer } = await call<Detail>("PUT", "/v1/models/fraud", body);
    assert.equal(status, 200, JSON.stringify(answer));
    return answer.inForce[0]!.champion;
  };
  /** Pays until one is answered as wanted: a record reaches the partition a moment after it is answered for. */
  const payUntil = async (wanted: (data: { readonly version?: number; readonly failed?: string }) => boolean): Promise<void> => {
    for (;;) {
      const id = `p${++events}`;
      await publisher.publish("ann", cloudEvent({ id, type: "payment.made", key: "ann", time: Date.now(), data: { amount: 1 } }) as never);
      const scored = async () =>
        (await allOutputs<ReadOutput & { causeid?: string; type: string }>(url)).find(
          (one) => one.type === "payment.scored" && one.causeid === id,
        );
      let found = await scored();
      for (; found === undefined; found = await scored()) await new Promise((resolve) => setTimeout(resolve, 20));
      if (wanted(found.data as never)) return;
    }
  };

  test("goes out with the secret that the environment of the node has, and no answer shows it", BOUNDED, async () => {
    for (const path of ["one", "two"]) {
      const serving = { kind: "json", url: `${server.url}/${path}`, secret: { name: "scorer-key" } };
      const { status, body } = await call("POST", "/v1/models/fraud/versions", { description: { serving, input: {}, output: {} } });
      assert.equal(status, 200, JSON.stringify(body));
    }
    const { status, body } = await call("POST", "/v1/models/fraud/infer", { version: 1, input: { amount: 1 } });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(server.seen.at(-1)?.headers.authorization, "Bearer swordfish-1");
    for (const shown of [body, await detail()]) assert.ok(!JSON.stringify(shown).includes("swordfish"));
  });

  test("is not put with a secret that may not go to its server", BOUNDED, async () => {
    const serving = { kind: "json", url: `${server.url}/one`, secret: { name: "other-key" } };
    const { status, body } = await call<{ code: string; detail: string }>("POST", "/v1/models/fraud/versions", {
      description: { serving, input: {}, output: {} },
    });
    assert.deepEqual([status, body.code], [400, "MODEL_INVALID"]);
    assert.match(body.detail, /\/serving\/secret: the secret "other-key" may not go to http:\/\/127/);
  });

  test("that begins later is not in force yet, and a promotion until then takes the place of the one that is", BOUNDED, async () => {
    assert.equal(await change({ champion: 1 }), 1);
    await change({ champion: 2, effectiveFrom: new Date(Date.now() + DAY_MS).toISOString() });
    const planned = await detail();
    assert.deepEqual(
      [planned.inForce[0]?.champion, planned.inForce[0]?.record, planned.history.map(({ champion }) => champion)],
      [1, 1, [1, 2]],
    );
    await payUntil(({ version }) => version === 1);
    const { status } = await call("PUT", "/v1/models/fraud", { rollback: true });
    assert.equal(status, 404, "none was in force before");
  });

  test("that began at some time is replaced by a promotion that names none", BOUNDED, async () => {
    assert.equal(await change({ champion: 1, effectiveFrom: new Date(Date.now() - DAY_MS).toISOString() }), 1);
    assert.equal(await change({ champion: 2 }), 2);
    const { inForce, history } = await detail();
    assert.equal(inForce[0]?.champion, 2);
    assert.equal(history.at(-1)?.effectiveFrom, history.at(-2)?.effectiveFrom);
    await payUntil(({ version }) => version === 2);
    assert.equal(await change({ rollback: true }), 1);
    await payUntil(({ version }) => version === 1);
  });

  test("that was ended by its record is in force no more, is shown so, and can be put in force again", BOUNDED, async () => {
    const last = (await detail()).history.at(-1)!;
    const record = { version: last.record + 1, effectiveFrom: last.effectiveFrom, data: null };
    assert.equal((await call("PUT", "/v1/logs/payments/reference/_models/fraud", record)).status, 200);
    await payUntil(({ failed }) => failed === "MODEL_NOT_ACTIVE");
    const { inForce, history } = await detail();
    assert.deepEqual([inForce[0]?.champion, history.at(-1)?.champion], [null, null]);
    assert.equal((await call("GET", "/v1/models")).status, 200);
    assert.equal(await change({ rollback: true }), 1);
    await payUntil(({ version }) => version === 1);
  });

  test("whose content is no base64 is refused before anything is kept", async () => {
    const description = { serving: { kind: "onnx" }, input: {}, output: {} };
    for (const content of ["AAA", "AA\nA", "AA*A", "====", "A==="]) {
      const { status, body } = await call<{ code: string; detail: string }>("POST", "/v1/models/fraud/versions", { description, content });
      assert.deepEqual([status, body.code], [400, "BAD_REQUEST"], content);
      assert.match(body.detail, /base64/);
    }
    const { status, body } = await call<{ code: string }>("POST", "/v1/models/fraud/versions", { description, content: "AAAA" });
    assert.deepEqual([status, body.code], [400, "MODEL_INVALID"]);
  });

  test("of a name that none can have is refused by name", async () => {
    const { status, body } = await call<{ code: string }>("GET", "/v1/models/a%20b");
    assert.deepEqual([status, body.code], [400, "BAD_REQUEST"]);
    assert.equal((await call("GET", "/v1/models/a..b")).status, 404);
  });
});

test("what is registered under the number and has another hash than the log has in force is not asked", async () => {
  const draft = readModelDraft({ serving: { kind: "json", url: "http://127.0.0.1:1/" }, input: {}, output: {} });
  if (typeof draft === "string") throw new Error(draft);
  const registered = "a".repeat(64);
  const asked: InferenceRequest[] = [];
  const inferrer = (others: Inferrer): Inferrer => ({
    async infer(request, signal): Promise<Inferred> {
      asked.push(request);
      // What stands in for it is another model, with another hash.
      if (request.model === "m") await others.infer({ ...request, model: "fallback" }, signal);
      return { output: 1, confidence: null, model: request.model, version: 1, latencyMs: 0, cached: "no", units: 1 };
    },
  });
  const host = new ModelHost({
    source: {
      find: async (name, version) => ({
        record: { ...draft, format: 1, name, version, sha256: name === "m" ? registered : "c".repeat(64), contentBytes: 0 },
      }),
    },
    serve: async (_, others) => {
      const one = inferrer(others);
      return { stream: one, onDemand: one, plain: one, close: async () => {} };
    },
    monotonic: () => 0,
    notice: () => {},
  });
  const ask = async (sha256?: string): Promise<string> => {
    const request = { id: "1", model: "m", version: 1, input: "1", deadline: 1, ...(sha256 === undefined ? {} : { sha256 }) };
    const inference = await host.infer(request, new AbortController().signal);
    return "failed" in inference ? inference.failed.code : "answered";
  };
  assert.deepEqual([await ask("b".repeat(64)), asked.length], ["MODEL_HASH", 0]);
  assert.equal(await ask(registered), "answered");
  assert.equal(await ask(), "answered");
  assert.deepEqual(
    asked.map(({ model }) => model),
    ["m", "fallback", "m", "fallback"],
  );
  await host.close();
});

test("where secrets may go is a list of origins by their names", () => {
  const TIDEMARK_SECRETS_ORIGINS = "models-key=https://Models.example:443, https://b.example:8443/;origins=http://127.0.0.1:80".replace(
    " ",
    "",
  );
  const config = readConfig({ TIDEMARK_SECRETS_ORIGINS });
  const origins = { "models-key": ["https://models.example", "https://b.example:8443"], origins: ["http://127.0.0.1"] };
  assert.deepEqual(secretOriginsOf(config), { origins, others: "anywhere" });
  assert.deepEqual(secretOriginsOf({ ...config, profile: "production" }), { origins, others: "nowhere" });
  for (const text of ["key", "key=", "Key=https://a", "k=a", "k=https://a/b", "k=https://u@a", "k=ftp://a", "k=https://a;k=https://b"])
    assert.throws(() => readConfig({ TIDEMARK_SECRETS_ORIGINS: text }), { code: "CONFIG_INVALID" }, text);
});

test("variables of secrets are no unknown settings, and others still are", () => {
  assert.equal(readConfig({ TIDEMARK_SECRET_SCORER_KEY: "x" }).secretsDir, undefined);
  for (const name of ["TIDEMARK_SECRET_", "TIDEMARK_SECRETS_DIRECTORY", "TIDEMARK_SECRET_lower"])
    assert.throws(() => readConfig({ [name]: "x" }), { code: "CONFIG_INVALID" }, name);
});
