/** Answers for texts that mean the same: what may differ, how near is near, and what is found against a plain search. */
import assert from "node:assert/strict";
import { after, suite, test } from "node:test";
import fc from "fast-check";
import { type Embedder, embedderOf, SemanticInferrer } from "../../../inference/cache/semantic-inferrer.ts";
import { VectorIndex } from "../../../inference/cache/vector-index.ts";
import type { Inferrer } from "../../../inference/inference.ts";
import { startFaultyServer } from "../../support/faulty-server.ts";
import { answerOf, failedWith, NEVER, requestOf, Scripted, said } from "../guards/scripted-inferrer.ts";
import { ask, opener } from "../remote/remote-records.ts";

/** How often each letter is in a text: near for texts with the same letters. */
const letters = (text: string): readonly number[] => Array.from("abcdefghijklmnopqrstuvwxyz", (letter) => text.split(letter).length - 1);
const embed: Embedder = async (text) => letters(text);

function semantic(inner: Inferrer, more: Partial<ConstructorParameters<typeof SemanticInferrer>[1]> = {}) {
  const clock = { time: 0 };
  return { clock, inferrer: new SemanticInferrer(inner, { embed, field: "text", now: () => clock.time, ...more }) };
}

const asking = (text: unknown, more: object = {}, request: object = {}) =>
  requestOf({ input: JSON.stringify({ ...more, text }), ...request });

suite("an answer", () => {
  test("is given again for a text that means the same, costs nothing then, and says so", async () => {
    const inner = new Scripted(answerOf({ mood: ["good"] }, { confidence: 0.9 }));
    const { inferrer } = semantic(inner);
    await inferrer.infer(asking("all is well here"), NEVER);
    const again = await inferrer.infer(asking("here all is well"), NEVER);
    assert.deepEqual(again, answerOf({ mood: ["good"] }, { confidence: 0.9, cached: "semantic", units: 0, latencyMs: 0 }));
    if ("output" in again) (again.output as { mood: string[] }).mood.push("x");
    assert.equal(said(await inferrer.infer(asking("is all well here"), NEVER)), '{"mood":["good"]}');
    assert.equal(inner.asked.length, 1);
  });

  for (const [what, request] of [
    ["another text", asking("zzz")],
    ["another sum beside the text", asking("all is well here", { amount: 2 })],
    ["a further field", asking("all is well here", { amount: 1, more: 1 })],
    ["another tenant", asking("all is well here", { amount: 1 }, { tenant: "b" })],
    ["another residency", asking("all is well here", { amount: 1 }, { residency: "eu" })],
    ["another version", asking("all is well here", { amount: 1 }, { version: 2 })],
    ["another model", asking("all is well here", { amount: 1 }, { model: "other" })],
    ["no text", asking(undefined, { amount: 1 })],
    ["a text that is none", asking(["all is well here"], { amount: 1 })],
    ["an empty text", asking("", { amount: 1 })],
    ["an input that is no object", requestOf({ input: '"all is well here"' })],
  ] as const) {
    test(`is not given for ${what}`, async () => {
      const inner = new Scripted(answerOf(1));
      const { inferrer } = semantic(inner);
      await inferrer.infer(asking("all is well here", { amount: 1 }), NEVER);
      await inferrer.infer(request, NEVER);
      assert.equal(inner.asked.length, 2);
    });
  }

  test("is good until its time is over", async () => {
    const inner = new Scripted(answerOf(1), answerOf(2));
    const { inferrer, clock } = semantic(inner, { ttlMs: 100 });
    await inferrer.infer(asking("ab"), NEVER);
    clock.time = 99;
    assert.equal(said(await inferrer.infer(asking("ba"), NEVER)), "1");
    clock.time = 100;
    assert.equal(said(await inferrer.infer(asking("ba"), NEVER)), "2");
  });

  for (const [what, inference] of [
    ["that failed", failedWith("HTTP_500")],
    ["of another model", answerOf(1, { model: "small" })],
    ["that was kept already", answerOf(1, { cached: "exact" })],
  ] as const) {
    test(`${what} is not kept`, async () => {
      const inner = new Scripted(inference);
      const { inferrer } = semantic(inner);
      for (let i = 0; i < 2; i++) await inferrer.infer(asking("ab"), NEVER);
      assert.deepEqual([inner.asked.length, inferrer.entries], [2, 0]);
    });
  }

  test("comes from the model when there is no vector of the text, and is not kept", async () => {
    const inner = new Scripted(answerOf(1));
    const { inferrer } = semantic(inner, { embed: async () => undefined });
    for (let i = 0; i < 2; i++) assert.equal(said(await inferrer.infer(asking("ab"), NEVER)), "1");
    assert.deepEqual([inner.asked.length, inferrer.entries], [2, 0]);
  });

  test("is found by the vectors of an embedding model behind a server", async () => {
    const server = await startFaultyServer(
      { after },
      {
        v1: ({ body }, response) => {
          const { input } = JSON.parse(body) as { readonly input: readonly string[] };
          const data = input.map((text, index) => ({ index, embedding: letters(text) }));
          response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ data, usage: { total_tokens: 2 } }));
        },
      },
    );
    const models = opener();
    after(() => models.close());
    const model = await models.open({ kind: "openai-embeddings", url: server.url, model: "letters", text: "/content" });
    const embedding: Inferrer = {
      async infer({ input }) {
        const [answer] = await ask(model, [JSON.parse(input)]);
        return "failed" in answer! ? answer : answerOf(answer!.output);
      },
    };
    const inner = new Scripted(answerOf(1));
    const { inferrer } = semantic(inner, { embed: embedderOf(embedding, { model: "letters", version: 1 }, "content") });
    await inferrer.infer(asking("all is well"), NEVER);
    const again = await inferrer.infer(asking("well is all"), NEVER);
    assert.equal("cached" in again && again.cached, "semantic");
    assert.deepEqual([inner.asked.length, server.seen.length], [1, 2]);
  });

  test("of an embedding model that fails, or gives no vector, is none", async () => {
    for (const inference of [failedWith("HTTP_500"), answerOf({}), answerOf([]), answerOf([1, "2"]), answerOf([Number.NaN])]) {
      assert.equal(await embedderOf(new Scripted(inference), { model: "m", version: 1 }, "text")("x", requestOf(), NEVER), undefined);
    }
    const inner = new Scripted(answerOf([1, 2]));
    assert.deepEqual(await embedderOf(inner, { model: "m", version: 7 }, "text")("x", requestOf({ tenant: "t" }), NEVER), [1, 2]);
    assert.deepEqual(inner.asked, [requestOf({ tenant: "t", model: "m", version: 7, input: '{"text":"x"}', id: "call.1.embedding" })]);
  });
});

