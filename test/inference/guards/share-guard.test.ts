/** That one asker leaves places to the others. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { OverloadPolicy } from "../../../inference/guards/overload-policy.ts";
import { ShareGuard } from "../../../inference/guards/share-guard.ts";
import { answerOf, Holding, NEVER, requestOf, said, settled } from "./scripted-inferrer.ts";

function guarded(policy: OverloadPolicy, places = 2, waitingMax = 1) {
  const inner = new Holding();
  const guard = new ShareGuard(inner, { share: { places, waitingMax }, askerOf: ({ tenant }) => tenant, policy });
  return { inner, guard, ask: (tenant?: string) => guard.infer(tenant === undefined ? requestOf() : requestOf({ tenant }), NEVER) };
}

suite("an asker", () => {
  test("with many questions waits, then is refused, while others are asked for", async () => {
    const { inner, guard, ask } = guarded("queue");
    const own = ["a", "a", "a", "a"].map(ask);
    const others = [ask("b"), ask(), ask(), ask()];
    assert.equal(said(await own[3]!), "OVERLOADED");
    await settled();
    assert.deepEqual(inner.held.map(({ request }) => request.tenant ?? "nobody").sort(), ["a", "a", "b", "nobody", "nobody", "nobody"]);
    for (const each of inner.held.splice(0)) each.settle(answerOf(1));
    await settled();
    assert.equal(inner.held.length, 1);
    inner.held[0]!.settle(answerOf(2));
    assert.equal(said(await own[2]!), "2");
    await Promise.all(others);
    assert.equal(guard.askers, 0);
  });

  for (const policy of ["degrade", "dead-letter"] as const) {
    test(`with many questions is refused at once, where the policy is ${policy}`, async () => {
      const { inner, guard, ask } = guarded(policy);
      const own = ["a", "a", "a"].map(ask);
      assert.equal(said(await own[2]!), "OVERLOADED");
      for (const each of inner.held) each.settle(answerOf(1));
      await Promise.all(own);
      assert.equal(guard.askers, 0);
    });
  }
});

test("property: never more of one asker than its share, everybody is served, and nobody is remembered", async () => {
  const steps = fc.array(fc.oneof(fc.constantFrom("a", "b", "c"), fc.constant("end")), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { inner, guard, ask } = guarded("queue", 2, 100);
      const asked = [];
      for (const step of script) {
        if (step !== "end") asked.push(ask(step));
        else inner.held.shift()?.settle(answerOf(1));
        await settled();
        for (const tenant of ["a", "b", "c"]) assert(inner.held.filter(({ request }) => request.tenant === tenant).length <= 2);
      }
      while (inner.held.length > 0) {
        inner.held.shift()!.settle(answerOf(1));
        await settled();
      }
      for (const each of await Promise.all(asked)) assert.equal(said(each), "1");
      assert.equal(guard.askers, 0);
    }),
  );
});
