/** Models on a real node: registered, put in force, asked by handlers and over HTTP, promoted and rolled back. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { allOutputs, startApiNode } from "../support/api-node.ts";
import { runCli } from "../support/cli-run.ts";
import { cloudEvent, type ReadOutput } from "../support/entries.ts";
import { startFaultyServer } from "../support/faulty-server.ts";

interface Answer {
  readonly status: number;
  readonly body: never;
}

const { url, nc, nats } = await startApiNode("./scored-app.ts", "payments");
const server = await startFaultyServer(
  { after },
  {
    one: ({ body }, response) => void json(response, { score: (JSON.parse(body) as { amount: number }).amount / 1_000, sure: 0.95 }),
    two: (_, response) => void json(response, { score: 0.2, sure: 0.5 }),
    wrong: (_, response) => void json(response, { points: 1 }),
  },
);
const map = (await readSlotMap(nc, "payments"))!;
const publisher = openLogPublisher(nc, "payments", map);
after(() => publisher.close());
let events = 0;

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const response = await fetch(url + path, init);
  return { status: response.status, body: (await response.json()) as never };
}

const describe = (path: string, more: object = {}) => ({
  serving: { kind: "json", url: `${server.url}/${path}` },
  input: { type: "object", properties: { amount: { type: "number" } }, required: ["amount"] },
  output: { type: "object", properties: { score: { type: "number" }, sure: { type: "number" } }, required: ["score"] },
  confidence: "sure",
  minConfidence: 0.8,
  ...more,
});

async function pay(amount: number): Promise<string> {
  const id = `p${++events}`;
  await publisher.publish("ann", cloudEvent({ id, type: "payment.made", key: "ann", time: Date.now(), data: { amount } }) as never);
  return id;
}

async function outputOf(type: string, cause: string): Promise<ReadOutput["data"]> {
  for (;;) {
    const found = (await allOutputs<ReadOutput & { causeid?: string; type: string }>(url)).find(
      (one) => one.type === type && one.causeid === cause,
    );
    if (found !== undefined) return found.data as ReadOutput["data"];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const BOUNDED = { timeout: 60_000 };

suite("models on a node", () => {
  test("of which no version is in force fail, and say so", BOUNDED, async () => {
    const id = await pay(1);
    assert.deepEqual(await outputOf("payment.scored", id), { score: null, failed: "MODEL_NOT_ACTIVE" });
  });

  test("are put once for the same description, and refused with where and what", BOUNDED, async () => {
    const put = (description: unknown, content?: string) =>
      call("POST", "/v1/models/fraud/versions", { description, ...(content === undefined ? {} : { content }) });
    for (const [description, version, written] of [
      [describe("one"), 1, true],
      [describe("two"), 2, true],
      [describe("one"), 1, false],
    ] as const) {
      const { status, body } = await put(description);
      assert.equal(status, 200, JSON.stringify(body));
      assert.deepEqual(
        [(body as { version: { version: number } }).version.version, (body as { written: boolean }).written],
        [version, written],
      );
    }
    const refused = await put({ ...describe("one"), minConfidence: 2 });
    assert.deepEqual([refused.status, (refused.body as { code: string }).code], [400, "MODEL_INVALID"]);
    assert.match((refused.body as { detail: string }).detail, /\/minConfidence is a number from 0 to 1/);
    assert.match(((await put(describe("one"), "AAAA")).body as { detail: string }).detail, /has no content/);
    assert.match(((await put({ serving: { kind: "rule" } })).body as { detail: string }).detail, /\/serving: /);
  });

  test("answer handlers once a version is in force, with who answered and how sure", BOUNDED, async () => {
    const { status, body } = await call("PUT", "/v1/models/fraud", { champion: 1 });
    assert.equal(status, 200, JSON.stringify(body));
    const id = await payUntil((data) => data.failed === undefined);
    assert.deepEqual(await outputOf("payment.scored", id), { score: 0.25, model: "fraud", version: 1, confidence: 0.95, actionable: true });
    const told = (await outputOf("tidemark.inference", id)) as unknown as Record<string, unknown>;
    assert.deepEqual([told.role, told.version, told.result, told.key], ["champion", 1, { score: 0.25, sure: 0.95 }, "ann"]);
  });

  test("are promoted and rolled back while events flow", BOUNDED, async () => {
    assert.equal((await call("PUT", "/v1/models/fraud", { champion: 2 })).status, 200);
    const second = await payUntil((data) => data.version === 2);
    assert.deepEqual(await outputOf("payment.scored", second), {
      score: 0.2,
      model: "fraud",
      version: 2,
      confidence: 0.5,
      actionable: false,
    });
    assert.equal((await call("PUT", "/v1/models/fraud", { rollback: true })).status, 200);
    await payUntil((data) => data.version === 1);
    const { body } = await call("GET", "/v1/models/fraud");
    const detail = body as { history: { champion: number }[]; inForce: { champion: number }[]; versions: unknown[] };
    assert.deepEqual(
      detail.history.map(({ champion }) => champion),
      [1, 2, 1],
    );
    assert.deepEqual([detail.inForce[0]?.champion, detail.versions.length], [1, 2]);
  });

  test("whose answers are not what the version says fail with OUTPUT_REFUSED", BOUNDED, async () => {
    const { body } = await call("POST", "/v1/models/fraud/versions", { description: describe("wrong") });
    const { version } = (body as { version: { version: number } }).version;
    await call("PUT", "/v1/models/fraud", { champion: version });
    await payUntil((data) => data.failed === "OUTPUT_REFUSED");
    await call("PUT", "/v1/models/fraud", { rollback: true });
    await payUntil((data) => data.version === 1);
  });

  test("are asked over HTTP, and refuse what is no input", BOUNDED, async () => {
    const { status, body } = await call("POST", "/v1/models/fraud/infer", { input: { amount: 500 } });
    assert.equal(status, 200, JSON.stringify(body));
    const { latencyMs: _latency, ...rest } = body as { latencyMs: number };
    assert.deepEqual(rest, {
      output: { score: 0.5, sure: 0.95 },
      confidence: 0.95,
      actionable: true,
      model: "fraud",
      version: 1,
      cached: "no",
      units: 1,
    });
    const refused = await call("POST", "/v1/models/fraud/infer", { input: { amount: "much" } });
    assert.deepEqual([refused.status, (refused.body as { code: string }).code], [400, "INPUT_REFUSED"]);
    assert.equal((await call("POST", "/v1/models/nobody/infer", { input: 1 })).status, 404);
  });

  test("that nobody calls, or that nobody registered, cannot be put in force", BOUNDED, async () => {
    assert.equal((await call("PUT", "/v1/models/fraud", { champion: 99 })).status, 404);
    assert.equal((await call("PUT", "/v1/models/nobody", { champion: 1 })).status, 404);
    assert.equal((await call("PUT", "/v1/models/fraud", {})).status, 400);
  });
});

suite("a replay", () => {
  const APP = new URL("../support/scored-app.ts", import.meta.url).pathname;

  async function replay(...args: string[]) {
    const dataDir = mkdtempSync(join(tmpdir(), "tidemark-replay-models-"));
    try {
      const env = { TIDEMARK_NATS_URL: nats.url, TIDEMARK_DATA_DIR: dataDir };
      const { stdout, stderr } = await runCli(["replay", "payments", APP, "--no-publish", "--json", ...args], env);
      assert.notEqual(stdout, "", stderr);
      return JSON.parse(stdout) as {
        readonly unanswered: number;
        readonly models: { readonly reused: number; readonly asked: number; readonly different: number } | null;
        readonly diff: { readonly equal: number; readonly changed: number; readonly added: number; readonly missing: number };
      };
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  }
  const requests = (): number => server.count("/one") + server.count("/two");

  test("calls no model, and gives what was published", BOUNDED, async () => {
    const before = requests();
    const { unanswered, models, diff } = await replay();
    assert.deepEqual([requests(), unanswered, models], [before, 0, null]);
    assert.deepEqual([diff.changed, diff.added, diff.missing], [0, 0, 0]);
  });

  test("that may ask, and asks nothing new, uses every recorded answer", BOUNDED, async () => {
    const before = requests();
    const { models, diff } = await replay("--model", "fraud");
    assert.equal(requests(), before);
    assert.deepEqual([models?.asked, diff.changed, diff.added, diff.missing], [0, 0, 0, 0]);
    assert.ok(models!.reused > 0);
  });

  test("of another version asks it where another was in force, and nowhere else", BOUNDED, async () => {
    const asBefore = (await allOutputs<ReadOutput & { type: string }>(url)).filter(({ type, data }) => {
      const { askedVersion, failed } = data as { readonly askedVersion?: number; readonly failed?: string };
      return askedVersion === 2 || (type === "payment.scored" && failed === "MODEL_NOT_ACTIVE");
    }).length;
    const before = server.count("/two");
    const { models, diff } = await replay("--model", "fraud=2");
    assert.equal(server.count("/two") - before, models!.asked);
    assert.equal(models!.reused, asBefore);
    assert.ok(models!.asked > 0 && models!.different > 0 && models!.different <= models!.asked, JSON.stringify(models));
    assert.ok(diff.changed > 0, JSON.stringify(diff));
    // What a handler for failures put out is not the same output as what that for answers does.
    const refused = (await allOutputs<ReadOutput & { type: string }>(url)).filter(
      ({ type, data }) => type === "payment.scored" && (data as { readonly failed?: string }).failed === "OUTPUT_REFUSED",
    ).length;
    assert.deepEqual([diff.added, diff.missing], [refused, refused]);
  });
});

/** Pays until a payment is answered so: an activation reaches the partition a moment after it is answered for. */
async function payUntil(wanted: (data: { readonly failed?: string; readonly version?: number }) => boolean): Promise<string> {
  for (;;) {
    const id = await pay(250);
    if (wanted((await outputOf("payment.scored", id)) as never)) return id;
  }
}
