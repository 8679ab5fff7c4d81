/** One version of a model as an inferrer. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { batchedInferrer } from "../../../inference/batching/batched-inferrer.ts";
import { MicroBatching } from "../../../inference/batching/micro-batching.ts";
import type { Inference, ModelInput, ServedModel } from "../../../inference/inference.ts";

/** Answers with its input. */
const echo: ServedModel = {
  batchMax: 8,
  run: async (inputs: readonly ModelInput[]) => inputs.map(({ value }) => ({ output: value, units: 2 })),
  close: async () => {},
};

async function infer(input: string, confidence?: string): Promise<Inference> {
  let now = 0;
  const record = { name: "risk", version: 3, ...(confidence === undefined ? {} : { confidence }) };
  const batching = new MicroBatching(echo);
  const inferrer = batchedInferrer(record, batching, () => (now += 5));
  const inference = await inferrer.infer(
    { id: "1", model: "risk", version: 3, input, deadline: Date.now() + 60_000 },
    new AbortController().signal,
  );
  await batching.close();
  return inference;
}

suite("an inferrer of batches", () => {
  test("an answer names the model that gave it, its confidence and how long it took", async () => {
    assert.deepEqual(await infer('{"p":0.25}', "p"), {
      output: { p: 0.25 },
      confidence: 0.25,
      model: "risk",
      version: 3,
      latencyMs: 5,
      cached: "no",
      units: 2,
    });
  });

  test("a model without confidence gives none", async () => {
    const inference = await infer('{"p":0.25}');
    assert.ok("confidence" in inference);
    assert.equal(inference.confidence, null);
  });

  test("a confidence that is none refuses the answer", async () => {
    for (const input of ['{"p":1.5}', '{"p":"0.5"}', "{}", "null", "[]"]) {
      const inference = await infer(input, "p");
      assert.ok("failed" in inference);
      assert.equal(inference.failed.code, "OUTPUT_REFUSED");
    }
  });

  test("an input that is no JSON is refused", async () => {
    const inference = await infer("{");
    assert.ok("failed" in inference);
    assert.equal(inference.failed.code, "INPUT_REFUSED");
  });
});
