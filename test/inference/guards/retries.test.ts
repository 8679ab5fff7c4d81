/** What is asked again, how often, and after which pauses. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { RetryingInferrer } from "../../../inference/guards/retries.ts";
import type { Inference, InferenceRequest } from "../../../inference/inference.ts";
import { answerOf, failedWith, NEVER, requestOf, Scripted, said } from "./scripted-inferrer.ts";

/** Pauses take no time but the clock's; they are noted. */
function retrying(inner: Scripted, random = 1, onSleep: () => void = () => {}) {
  const pauses: number[] = [];
  let time = 0;
  const clock = {
    now: () => time,
    sleep: async (ms: number) => {
      pauses.push(ms);
      time += ms;
      onSleep();
    },
  };
  const retried: InferenceRequest[] = [];
  const inferrer = new RetryingInferrer(inner, { clock, random: () => random, onRetry: (request) => void retried.push(request) });
  return { inferrer, pauses, retried };
}

const passing = (waitMs = 0): Inference => failedWith("HTTP_503", { again: true, waitMs });

suite("a question", () => {
  test("that is answered is asked once", async () => {
    const inner = new Scripted(answerOf(1));
    const { inferrer, retried } = retrying(inner);
    assert.equal(said(await inferrer.infer(requestOf(), NEVER)), "1");
    assert.deepEqual([inner.asked.length, retried.length], [1, 0]);
  });

  test("whose failure may pass is asked again, twice, with the same id and input", async () => {
    const inner = new Scripted(passing());
    const { inferrer, retried } = retrying(inner);
    const request = requestOf({ id: "job.0:7.0.score.1" });
    assert.equal(said(await inferrer.infer(request, NEVER)), "HTTP_503");
    assert.deepEqual(inner.asked, [request, request, request]);
    assert.deepEqual(retried, [request, request]);
  });

  test("may be answered the last time", async () => {
    const { inferrer } = retrying(new Scripted(passing(), passing(), answerOf("well")));
    assert.equal(said(await inferrer.infer(requestOf(), NEVER)), '"well"');
  });

  test("whose failure stays is asked once", async () => {
    const inner = new Scripted(failedWith("HTTP_404"));
    assert.equal(said(await retrying(inner).inferrer.infer(requestOf(), NEVER)), "HTTP_404");
    assert.equal(inner.asked.length, 1);
  });

  for (const code of ["CIRCUIT_OPEN", "OVERLOADED", "RATE_LIMITED"] as const) {
    test(`that was refused here, ${code}, is asked once: somebody else may have an answer`, async () => {
      const inner = new Scripted(failedWith(code, { again: true }));
      assert.equal(said(await retrying(inner).inferrer.infer(requestOf(), NEVER)), code);
      assert.equal(inner.asked.length, 1);
    });
  }

  test("that was taken back meanwhile is asked no more", async () => {
    const end = new AbortController();
    const inner = new Scripted(passing());
    await retrying(inner, 1, () => end.abort()).inferrer.infer(requestOf(), end.signal);
    assert.equal(inner.asked.length, 1);
    const ended = new Scripted(passing());
    await retrying(ended).inferrer.infer(requestOf(), AbortSignal.abort());
    assert.equal(ended.asked.length, 1);
  });
});

suite("a pause", () => {
  test("doubles, and has some chance in it", async () => {
    for (const [random, expected] of [
      [1, [200, 400]],
      [0, [100, 200]],
    ] as const) {
      const { inferrer, pauses } = retrying(new Scripted(passing()), random);
      await inferrer.infer(requestOf(), NEVER);
      assert.deepEqual(pauses, expected);
    }
  });

  test("is as long as the other side asked for, and no shorter than without", async () => {
    const { inferrer, pauses } = retrying(new Scripted(passing(3_000), passing(1), answerOf(1)));
    await inferrer.infer(requestOf(), NEVER);
    assert.deepEqual(pauses, [3_000, 400]);
  });

  test("is never made beyond the deadline: the failure at hand is the reason", async () => {
    const inner = new Scripted(passing(60_000));
    const { inferrer, pauses } = retrying(inner);
    assert.equal(said(await inferrer.infer(requestOf({ deadline: 60_000 }), NEVER)), "HTTP_503");
    assert.deepEqual([pauses, inner.asked.length], [[], 1]);
    const within = retrying(new Scripted(passing(59_999), answerOf(1)));
    assert.equal(said(await within.inferrer.infer(requestOf({ deadline: 60_000 }), NEVER)), "1");
  });
});
