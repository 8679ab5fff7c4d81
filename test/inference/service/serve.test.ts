/** The inference process as a node runs it: models that run in it and one behind a server, with everything around them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { CIRCUIT_CONSECUTIVE } from "../../../inference/guards/bounds.ts";
import type { Inference, Inferred } from "../../../inference/inference.ts";
import type { ModelRecord } from "../../../inference/model-record.ts";
import type { ModelSettings } from "../../../inference/model-settings.ts";
import { encodeModel } from "../../../inference/onnx/onnx-proto.ts";
import { floats, model, node, value } from "../../../inference/onnx/onnx-writer.ts";
import { InferenceClient } from "../../../inference/service/client.ts";
import type { FoundModel } from "../../../inference/service/model-source.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { InferenceProcess } from "../../../runtime/inference/inference-process.ts";
import { ask, codeOf } from "./echo-world.ts";

const NUMBER = { type: "number" };
const INPUT = { type: "object", properties: { a: NUMBER, b: NUMBER }, required: ["a", "b"] };
const OUTPUT = { type: "object", properties: { score: NUMBER }, required: ["score"] };

const folder = mkdtempSync(join(tmpdir(), "tidemark-serve-"));
const content = encodeModel(
  model({
    nodes: [node("Gemm", ["x", "w", "b"], ["h"]), node("Sigmoid", ["h"], ["y"])],
    weights: [floats("w", [2, 1], [0.5, -1]), floats("b", [1], [0])],
    inputs: [value("x", "float32", ["batch", 2])],
    outputs: [value("y", "float32", ["batch", 1])],
  }),
);
const score = (a: number, b: number): number => 1 / (1 + Math.exp(-(0.5 * a - b)));

/** What the server answers, by the path; its number of requests. */
const answers: Record<string, { status?: number; body?: unknown }> = {};
const seen: Record<string, number> = {};
const server = createServer((request, response) => {
  const path = request.url!;
  seen[path] = (seen[path] ?? 0) + 1;
  const { status = 200, body = { score: 0.25 } } = answers[path] ?? {};
  request.resume().on("end", () => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)));
});

const settings: Record<string, ModelSettings> = {};

function find(name: string, version: number): FoundModel | undefined {
  const common = { format: 1, name, version, contentBytes: 0, input: INPUT, output: OUTPUT, settings: settings[name] ?? {} };
  if (name.startsWith("remote")) {
    const { port } = server.address() as AddressInfo;
    const path = version === 1 ? {} : { path: `/${version}` };
    const serving = { kind: "json" as const, url: `http://127.0.0.1:${port}/${name}`, region: "us-1", ...path };
    return { record: { ...common, sha256: "0".repeat(64), serving, confidence: "score" } };
  }
  if (!name.startsWith("local")) return undefined;
  const path = join(folder, name);
  const bytes = name === "local-corrupt" ? content.subarray(0, content.length - 9) : content;
  writeFileSync(path, bytes);
  const sha256 = name === "local-changed" ? "0".repeat(64) : createHash("sha256").update(bytes).digest("hex");
  const serving: ModelRecord["serving"] = {
    kind: "onnx",
    inputs: { x: { fields: ["a", "b"] } },
    outputs: { score: { tensor: "y", index: 0 } },
  };
  return { record: { ...common, sha256, serving, confidence: "score" }, contentPath: path };
}

const service = new InferenceProcess({
  source: { find: async (name, version) => find(name, version) },
  settings: { residencies: { eu: ["eu-1"] } },
  clock: systemClock,
  notice: (message) => process.stderr.write(`${message}\n`),
});
const client = new InferenceClient({ address: async () => service.address(), lane: "stream", now: () => Date.now() });

function inferred(inference: Inference): Inferred {
  if ("failed" in inference) throw new Error(`${inference.failed.code}: ${inference.failed.message}`);
  return inference;
}

const input = (a: number, b: number): { readonly input: string } => ({ input: JSON.stringify({ a, b }) });

