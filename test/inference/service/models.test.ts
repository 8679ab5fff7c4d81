import assert from "node:assert/strict";
import { once } from "node:events";
import { after, suite, test } from "node:test";
import { Worker } from "node:worker_threads";
import { INPUT_MAX_CHARS, MODELS_MAX, ON_DEMAND_PLACES, ON_DEMAND_WAITING_MAX } from "../../../inference/service/bounds.ts";
import type { ModelMeasures } from "../../../inference/service/model-meter.ts";
import { ask, codeOf, EchoWorld, outputOf } from "./echo-world.ts";

suite("models in an inference process", () => {
  const world = new EchoWorld({ after });
  const client = world.client();

  const measuresOf = async (model: string): Promise<ModelMeasures> =>
    (await world.service.measures())!.models.find((each) => each.model === model)!;

  test("are opened once, however many ask for it at once", async () => {
    const clients = [world.client(), world.client()];
    const inferences = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(clients[i % 2]!, {})));
    for (const inference of inferences) assert.equal(outputOf(inference).opened, 1);
    assert.equal(world.found.get("echo"), 1);
  });

  test("are asked by threads of the node, each over a connection of its own", async () => {
    const count = 300;
    const workerData = { address: world.service.address(), count };
    const threads = [0, 1].map(() => new Worker(new URL("./asking-thread.ts", import.meta.url), { workerData }));
    // Nothing of a client that was closed keeps its thread.
    const ended = Promise.all(threads.map((thread) => once(thread, "exit")));
    for (const values of await Promise.all(threads.map((thread) => once(thread, "message")))) {
      assert.deepEqual(values, [Array.from({ length: count }, (_, value) => value)]);
    }
    await ended;
  });

  test("are not tried again at once when they could not be opened, nor asked for again when they are not there", async () => {
    for (const [model, code] of [
      ["broken", "MODEL_REFUSED"],
      ["unknown", "MODEL_UNKNOWN"],
    ] as const) {
      const inferences = await Promise.all(Array.from({ length: 20 }, () => ask(client, {}, { model })));
      for (const inference of inferences) assert.equal(codeOf(inference), code);
      assert.equal(world.found.get(model), 1);
    }
    assert.equal(codeOf(await ask(client, {}, { model: "broken" })), "MODEL_REFUSED");
    assert.equal(world.found.get("broken"), 1);
  });

  test("are closed when there are too many, those first that were not asked for the longest", async () => {
    for (let i = 0; i < MODELS_MAX + 3; i++) outputOf(await ask(client, {}, { model: `m-${i}` }));
    assert.equal((await world.service.measures())!.modelsOpen, MODELS_MAX);
    outputOf(await ask(client, {}, { model: `m-${MODELS_MAX}` }));
    outputOf(await ask(client, {}, { model: "m-0" }));
    assert.equal(world.found.get(`m-${MODELS_MAX}`), 1);
    assert.equal(world.found.get("m-0"), 2);
  });

  test("have a fallback, which has none of its own", async () => {
    const inference = await ask(client, { value: 3 }, { model: "one" });
    assert.equal(outputOf(inference).value, 3);
    assert.ok("output" in inference && inference.model === "other");
  });

  test("are told what is cancelled", async () => {
    const end = new AbortController();
    const hanging = Array.from({ length: 10 }, () => ask(client, { hang: true }, { signal: end.signal }));
    outputOf(await ask(client, {}));
    end.abort();
    await Promise.all(hanging);
    // The first goes with the cancels.
    outputOf(await ask(client, {}));
    assert.equal(outputOf(await ask(client, {})).cancelled, 10);
    assert.equal((await measuresOf("echo")).inFlight, 0);
  });

  test("that never come back alone are ended when their time is over", async () => {
    const end = new AbortController();
    outputOf(await ask(client, {}, { alone: true }));
    const spinning = ask(client, { spin: true }, { alone: true, signal: end.signal });
    outputOf(await ask(client, {}));
    end.abort();
    await spinning;
    assert.equal(outputOf(await ask(client, { value: 2 }, { alone: true })).value, 2);
    assert.equal((await world.service.measures())!.aloneDeaths, 0);
  });

  test("that fail by a fault of Tidemark say so, and go on", async () => {
    await assert.rejects(ask(client, { reject: true }), /in the inference process: a fault of ours/);
    await assert.rejects(ask(client, { reject: true }, { alone: true }), /a fault of ours/);
    assert.equal(outputOf(await ask(client, { value: 1 })).value, 1);
  });

  test("take and give nothing that is too large", async () => {
    const tooLong = JSON.stringify({ value: "x".repeat(INPUT_MAX_CHARS) });
    assert.equal(codeOf(await ask(client, {}, { input: tooLong })), "INPUT_REFUSED");
    assert.equal(codeOf(await ask(client, { outputChars: 2 * INPUT_MAX_CHARS })), "RESPONSE_TOO_LARGE");
    const large = JSON.stringify({ value: '"'.repeat(INPUT_MAX_CHARS / 2 - 20) });
    assert.equal(outputOf(await ask(client, {}, { input: large })).value, JSON.parse(large).value);
  });

  test("never keep streams waiting for what is asked on demand", async () => {
    const onDemand = [0, 1, 2].map(() => world.client("on-demand", "refuse"));
    const end = new AbortController();
    const hanging: Promise<unknown>[] = [];
    for (const each of onDemand) outputOf(await ask(each, {}));
    for (const each of onDemand) for (let i = 0; i < 64; i++) hanging.push(ask(each, { hang: true }, { signal: end.signal }));
    // All of them are there when the last is refused.
    assert.equal(codeOf(await ask(onDemand[2]!, {})), "OVERLOADED");
    const stream = world.client();
    outputOf(await ask(stream, {}));
    const measures = (await world.service.measures())!;
    assert.equal(measures.models.find(({ model }) => model === "echo")!.inFlight, ON_DEMAND_PLACES);
    assert.ok(measures.onDemandWaiting <= ON_DEMAND_WAITING_MAX);
    end.abort();
    await Promise.all(hanging);
    for (const each of onDemand) outputOf(await ask(each, {}));
    assert.equal((await world.service.measures())!.onDemandWaiting, 0);
  });

  test("are counted: how many they answered, how, and in what time", async () => {
    await Promise.all(Array.from({ length: 30 }, () => ask(client, {}, { model: "counted" })));
    for (let i = 0; i < 3; i++) await ask(client, {}, { model: "broken-too" });
    const { duration, confidence, ...counted } = await measuresOf("counted");
    assert.deepEqual(counted, {
      model: "counted",
      version: 1,
      queued: 0,
      inFlight: 0,
      inferences: 30,
      errors: {},
      cached: { exact: 0, semantic: 0 },
      units: 30,
      sloBreaches: null,
    });
    // The echo gives none.
    assert.ok(confidence.counts.every((count) => count === 0));
    assert.equal(
      duration.counts.reduce((a, b) => a + b),
      30,
    );
    assert.deepEqual((await measuresOf("broken-too")).errors, { MODEL_REFUSED: 3 });
  });
});
