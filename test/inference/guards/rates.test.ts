/** Rates of a model, its tenants and its keys; against a model that counts in exact numbers. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { RATED_MAX } from "../../../inference/guards/bounds.ts";
import type { OverloadPolicy } from "../../../inference/guards/overload-policy.ts";
import { RateGuard } from "../../../inference/guards/rate-guard.ts";
import { RateLimits, type Rates } from "../../../inference/guards/rate-limits.ts";
import { TokenBucket } from "../../../inference/guards/token-bucket.ts";
import { answerOf, HandClock, NEVER, requestOf, Scripted, said, settled } from "./scripted-inferrer.ts";

suite("a bucket", () => {
  test("property: gives out exactly what one does that counts in thousandths", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("take", "try"), ms: fc.constant(0) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass"), ms: fc.integer({ min: 0, max: 3_000 }) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant("back"), ms: fc.integer({ min: 1, max: 500 }) }) },
      ),
      { maxLength: 150 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), steps, (perSecond, burst, script) => {
        const bucket = new TokenBucket({ perSecond, burst }, 0);
        let now = 0;
        let thousandths = burst * 1_000;
        for (const { kind, ms } of script) {
          if (kind === "pass") {
            now += ms;
            thousandths = Math.min(burst * 1_000, thousandths + ms * perSecond);
          } else if (kind === "back") now -= ms;
          const expected = Math.max(0, Math.ceil((1_000 - thousandths) / perSecond));
          assert.equal(bucket.waitMs(now), expected);
          if (kind === "take" || (kind === "try" && expected === 0)) {
            bucket.take(now);
            thousandths -= 1_000;
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  test("property: within no time gives out more than its burst and what that time brings", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 10 }),
        fc.array(fc.nat(400), { maxLength: 80 }),
        (perSecond, burst, gaps) => {
          const bucket = new TokenBucket({ perSecond, burst }, 0);
          const given: number[] = [];
          let now = 0;
          for (const gap of gaps) {
            now += gap;
            const waitMs = bucket.waitMs(now);
            if (waitMs > 2_000) continue;
            bucket.take(now);
            given.push(now + waitMs);
          }
          // Waits are whole milliseconds, so the first token may have been there up to one before it was used.
          for (const [i, from] of given.entries()) {
            for (const [j, to] of given.entries()) if (j >= i) assert(j - i + 1 <= burst + ((to - from + 1) * perSecond) / 1_000 + 1e-6);
          }
        },
      ),
    );
  });

  test("takes back a token that was not used, and is never over its burst", () => {
    const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, 0);
    bucket.take(0);
    assert.equal(bucket.waitMs(0), 1_000);
    bucket.giveBack(0);
    bucket.giveBack(0);
    bucket.take(0);
    assert.equal(bucket.waitMs(0), 1_000);
  });
});

suite("limits", () => {
  const one = { perSecond: 1, burst: 1 };

  test("of a tenant are its own, and of a key those of that tenant's key", () => {
    const limits = new RateLimits({ tenant: { perSecond: 1, burst: 2 }, key: one }, 0);
    const take = (tenant: string, key: string): boolean => typeof limits.take({ tenant, key }, 0, 0) !== "number";
    assert.deepEqual([take("a", "x"), take("a", "x"), take("b", "x"), take("a", "y"), take("a", "z")], [true, false, true, true, false]);
  });

  test("are all taken from or none", () => {
    const limits = new RateLimits({ model: { perSecond: 1, burst: 2 }, tenant: one }, 0);
    assert.notEqual(typeof limits.take({ tenant: "a" }, 0, 0), "number");
    assert.equal(limits.take({ tenant: "a" }, 0, 0), 1_000);
    assert.equal(limits.take({ tenant: "a" }, 0, 0), 1_000);
    assert.notEqual(typeof limits.take({ tenant: "b" }, 0, 0), "number");
    assert.equal(limits.take({}, 0, 0), 1_000);
  });

  test("of many tenants are forgotten, those first that did not ask for longest", () => {
    const limits = new RateLimits({ tenant: one }, 0);
    for (let i = 0; i <= RATED_MAX; i++) assert.notEqual(typeof limits.take({ tenant: `t${i}` }, 0, 0), "number");
    assert.equal(typeof limits.take({ tenant: "t1" }, 0, 0), "number");
    assert.notEqual(typeof limits.take({ tenant: "t0" }, 0, 0), "number");
  });
});

suite("a question over a rate", () => {
  function guarded(policy: OverloadPolicy, rates: Rates = { model: { perSecond: 10, burst: 1 } }) {
    const clock = new HandClock();
    const inner = new Scripted(answerOf(1));
    return { clock, inner, guard: new RateGuard(inner, { limits: new RateLimits(rates, 0), policy, clock }) };
  }

  test("waits for its time, in the order of coming, where the policy is to queue", async () => {
    const { clock, inner, guard } = guarded("queue");
    const asked = [1, 2, 3].map((i) => guard.infer(requestOf({ id: `call.${i}` }), NEVER));
    await settled();
    assert.equal(inner.asked.length, 1);
    await clock.pass(99);
    assert.equal(inner.asked.length, 1);
    await clock.pass(1);
    await clock.pass(100);
    assert.deepEqual(
      inner.asked.map(({ id }) => id),
      ["call.1", "call.2", "call.3"],
    );
    assert.deepEqual((await Promise.all(asked)).map(said), ["1", "1", "1"]);
  });

  test("whose time comes behind its deadline is refused at once, and takes nothing", async () => {
    const { inner, guard } = guarded("queue");
    await guard.infer(requestOf(), NEVER);
    const refused = await guard.infer(requestOf({ deadline: 100 }), NEVER);
    assert.deepEqual("failed" in refused && [refused.failed.code, refused.failed.waitMs, inner.asked.length], ["RATE_LIMITED", 100, 1]);
    assert.equal(await guard.infer(requestOf({ deadline: 100 }), NEVER).then(said), "RATE_LIMITED");
  });

  test("that is taken back while waiting gives its turn to those that come", async () => {
    const { clock, guard } = guarded("queue");
    await guard.infer(requestOf(), NEVER);
    const end = new AbortController();
    const gone = guard.infer(requestOf(), end.signal);
    await settled();
    end.abort();
    assert.equal(said(await gone), "RATE_LIMITED");
    const next = guard.infer(requestOf(), NEVER);
    await settled();
    await clock.pass(100);
    assert.equal(said(await next), "1");
    assert.equal(clock.sleeping, 0);
  });

  for (const policy of ["degrade", "dead-letter"] as const) {
    test(`is refused at once, where the policy is ${policy}`, async () => {
      const { clock, guard } = guarded(policy);
      assert.equal(said(await guard.infer(requestOf(), NEVER)), "1");
      assert.equal(said(await guard.infer(requestOf(), NEVER)), "RATE_LIMITED");
      await clock.pass(100);
      assert.equal(said(await guard.infer(requestOf(), NEVER)), "1");
    });
  }
});