suite("an index", () => {
  const cosine = (a: readonly number[], b: readonly number[]): number => {
    const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((sum, each, i) => sum + each * y[i]!, 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };

  test("property: finds what a plain search over all of its group finds", () => {
    const vector = fc
      .array(fc.integer({ min: -5, max: 5 }), { minLength: 7, maxLength: 7 })
      .filter((each) => each.some((part) => part !== 0));
    const entries = fc.array(fc.tuple(fc.constantFrom("a", "b"), vector), { maxLength: 40 });
    fc.assert(
      fc.property(entries, vector, fc.constantFrom(0.2, 0.7, 0.95), (all, wanted, threshold) => {
        const index = new VectorIndex<number>({ ttlMs: 10, vectorsMax: 100 });
        for (const [i, [group, each]] of all.entries()) index.put(group, each, i, 0);
        const found = index.nearest("a", wanted, threshold, 0);
        const cosines = all.flatMap(([group, each]) => (group === "a" ? [cosine(each, wanted)] : []));
        const best = Math.max(...cosines, Number.NEGATIVE_INFINITY);
        if (Math.abs(best - threshold) < 1e-5) return;
        assert.equal(found === undefined, best < threshold);
        if (found === undefined) return;
        assert(Math.abs(found.cosine - best) < 1e-5 && all[found.value]![0] === "a");
        assert(Math.abs(cosine(all[found.value]![1], wanted) - best) < 1e-5);
      }),
    );
  });

  test("over its bound forgets what was not used for longest, and first what is good no more", () => {
    const index = new VectorIndex<string>({ ttlMs: 100, vectorsMax: 2 });
    index.put("g", [1, 0, 0], "x", 0);
    index.put("g", [0, 1, 0], "y", 0);
    assert.equal(index.nearest("g", [1, 0, 0], 0.9, 0)?.value, "x");
    index.put("g", [0, 0, 1], "z", 50);
    assert.deepEqual(
      [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ].map((each) => index.nearest("g", each, 0.9, 50)?.value),
      ["x", undefined, "z"],
    );
    assert.equal(index.nearest("g", [1, 0, 0], 0.9, 50)?.value, "x");
    index.put("g", [0, 1, 0], "w", 120);
    assert.deepEqual(
      [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ].map((each) => index.nearest("g", each, 0.9, 120)?.value),
      [undefined, "w", "z"],
    );
    assert.equal(index.size, 2);
  });

  test("keeps no vector that points nowhere, and begins anew with vectors of another length", () => {
    const index = new VectorIndex<string>({ ttlMs: 100 });
    index.put("g", [0, 0], "nowhere", 0);
    assert.equal(index.size, 0);
    index.put("g", [1, 0], "x", 0);
    assert.equal(index.nearest("g", [0, 0], 0, 0), undefined);
    assert.equal(index.nearest("g", [1, 0, 0], 0, 0), undefined);
    index.put("g", [1, 0, 0], "y", 0);
    assert.deepEqual([index.size, index.nearest("g", [1, 0, 0], 0.9, 0)?.value], [1, "y"]);
  });
});
