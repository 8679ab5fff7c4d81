/** The metrics of models: what the inference process and the shards of a running node say of them, and how they are fetched. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, suite, test } from "node:test";
import type { Inferred } from "../../inference/inference.ts";
import { ModelMeter, type ServiceMeasures } from "../../inference/service/model-meter.ts";
import { openLogPublisher } from "../../runtime/log/log-publisher.ts";
import { readSlotMap } from "../../runtime/log/slot-map.ts";
import { MeasuresWatch } from "../../runtime/models/measures-watch.ts";
import { startApiNode } from "../support/api-node.ts";
import { cloudEvent } from "../support/entries.ts";
import { startFaultyServer } from "../support/faulty-server.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { parsePrometheus } from "./prometheus-text.ts";

const BOUNDED = { timeout: 60_000 };

suite("metrics of models on a node", async () => {
  const { url, nc } = await startApiNode("./scored-app.ts", "payments");
  const held: ServerResponse[] = [];
  const answer = (response: ServerResponse, value: unknown): void =>
    void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  const server = await startFaultyServer(
    { after },
    {
      // Later than the millisecond that is expected of it.
      sure: (_, response) => void setTimeout(() => answer(response, { score: 0.2, sure: 0.93 }), 20),
      wrong: (_, response) => answer(response, { points: 1 }),
      held: (_, response) => void held.push(response),
    },
  );

  const call = async (method: string, path: string, body: unknown): Promise<number> => {
    const init = { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    const response = await fetch(url + path, init);
    await response.arrayBuffer();
    return response.status;
  };
  const put = async (path: string, more: object = {}): Promise<void> => {
    const description = {
      serving: { kind: "json", url: `${server.url}/${path}` },
      input: { type: "object", properties: { amount: { type: "number" } }, required: ["amount"] },
      output: { type: "object", properties: { score: { type: "number" }, sure: { type: "number" } }, required: ["score"] },
      ...more,
    };
    assert.equal(await call("POST", "/v1/models/fraud/versions", { description }), 200);
  };
  const infer = (version: number, amount: number) => call("POST", "/v1/models/fraud/infer", { version, input: { amount } });
  const scraped = async () => parsePrometheus(await (await fetch(`${url}/metrics`)).text());
  type Families = Awaited<ReturnType<typeof scraped>>;
  const sumOf = (families: Families, name: string, labels: Readonly<Record<string, string>>): number | undefined =>
    families
      .get(name.replace(/_(?:count|sum|bucket)$/, ""))
      ?.samples.filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
      .reduce((sum, { value }) => sum + value, 0);
  const until = async (holds: (families: Families) => boolean): Promise<Families> => {
    for (;;) {
      const families = await scraped();
      if (holds(families)) return families;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

  test("count what was answered, from where, how surely, how late, and what failed with which code", BOUNDED, async () => {
    await put("sure", { confidence: "sure", sloMs: 1, settings: { cacheMs: 60_000 } });
    await put("wrong");
    for (const amount of [1, 2, 1, 1]) assert.equal(await infer(1, amount), 200);
    for (const amount of [1, 2]) assert.equal(await infer(2, amount), 502);
    const first = { model: "fraud", version: "1" };
    const second = { model: "fraud", version: "2" };
    const of = (families: Families, name: string, labels: Readonly<Record<string, string>>) =>
      sumOf(families, `tidemark_inference_${name}`, labels) ?? 0;
    const families = await until((all) => of(all, "duration_count", first) === 4 && of(all, "duration_count", second) === 2);
    assert.deepEqual(
      [of(families, "cache_hits_total", { ...first, cache: "exact" }), of(families, "errors_total", { ...second, code: "OUTPUT_REFUSED" })],
      [2, 2],
    );
    // Those two that the server answered; what the cache has is there within the millisecond, or nearly so.
    const late = of(families, "slo_breaches_total", first);
    assert.ok(late >= 2 && late <= 4, String(late));
    assert.equal(families.get("tidemark_inference_slo_breaches_total")?.samples.length, 1, "none is expected of version 2");
    assert.equal(of(families, "confidence_count", first), 4);
    assert.deepEqual(
      ["0.9", "0.95"].map((le) => of(families, "confidence_bucket", { ...first, le })),
      [0, 4],
    );
    assert.equal(of(families, "queue", first), 0);
    assert.equal(families.get("tidemark_inference_errors_total")?.samples.length, 1);
  });

  test("show calls that wait for a model by shard, and none when they are answered", BOUNDED, async () => {
    await put("held");
    assert.equal(await call("PUT", "/v1/models/fraud", { champion: 3 }), 200);
    const publisher = openLogPublisher(nc, "payments", (await readSlotMap(nc, "payments"))!);
    const pay = (id: string) =>
      publisher.publish("ann", cloudEvent({ id, type: "payment.made", key: "ann", time: Date.now(), data: { amount: 1 } }) as never);
    // An activation reaches the partition a moment after it is answered for.
    for (let i = 0; held.length === 0; i++) {
      await pay(`p${i}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const waiting = await until((all) => (sumOf(all, "tidemark_inference_pending", { job: "payments", model: "fraud" }) ?? 0) >= 1);
    const { samples } = waiting.get("tidemark_inference_pending")!;
    assert.ok(samples.every(({ labels }) => labels.job === "payments" && labels.shard !== undefined && labels.model === "fraud"));
    const release = setInterval(() => {
      for (const response of held.splice(0)) answer(response, { score: 0.5 });
    }, 20);
    after(() => clearInterval(release));
    await until((all) => sumOf(all, "tidemark_inference_pending", { model: "fraud" }) === 0);
    publisher.close();
  });
});

suite("measures of the inference process", () => {
  const measured = (startedAt: number) => ({ startedAt, models: [] }) as unknown as ServiceMeasures;
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test("are the newest that it gave, whoever looks and however long it takes to answer", async () => {
    const clock = new ManualClock();
    const asked: ((measures: ServiceMeasures | undefined) => void)[] = [];
    const watch = new MeasuresWatch(() => new Promise((resolve) => asked.push(resolve)), clock);
    const started = () => watch.newest?.startedAt;
    assert.deepEqual([started(), asked.length], [undefined, 0], "a node without models asks nobody");
    watch.start();
    watch.start();
    assert.equal(asked.length, 1);
    assert.equal(started(), undefined);
    asked.pop()!(measured(1));
    await turn();
    assert.equal(started(), 1);
    clock.pass(1_000);
    await turn();
    assert.deepEqual([started(), asked.length], [1, 1], "while it is asked the last ones stay");
    asked.pop()!(undefined);
    await turn();
    assert.equal(started(), 1, "it was gone: another one has some later");
    clock.pass(1_000);
    await turn();
    asked.pop()!(measured(2));
    await turn();
    assert.equal(started(), 2);
    watch.stop();
    clock.pass(1_000);
    await turn();
    assert.equal(asked.length, 0);
  });
});

test("a meter says nothing of a time that nobody expects, and counts what took longer than one", () => {
  const meter = new ModelMeter();
  assert.equal(meter.toRecord("m", 1, 0).sloBreaches, null);
  for (const ms of [9, 10, 10.1, 50]) meter.expected(10, ms);
  const answer: Inferred = { output: 1, confidence: 0.85, model: "m", version: 1, latencyMs: 1, cached: "no", units: 1 };
  meter.ended(answer, 1);
  meter.ended({ ...answer, confidence: null }, 1);
  const { sloBreaches, confidence } = meter.toRecord("m", 1, 0);
  assert.equal(sloBreaches, 2);
  assert.equal(confidence.counts[confidence.bounds.indexOf(0.85)], 1);
  assert.equal(
    confidence.counts.reduce((sum, count) => sum + count, 0),
    1,
  );
});
