/** The `slo` of an effect: an alarm of the fold, told once, and no result. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { http, infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const Asked = Type.Object({ n: Type.Integer() });
const Told = Type.Object({ what: Type.String(), n: Type.Integer(), breached: Type.Boolean(), at: Type.Integer() });

const asker = actor("asker", {
  in: { asked: stream("asked", { schema: Asked }), plain: stream("plain", { schema: Asked }) },
  out: { told: output("told", { schema: Told }) },
  state: { breaches: value(Type.Integer(), 0) },
  timers: { later: timer("processing") },
  effects: {
    score: infer("fraud", { input: Asked, output: Asked, timeout: "2s", slo: "200ms" }),
    look: http("https://look.example/v1", { input: Asked, output: Asked, timeout: "2s", slo: 500 }),
    unwatched: http("https://look.example/v2", { input: Asked, output: Asked, timeout: "2s" }),
  },
  on: {
    asked: (ctx, { n }) => void ctx.effects.score({ n }),
    plain: (ctx, { n }) => void (n < 0 ? ctx.effects.unwatched({ n }) : ctx.effects.look({ n })),
    later: (ctx) => void ctx.out.told({ what: "later", n: 0, breached: false, at: ctx.now }),
    score: {
      done: (ctx, { n }, { sloBreached }) => void ctx.out.told({ what: "done", n, breached: sloBreached === true, at: ctx.now }),
      failed(ctx, _failure, { input, sloBreached }) {
        if (input.n === 13) throw new Error("the handler fails");
        ctx.out.told({ what: "failed", n: input.n, breached: sloBreached === true, at: ctx.now });
      },
      breached(ctx, { input, sloBreached }) {
        ctx.state.breaches.update((before) => before + 1);
        if (input.n === 666) throw new Error("the handler fails");
        if (input.n === 7) ctx.timers.later.at(ctx.now);
        ctx.out.told({ what: "breached", n: input.n, breached: sloBreached === true, at: ctx.now });
      },
    },
    look: {
      done: (ctx, { n }, { sloBreached }) => void ctx.out.told({ what: "done", n, breached: sloBreached === true, at: ctx.now }),
      failed: () => {},
    },
    unwatched: {
      done: (ctx, { n }, call) => void ctx.out.told({ what: JSON.stringify(Object.keys(call)), n, breached: false, at: 0 }),
      failed: () => {},
    },
  },
});
const askers = job("askers", { log: "askers", actors: [asker], outOfOrderness: 0 });

const START = Date.parse("2026-01-01T00:00:00Z");
const started = (crashBetweenEvents = false) => testJob(askers, { start: START, onFailure: "dead-letter", crashBetweenEvents });
type Kit = Awaited<ReturnType<typeof started>>;
const toldBy = (kit: Kit) => kit.outputs("told").map(({ data: { what, n, breached, at } }) => [what, n, breached, at - START]);

suite("a call whose slo passes", () => {
  test("is told as breached at that time, waits on, and is answered as a late one", async () => {
    const kit = await started();
    await kit.send("asked", "ann", { n: 1 }, { id: "e1" });
    await kit.advanceClock(199);
    assert.deepEqual(toldBy(kit), []);
    await kit.advanceClock(51);
    assert.deepEqual(toldBy(kit), [["breached", 1, true, 200]]);
    assert.equal(kit.outputs("told")[0]!.causeId, "e1");
    assert.equal(kit.calls(asker).length, 1);
    await kit.reply(kit.calls(asker)[0]!, { n: 1 });
    assert.deepEqual(toldBy(kit)[1], ["done", 1, true, 250]);
    await kit.advanceClock("1m");
    assert.equal(kit.outputs("told").length, 2);
    await kit.verifyReplay();
    await kit.close();
  });

  test("is told of a failure that comes late too, and its dead letter and redrive say so again", async () => {
    const kit = await started();
    await kit.send("asked", "ann", { n: 13 });
    await kit.advanceClock("1s");
    await kit.fail(kit.calls(asker)[0]!, { code: "TIMEOUT", message: "no answer" });
    const [letter] = kit.deadLetters();
    assert.equal(letter?.data.call?.sloBreached, true);
    await kit.redrive(letter!);
    assert.equal(kit.deadLetters()[1]?.data.call?.sloBreached, true);
    await kit.close();
  });

  test("without a handler for it is marked all the same", async () => {
    const kit = await started();
    await kit.send("plain", "ann", { n: 1 });
    await kit.advanceClock("1s");
    await kit.reply(kit.calls(asker)[0]!, { n: 1 });
    assert.deepEqual(toldBy(kit), [["done", 1, true, 1_000]]);
    await kit.close();
  });

  test("leaves a dead letter that nobody can put back when its handler throws, nothing else of it, and waits on", async () => {
    const kit = await started();
    await kit.send("asked", "ann", { n: 666 });
    await kit.advanceClock("1s");
    const [letter] = kit.deadLetters();
    assert.deepEqual([letter?.data.handler, letter?.data.call?.input], ["asker.score.breached", { n: 666 }]);
    assert.equal(kit.actor(asker, "ann")?.state.breaches, 0);
    await assert.rejects(kit.redrive(letter!), { code: "TEST_INPUT" });
    await kit.reply(kit.calls(asker)[0]!, { n: 666 });
    assert.deepEqual(toldBy(kit), [["done", 666, true, 1_000]]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("may not set a timer that would fire at once", async () => {
    const kit = await started();
    await kit.send("asked", "ann", { n: 7 });
    await kit.advanceClock("1s");
    assert.equal(kit.deadLetters()[0]?.data.error.code, "TIMER_NOT_LATER");
    await kit.close();
  });
});

suite("a call that is answered in time", () => {
  test("is told as such, and its alarm is gone", async () => {
    const kit = await started();
    await kit.send("asked", "ann", { n: 1 });
    assert.deepEqual(
      kit.timers(asker, "ann").map(({ name, at }) => [name, at]),
      [["score.slo", START + 200]],
    );
    await kit.reply(kit.calls(asker)[0]!, { n: 1 });
    await kit.advanceClock("1m");
    assert.deepEqual(toldBy(kit), [["done", 1, false, 0]]);
    assert.deepEqual(kit.timers(asker, "ann"), []);
    await kit.verifyReplay();
    await kit.close();
  });

  test("without an slo says nothing of one", async () => {
    const kit = await started();
    await kit.send("plain", "ann", { n: -1 });
    await kit.reply(kit.calls(asker)[0]!, { n: -1 });
    assert.deepEqual(kit.outputs("told")[0]?.data.what, '["id","input","requestedAt","now"]');
    await kit.close();
  });
});

test("the record of an inference says whether the slo had passed; a challenger has none", async () => {
  const kit = await started();
  const data = { champion: { version: 1, sha256: "a".repeat(64) }, challenger: { version: 2, sha256: "b".repeat(64), share: 1 } };
  await kit.putReference("_models", "fraud", { version: 1, effectiveFrom: "0000-01-01T00:00:00Z", data });
  for (const key of ["ann", "bob"]) {
    await kit.send("asked", key, { n: 1 });
    assert.equal(kit.timers(asker, key).length, 1);
    if (key === "bob") await kit.advanceClock(300);
    for (const call of kit.calls(asker, key)) await kit.reply(call, { n: 1 });
  }
  assert.deepEqual(
    kit.outputs("tidemark.inference").map(({ data: { key, role, sloBreached } }) => [key, role, sloBreached]),
    [
      ["ann", "champion", false],
      ["ann", "challenger", undefined],
      ["bob", "champion", true],
      ["bob", "challenger", undefined],
    ],
  );
  await kit.close();
});

type Step = { readonly ask: string } | { readonly wait: number } | { readonly answer: number };
const aStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ ask: fc.constantFrom("a", "b") }),
  fc.record({ wait: fc.constantFrom(1, 99, 100, 200, 201) }),
  fc.record({ answer: fc.nat(5) }),
);

test("any order of asking, waiting and answering tells each breach once, at its time, whatever crashes between", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aStep, { maxLength: 25 }), fc.boolean(), async (steps, crashes) => {
      const kit = await started(crashes);
      const expected: [string, number, boolean, number][] = [];
      let waiting: { readonly n: number; readonly slo: number; breached: boolean }[] = [];
      let now = 0;
      for (const [i, step] of steps.entries()) {
        if ("ask" in step) {
          await kit.send("asked", step.ask, { n: 1_000 + i });
          waiting.push({ n: 1_000 + i, slo: now + 200, breached: false });
        } else if ("wait" in step) {
          await kit.advanceClock(step.wait);
          now += step.wait;
          for (const call of waiting) {
            if (call.breached || call.slo > now) continue;
            call.breached = true;
            expected.push(["breached", call.n, true, call.slo]);
          }
        } else {
          const call = kit.calls(asker)[step.answer];
          if (call === undefined) continue;
          const { n, breached } = waiting[step.answer]!;
          await kit.reply(call, { n });
          expected.push(["done", n, breached, now]);
          waiting = waiting.filter((other) => other.n !== n);
        }
      }
      // Ticks come every 100 ms at most: a breach shortly behind another is told with the next one.
      await kit.advanceClock("1s");
      for (const { n, slo, breached } of waiting) if (!breached) expected.push(["breached", n, true, slo]);
      // Of equal times the order is that of the keys.
      const sorted = (told: unknown[][]) => told.map((tell) => JSON.stringify(tell)).sort();
      assert.deepEqual(sorted(toldBy(kit)), sorted(expected));
      await kit.verifyReplay();
      await kit.close();
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 40) },
  );
});

test("an slo is 1 ms to the timeout, and its handler needs one", () => {
  const options = { input: Asked, output: Asked, timeout: "2s" };
  assert.throws(() => infer("fraud", { ...options, slo: "3s" }), /an slo is 1 ms to the timeout/);
  assert.throws(() => infer("fraud", { ...options, slo: 0 }), /an slo is 1 ms to the timeout/);
  const declare = () =>
    actor("asker", {
      in: { asked: stream("asked", { schema: Asked }) },
      effects: { score: infer("fraud", options) },
      on: { asked: () => {}, score: { done: () => {}, failed: () => {}, breached: () => {} } },
    });
  assert.throws(declare, /on.score.breached is never called/);
});
