/** Places and the queue before them; and what becomes of a question that finds none, by policy. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Bulkhead, type Leave, ON_DEMAND_BULKHEAD, STREAM_BULKHEAD } from "../../../inference/guards/bulkhead.ts";
import { BulkheadGuard } from "../../../inference/guards/bulkhead-guard.ts";
import type { OverloadPolicy } from "../../../inference/guards/overload-policy.ts";
import { answerOf, Holding, NEVER, requestOf, said, settled } from "./scripted-inferrer.ts";

test("places go to who came first", async () => {
  const bulkhead = new Bulkhead({ places: 1, waitingMax: 3 });
  const order: string[] = [];
  const come = async (name: string): Promise<void> => {
    const leave = await bulkhead.enter(NEVER);
    order.push(name);
    await settled();
    leave!();
  };
  await Promise.all(["a", "b", "c"].map(come));
  assert.deepEqual([order, bulkhead.taken, bulkhead.waiting], [["a", "b", "c"], 0, 0]);
});

test("who comes to a full queue is refused, and who is aborted while waiting leaves it", async () => {
  const bulkhead = new Bulkhead({ places: 1, waitingMax: 2 });
  const leave = await bulkhead.enter(NEVER);
  const end = new AbortController();
  const waiting = [bulkhead.enter(end.signal), bulkhead.enter(NEVER)];
  assert.equal(await bulkhead.enter(NEVER), undefined);
  end.abort();
  assert.equal(await waiting[0], undefined);
  assert.equal(bulkhead.waiting, 1);
  assert.equal(await bulkhead.enter(end.signal), undefined);
  leave!();
  (await waiting[1])!();
  assert.equal(bulkhead.taken, 0);
});

test("a place that is given back twice is a mistake", async () => {
  const leave = new Bulkhead({ places: 1, waitingMax: 0 }).tryEnter()!;
  leave();
  assert.throws(leave, /twice/);
});

test("property: never more than there are places, nobody is forgotten, and the order is kept", async () => {
  const step = fc.oneof(fc.constant("enter"), fc.constant("leave"), fc.constant("abort"));
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 4 }),
      fc.array(step, { maxLength: 60 }),
      async (places, waitingMax, steps) => {
        const bulkhead = new Bulkhead({ places, waitingMax });
        const inside: Leave[] = [];
        const entered: number[] = [];
        /** Numbers of those that should be waiting. */
        let queue: { readonly number: number; readonly end: AbortController }[] = [];
        const expected: number[] = [];
        let taken = 0;
        let number = 0;
        for (const each of steps) {
          if (each === "enter") {
            const own = number++;
            const end = new AbortController();
            if (taken < places) {
              taken++;
              expected.push(own);
            } else if (queue.length < waitingMax) queue.push({ number: own, end });
            void bulkhead.enter(end.signal).then((leave) => {
              if (leave === undefined) return;
              inside.push(leave);
              entered.push(own);
            });
          } else if (each === "leave" && inside.length > 0) {
            inside.shift()!();
            const next = queue.shift();
            if (next === undefined) taken--;
            else expected.push(next.number);
          } else if (each === "abort" && queue.length > 0) {
            queue.at(-1)!.end.abort();
            queue = queue.slice(0, -1);
          }
          await Promise.resolve().then(() => {});
          assert.deepEqual([entered, bulkhead.taken, bulkhead.waiting], [expected, taken, queue.length]);
        }
      },
    ),
    { numRuns: 200 },
  );
});

suite("a question that finds no place", () => {
  const guarded = (policy: OverloadPolicy, waitingMax = 1) => {
    const inner = new Holding();
    const bulkhead = new Bulkhead({ places: 1, waitingMax });
    return { inner, bulkhead, guard: new BulkheadGuard(inner, { bulkhead, policy }) };
  };

  test("waits for one, where the policy is to queue, and is refused behind the queue", async () => {
    const { inner, guard } = guarded("queue");
    const asked = [1, 2, 3].map((i) => guard.infer(requestOf({ id: `call.${i}` }), NEVER));
    assert.equal(said(await asked[2]!), "OVERLOADED");
    assert.deepEqual(
      inner.held.map(({ request }) => request.id),
      ["call.1"],
    );
    inner.held[0]!.settle(answerOf(1));
    await settled();
    inner.held[1]!.settle(answerOf(2));
    assert.deepEqual([said(await asked[0]!), said(await asked[1]!)], ["1", "2"]);
  });

  for (const policy of ["degrade", "dead-letter"] as const) {
    test(`is refused at once, where the policy is ${policy}`, async () => {
      const { inner, guard } = guarded(policy);
      const first = guard.infer(requestOf(), NEVER);
      assert.equal(said(await guard.infer(requestOf(), NEVER)), "OVERLOADED");
      inner.held[0]!.settle(answerOf(1));
      assert.equal(said(await first), "1");
    });
  }

  test("finds one behind a question that failed by a fault of our own", async () => {
    const { inner, guard, bulkhead } = guarded("queue");
    const broken = guard.infer(requestOf(), NEVER);
    await settled();
    inner.held[0]!.fail(new Error("a fault"));
    await assert.rejects(broken, /a fault/);
    assert.equal(bulkhead.taken, 0);
  });

  test("of those over the API, takes none from the stream", async () => {
    const inner = new Holding();
    const stream = new BulkheadGuard(inner, { bulkhead: new Bulkhead(STREAM_BULKHEAD), policy: "queue" });
    const onDemand = new BulkheadGuard(inner, { bulkhead: new Bulkhead(ON_DEMAND_BULKHEAD), policy: "queue" });
    const { places, waitingMax } = ON_DEMAND_BULKHEAD;
    const crowd = Array.from({ length: places + waitingMax + 1 }, () => onDemand.infer(requestOf(), NEVER));
    assert.equal(said(await crowd.at(-1)!), "OVERLOADED");
    assert.equal(inner.held.length, places);
    const own = Array.from({ length: STREAM_BULKHEAD.places }, () => stream.infer(requestOf(), NEVER));
    await settled();
    assert.equal(inner.held.length, places + STREAM_BULKHEAD.places);
    while (inner.held.length > 0) {
      for (const each of inner.held.splice(0)) each.settle(answerOf(1));
      await settled();
    }
    assert.deepEqual(new Set((await Promise.all([...own, ...crowd.slice(0, -1)])).map(said)), new Set(["1"]));
  });
});
