/** When another model is asked, with what, and whose answer it is. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { InferenceFailureCode } from "../../../inference/failures.ts";
import { FallbackGuard } from "../../../inference/guards/fallback-guard.ts";
import type { OverloadPolicy } from "../../../inference/guards/overload-policy.ts";
import { TimedInferrer } from "../../../inference/guards/timed-inferrer.ts";
import type { Inferrer } from "../../../inference/inference.ts";
import { answerOf, failedWith, HandClock, Holding, NEVER, requestOf, Scripted, said, settled } from "./scripted-inferrer.ts";

const TARGET = { model: "small", version: 3 };

function guarded(inner: Inferrer, { policy = "queue" as OverloadPolicy, reserveMs = 0, fallback = new Scripted(answerOf("small")) } = {}) {
  const clock = new HandClock();
  return { clock, fallback, guard: new FallbackGuard(inner, { fallback, target: () => TARGET, policy, reserveMs, clock }) };
}

suite("a fallback", () => {
  test("is not asked when the model answers", async () => {
    const { guard, fallback } = guarded(new Scripted(answerOf("large")));
    assert.deepEqual(await guard.infer(requestOf(), NEVER), answerOf("large"));
    assert.equal(fallback.asked.length, 0);
  });

  test("is asked under its own name and another id, and its answer names it", async () => {
    const { guard, fallback } = guarded(new Scripted(failedWith("CIRCUIT_OPEN")));
    const request = requestOf({ input: '{"a":1}', tenant: "t" });
    const inference = await guard.infer(request, NEVER);
    assert.deepEqual(inference, answerOf("small", TARGET));
    assert.deepEqual(fallback.asked, [{ ...request, ...TARGET, id: "call.1.fallback" }]);
  });

  test("that fails too leaves the failure of the model that was asked for", async () => {
    const { guard } = guarded(new Scripted(failedWith("HTTP_500")), { fallback: new Scripted(failedWith("CRASHED")) });
    assert.equal(said(await guard.infer(requestOf(), NEVER)), "HTTP_500");
  });

  test("that is not registered at the moment is not asked", async () => {
    const fallback = new Scripted(answerOf(1));
    const options = { fallback, target: () => undefined, policy: "degrade" as const, reserveMs: 10, clock: new HandClock() };
    assert.equal(said(await new FallbackGuard(new Scripted(failedWith("HTTP_500")), options).infer(requestOf(), NEVER)), "HTTP_500");
  });

  const ASKED: readonly (readonly [InferenceFailureCode, OverloadPolicy, boolean])[] = [
    ["INPUT_REFUSED", "degrade", false],
    ["OVERLOADED", "queue", false],
    ["OVERLOADED", "dead-letter", false],
    ["OVERLOADED", "degrade", true],
    ["RATE_LIMITED", "queue", false],
    ["RATE_LIMITED", "degrade", true],
    ["OUTPUT_REFUSED", "dead-letter", true],
    ["RESIDENCY", "queue", true],
    ["TIMEOUT", "queue", true],
    ["SECRET_MISSING", "queue", true],
  ];
  for (const [code, policy, asked] of ASKED) {
    test(`is ${asked ? "" : "not "}asked upon ${code}, where the policy is ${policy}`, async () => {
      const { guard, fallback } = guarded(new Scripted(failedWith(code)), { policy });
      assert.equal(said(await guard.infer(requestOf(), NEVER)), asked ? '"small"' : code);
      assert.equal(fallback.asked.length, asked ? 1 : 0);
    });
  }

  test("is not asked once the deadline has come, or nobody wants to know", async () => {
    const late = guarded(new Scripted(failedWith("HTTP_500")));
    late.clock.time = 60_000;
    assert.equal(said(await late.guard.infer(requestOf(), NEVER)), "HTTP_500");
    const { guard, fallback } = guarded(new Scripted(failedWith("HTTP_500")));
    await guard.infer(requestOf(), AbortSignal.abort());
    assert.equal(late.fallback.asked.length + fallback.asked.length, 0);
  });
});

suite("time that is left to the fallback", () => {
  test("ends a model that hangs, and the fallback answers", async () => {
    const inner = new Holding();
    const { guard, clock, fallback } = guarded(inner, { reserveMs: 100 });
    const asked = guard.infer(requestOf({ deadline: 1_000 }), NEVER);
    await settled();
    assert.equal(inner.held[0]!.request.deadline, 900);
    await clock.pass(899);
    assert.equal(inner.held[0]!.signal.aborted, false);
    await clock.pass(1);
    assert.equal(inner.held[0]!.signal.aborted, true);
    assert.equal(said(await asked), '"small"');
    assert.equal(fallback.asked[0]!.deadline, 1_000);
  });

  test("is not waited for when the model answers", async () => {
    const { guard, clock } = guarded(new Scripted(answerOf(1)), { reserveMs: 100 });
    assert.equal(said(await guard.infer(requestOf(), NEVER)), "1");
    assert.equal(clock.sleeping, 0);
  });

  test("does not keep a model going that nobody wants to hear any more", async () => {
    const inner = new Holding();
    const { guard, clock } = guarded(inner, { reserveMs: 100 });
    const end = new AbortController();
    const asked = guard.infer(requestOf(), end.signal);
    await settled();
    end.abort();
    await asked;
    assert.deepEqual([inner.held[0]!.signal.aborted, clock.sleeping], [true, 0]);
  });
});

test("an answer says how long it took with everything around it", async () => {
  const times = [100, 350];
  const timed = new TimedInferrer(new Scripted(answerOf(1, { latencyMs: 3 })), () => times.shift()!);
  const inference = await timed.infer(requestOf(), NEVER);
  assert.equal("latencyMs" in inference && inference.latencyMs, 250);
});