suite("models in the inference process of a node", () => {
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    client.close();
    await service.stop();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });

  test("answer many inputs at once, each with its own answer", async () => {
    const inferences = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(client, {}, { model: "local", ...input(i / 100, 1) })));
    for (const [i, inference] of inferences.entries()) {
      const { output, confidence, model: by, latencyMs, cached } = inferred(inference);
      const { score: found } = output as { score: number };
      assert.ok(Math.abs(found - score(i / 100, 1)) < 1e-5);
      assert.deepEqual({ confidence, by, cached }, { confidence: found, by: "local", cached: "no" });
      assert.ok(latencyMs > 0);
    }
    const { models } = (await service.measures())!;
    assert.equal(models.find(({ model: name }) => name === "local")!.inferences, 500);
  });

  test("are refused, each for its own reason, when they are not what was registered", async () => {
    const codes = ["local-changed", "local-corrupt", "absent"].map(async (name) =>
      codeOf(await ask(client, {}, { model: name, ...input(1, 1) })),
    );
    assert.deepEqual(await Promise.all(codes), ["MODEL_HASH", "MODEL_REFUSED", "MODEL_UNKNOWN"]);
  });

  test("are not asked with what they do not take", async () => {
    assert.equal(codeOf(await ask(client, {}, { model: "local", input: '{"a":"1","b":1}' })), "INPUT_REFUSED");
    assert.equal(codeOf(await ask(client, {}, { model: "remote-unasked", input: "{}" })), "INPUT_REFUSED");
    assert.equal(seen["/remote-unasked"], undefined);
  });

  test("run a suspect in another process, with the same answer", async () => {
    const shared = inferred(await ask(client, {}, { model: "local", ...input(2, 1) }));
    const alone = inferred(await ask(client, {}, { model: "local", alone: true, ...input(2, 1) }));
    assert.deepEqual(alone.output, shared.output);
    // Only what the shared process ran is counted in it.
    const { models } = (await service.measures())!;
    assert.equal(models.find(({ model: name }) => name === "local")!.inferences, 502);
  });

  test("are asked in place of one whose server fails, and name themselves", async () => {
    answers["/remote-failing"] = { status: 500 };
    settings["remote-failing"] = { fallback: { model: "local", version: 1 } };
    const inference = inferred(await ask(client, {}, { model: "remote-failing", ...input(3, 1) }));
    assert.equal(inference.model, "local");
    assert.equal(seen["/remote-failing"], 3);
  });

  test("are asked in place of one whose answer is refused", async () => {
    answers["/remote-odd"] = { body: { score: "high" } };
    settings["remote-odd"] = { fallback: { model: "local", version: 1 } };
    assert.equal(inferred(await ask(client, {}, { model: "remote-odd", ...input(3, 1) })).model, "local");
    assert.equal(seen["/remote-odd"], 1);
  });

  test("are left alone when their server failed too often, as one on demand finds too", async () => {
    answers["/remote-down"] = { status: 400 };
    assert.equal(codeOf(await ask(client, {}, { model: "remote-down", ...input(0, 0) })), "HTTP_400");
    answers["/remote-down"] = { status: 503 };
    // One by one; each is tried three times.
    for (let i = 0; i < 2; i++) await ask(client, {}, { model: "remote-down", ...input(i, 0) });
    const asked = seen["/remote-down"]!;
    assert.equal(asked, 1 + CIRCUIT_CONSECUTIVE);
    assert.equal(codeOf(await ask(client, {}, { model: "remote-down", ...input(9, 0) })), "CIRCUIT_OPEN");
    const onDemand = new InferenceClient({ address: async () => service.address(), lane: "on-demand", now: () => Date.now() });
    assert.equal(codeOf(await ask(onDemand, {}, { model: "remote-down", ...input(9, 0) })), "CIRCUIT_OPEN");
    onDemand.close();
    assert.equal(seen["/remote-down"], asked);
  });

  test("are asked when another version behind the same server is left alone", async () => {
    answers["/remote-two/2"] = { status: 500 };
    const both = async () => [
      codeOf(await ask(client, {}, { model: "remote-two", version: 2, ...input(1, 1) })),
      codeOf(await ask(client, {}, { model: "remote-two", version: 1, ...input(1, 1) })),
    ];
    for (let i = 0; i < 2; i++) await both();
    assert.deepEqual(await both(), ["CIRCUIT_OPEN", "answered"]);
  });

  test("answer from the cache without an endpoint, and count it", async () => {
    settings["remote-cached"] = { cacheMs: 60_000 };
    const first = inferred(await ask(client, {}, { model: "remote-cached", ...input(1, 2) }));
    const second = inferred(await ask(client, {}, { model: "remote-cached", ...input(1, 2) }));
    assert.deepEqual([first.cached, second.cached], ["no", "exact"]);
    assert.deepEqual([second.output, second.confidence], [{ score: 0.25 }, 0.25]);
    assert.equal(seen["/remote-cached"], 1);
    const { models } = (await service.measures())!;
    assert.deepEqual(models.find(({ model: name }) => name === "remote-cached")!.cached, { exact: 1, semantic: 0 });
  });

  test("are not sent what may not leave its region", async () => {
    const inference = await ask(client, {}, { model: "remote-far", residency: "eu", ...input(1, 2) });
    assert.equal(codeOf(inference), "RESIDENCY");
    assert.equal(seen["/remote-far"], undefined);
  });

  test("are asked no more often than they may be", async () => {
    settings["remote-rated"] = { rates: { model: { perSecond: 0.001, burst: 2 } }, policy: "dead-letter" };
    const codes: string[] = [];
    for (let i = 0; i < 4; i++) codes.push(codeOf(await ask(client, {}, { model: "remote-rated", ...input(i, 2) })));
    assert.deepEqual(codes, ["answered", "answered", "RATE_LIMITED", "RATE_LIMITED"]);
  });

  test("take over what is newly set for them when they are told to", async () => {
    inferred(await ask(client, {}, { model: "remote-set", ...input(1, 2) }));
    settings["remote-set"] = { cacheMs: 60_000 };
    service.forget("remote-set");
    inferred(await ask(client, {}, { model: "remote-set", ...input(1, 2) }));
    assert.equal(inferred(await ask(client, {}, { model: "remote-set", ...input(1, 2) })).cached, "exact");
  });
});
