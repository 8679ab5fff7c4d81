/** What is answered out of the cache, for how long, and that equal questions at once make one call. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { AnswerCache, questionKey } from "../../../inference/cache/answer-cache.ts";
import { CachedInferrer } from "../../../inference/cache/cached-inferrer.ts";
import type { Inference, InferenceRequest, Inferrer } from "../../../inference/inference.ts";
import { answerOf, failedWith, Holding, NEVER, requestOf, Scripted, said, settled } from "../guards/scripted-inferrer.ts";

function cached(inner: Inferrer, options: ConstructorParameters<typeof AnswerCache>[0] = {}) {
  const cache = new AnswerCache(options);
  const clock = { time: 0 };
  return { cache, clock, inferrer: new CachedInferrer(inner, { cache, now: () => clock.time }) };
}

suite("an answer", () => {
  test("is given again for the same input, costs nothing then, and says that it is kept", async () => {
    const inner = new Scripted(answerOf({ a: [1] }, { confidence: 0.7 }), answerOf("another"));
    const { inferrer } = cached(inner);
    assert.deepEqual(await inferrer.infer(requestOf(), NEVER), answerOf({ a: [1] }, { confidence: 0.7 }));
    const again = await inferrer.infer(requestOf({ id: "call.2" }), NEVER);
    assert.deepEqual(again, answerOf({ a: [1] }, { confidence: 0.7, cached: "exact", units: 0, latencyMs: 0 }));
    assert.equal(inner.asked.length, 1);
  });

  test("cannot be changed for those who get it later", async () => {
    const { inferrer } = cached(new Scripted(answerOf({ a: [1] })));
    for (let i = 0; i < 3; i++) {
      const inference = await inferrer.infer(requestOf(), NEVER);
      assert.equal(said(inference), '{"a":[1]}');
      if ("output" in inference) (inference.output as { a: number[] }).a.push(2);
    }
  });

  test("is not given for another input, version, model, tenant or residency", async () => {
    const inner = new Scripted(answerOf(1));
    const { inferrer } = cached(inner);
    const others: readonly Partial<InferenceRequest>[] = [
      {},
      { input: '{"a":1}' },
      { version: 2 },
      { model: "other" },
      { tenant: "a" },
      { tenant: "b" },
      { residency: "a" },
      { tenant: "a", residency: "a" },
      { model: "scores\n1", input: "" },
    ];
    for (const other of others) await inferrer.infer(requestOf(other), NEVER);
    assert.equal(inner.asked.length, others.length);
    assert.equal(new Set(others.map((other) => questionKey(requestOf(other)))).size, others.length);
  });

  test("is good until its time is over", async () => {
    const inner = new Scripted(answerOf(1), answerOf(2));
    const { inferrer, clock, cache } = cached(inner, { ttlMs: 100 });
    await inferrer.infer(requestOf(), NEVER);
    clock.time = 99;
    assert.equal(said(await inferrer.infer(requestOf(), NEVER)), "1");
    clock.time = 100;
    assert.equal(said(await inferrer.infer(requestOf(), NEVER)), "2");
    assert.equal(cache.entries, 1);
  });

  for (const [what, inference] of [
    ["that failed", failedWith("HTTP_500")],
    ["of another model, as a fallback's", answerOf(1, { model: "small" })],
    ["of another version", answerOf(1, { version: 9 })],
    ["of another cache", answerOf(1, { cached: "semantic" })],
    ["that is nothing", answerOf(undefined)],
  ] as const) {
    test(`${what} is not kept`, async () => {
      const inner = new Scripted(inference);
      const { inferrer, cache } = cached(inner);
      for (let i = 0; i < 2; i++) assert.deepEqual(await inferrer.infer(requestOf(), NEVER), inference);
      assert.deepEqual([inner.asked.length, cache.entries, cache.bytes], [2, 0, 0]);
    });
  }

  test("goes first that was not used for longest, by number and by bytes", async () => {
    const inner = new Scripted(answerOf("x".repeat(1_000)));
    const { inferrer, cache } = cached(inner, { entriesMax: 3, bytesMax: 5_000 });
    for (const input of ["1", "2", "1", "3"]) await inferrer.infer(requestOf({ input }), NEVER);
    assert(cache.entries === 2 && cache.bytes <= 5_000);
    const asked = inner.asked.length;
    await inferrer.infer(requestOf({ input: "1" }), NEVER);
    assert.equal(inner.asked.length, asked);
    await inferrer.infer(requestOf({ input: "2" }), NEVER);
    assert.equal(inner.asked.length, asked + 1);
  });

  test("property: it is the one that was first given within its time, whatever is asked when", async () => {
    const steps = fc.array(fc.record({ input: fc.constantFrom("1", "2", "3"), ms: fc.nat(60), fails: fc.boolean() }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        let calls = 0;
        let fails = false;
        const inner: Inferrer = { infer: async () => (fails ? failedWith("HTTP_500") : answerOf(++calls)) };
        const { inferrer, clock } = cached(inner, { ttlMs: 100 });
        const known = new Map<string, { readonly output: number; readonly until: number }>();
        for (const step of script) {
          clock.time += step.ms;
          ({ fails } = step);
          const kept = known.get(step.input);
          const expected = kept !== undefined && clock.time < kept.until ? kept.output : fails ? undefined : calls + 1;
          if (expected === calls + 1) known.set(step.input, { output: expected, until: clock.time + 100 });
          assert.equal(
            said(await inferrer.infer(requestOf({ input: step.input }), NEVER)),
            expected === undefined ? "HTTP_500" : String(expected),
          );
        }
      }),
    );
  });
});

suite("equal questions at once", () => {
  async function askThree(more: readonly Partial<InferenceRequest>[] = [{}, {}, {}]) {
    const inner = new Holding();
    const { inferrer, clock } = cached(inner);
    const ends = more.map(() => new AbortController());
    const asked: Promise<Inference>[] = [];
    for (const [i, each] of more.entries()) {
      asked.push(inferrer.infer(requestOf({ id: `call.${i}`, ...each }), ends[i]!.signal));
      await settled();
    }
    return { inner, clock, ends, asked };
  }

  test("make one call, which the first one pays for", async () => {
    const { inner, asked } = await askThree();
    assert.deepEqual(
      inner.held.map(({ request }) => request.id),
      ["call.0"],
    );
    inner.held[0]!.settle(answerOf(1));
    const came = await Promise.all(asked);
    assert.deepEqual(
      came.map((inference) => "output" in inference && [inference.output, inference.cached, inference.units]),
      [
        [1, "no", 5],
        [1, "exact", 0],
        [1, "exact", 0],
      ],
    );
  });

  test("share a failure, and are asked anew afterwards", async () => {
    const { inner, asked } = await askThree();
    inner.held[0]!.settle(failedWith("HTTP_500"));
    assert.deepEqual((await Promise.all(asked)).map(said), ["HTTP_500", "HTTP_500", "HTTP_500"]);
    assert.equal(inner.held.length, 1);
  });

  test("go on when the first one is taken back, and end when all are", async () => {
    const { inner, ends, asked } = await askThree();
    ends[0]!.abort();
    await asked[0];
    assert.equal(inner.held[0]!.signal.aborted, false);
    ends[1]!.abort();
    ends[2]!.abort();
    await Promise.all(asked);
    assert.equal(inner.held[0]!.signal.aborted, true);
    const { inner: other, ends: two, asked: both } = await askThree([{}, {}]);
    two[0]!.abort();
    other.held[0]!.settle(answerOf(1));
    assert.equal(said(await both[1]!), "1");
  });

  test("do not fail because the first one had less time", async () => {
    const { inner, clock, asked } = await askThree([{ deadline: 100 }, { deadline: 500 }, { deadline: 100 }]);
    clock.time = 100;
    inner.held[0]!.settle(failedWith("TIMEOUT"));
    await settled();
    assert.deepEqual(
      inner.held.map(({ request }) => request.id),
      ["call.0", "call.1"],
    );
    inner.held[1]!.settle(answerOf(1));
    assert.deepEqual((await Promise.all(asked)).map(said), ["TIMEOUT", "1", "TIMEOUT"]);
  });

  test("reject with what is a fault of our own, and leave nothing behind", async () => {
    const { inner, asked } = await askThree();
    inner.held[0]!.fail(new Error("a fault"));
    for (const each of await Promise.allSettled(asked)) assert.equal(each.status, "rejected");
  });

  test("after one that nobody wanted any more begin anew", async () => {
    const inner = new Holding();
    const { inferrer } = cached(inner);
    const end = new AbortController();
    const gone = inferrer.infer(requestOf(), end.signal);
    await settled();
    end.abort();
    await gone;
    const next = inferrer.infer(requestOf(), NEVER);
    await settled();
    assert.equal(inner.held.length, 2);
    inner.held[1]!.settle(answerOf(2));
    assert.equal(said(await next), "2");
    assert.equal(said(await inferrer.infer(requestOf(), AbortSignal.abort())), "2");
    assert.equal(said(await inferrer.infer(requestOf({ input: "9" }), AbortSignal.abort())), "TIMEOUT");
  });

  test("do not join a call that was given up and has not ended yet", async () => {
    const calls: ((inference: Inference) => void)[] = [];
    const { inferrer } = cached({ infer: () => new Promise((resolve) => calls.push(resolve)) });
    const end = new AbortController();
    const gone = inferrer.infer(requestOf(), end.signal);
    end.abort();
    await gone;
    const next = inferrer.infer(requestOf(), NEVER);
    await settled();
    assert.equal(calls.length, 2);
    calls[0]!(answerOf("late"));
    await settled();
    const third = inferrer.infer(requestOf(), NEVER);
    calls[1]!(answerOf("well"));
    assert.deepEqual([said(await next), said(await third)], ['"well"', '"well"']);
    assert.equal(calls.length, 2);
  });
});
