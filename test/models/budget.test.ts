/** Budgets of keys: what asking takes, what answers give back, and the windows that they count in. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { type EffectOptions, http, infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const Asked = Type.Object({ n: Type.Integer() });
const Told = Type.Object({ what: Type.String(), left: Type.Number() });

const writer = actor("writer", {
  in: { asked: stream("asked", { schema: Type.Object({ n: Type.Integer(), fails: Type.Optional(Type.Boolean()) }) }) },
  out: { told: output("told", { schema: Told }) },
  effects: {
    text: infer("text", { input: Asked, output: Asked, timeout: "24h", budget: { units: 20, per: "1h", reserve: 6 } }),
    look: http("https://look.example/v1", { input: Asked, output: Asked, timeout: "1m", budget: { units: 2, per: "1d", reserve: 1 } }),
    free: http("https://free.example/v1", { input: Asked, output: Asked, timeout: "1m" }),
  },
  on: {
    asked(ctx, { n, fails }) {
      const { text, look, free } = ctx.effects;
      if (n === 0) look({ n });
      else if (n === -1) ctx.out.told({ what: String(free.left()), left: 0 });
      else if (fails === true) {
        text({ n });
        throw new Error("the handler fails");
      } else if (text.left() < 6) {
        let code = "asked";
        try {
          text({ n });
        } catch (error) {
          code = (error as { code: string }).code;
        }
        ctx.out.told({ what: code, left: text.left() });
      } else {
        text({ n });
        ctx.out.told({ what: "asked", left: text.left() });
      }
    },
    text: {
      done: (ctx) => void ctx.out.told({ what: "done", left: ctx.effects.text.left() }),
      failed: (ctx) => void ctx.out.told({ what: "failed", left: ctx.effects.text.left() }),
    },
    look: { done: (ctx) => void ctx.out.told({ what: "done", left: ctx.effects.look.left() }), failed: () => {} },
    free: { done: () => {}, failed: () => {} },
  },
});
const writers = job("writers", { log: "writers", actors: [writer], outOfOrderness: 0 });

const START = Date.parse("2026-01-01T00:10:00Z");
const EVER = "0000-01-01T00:00:00Z";
type Kit = Awaited<ReturnType<typeof started>>;

async function started(crashBetweenEvents = false, challenged = false) {
  const kit = await testJob(writers, { start: START, onFailure: "dead-letter", crashBetweenEvents });
  const champion = { version: 1, sha256: "a".repeat(64) };
  const challenger = { version: 2, sha256: "b".repeat(64), share: 1 };
  const data = challenged ? { champion, challenger } : { champion };
  await kit.putReference("_models", "text", { version: 1, effectiveFrom: EVER, data });
  return kit;
}

const toldBy = (kit: Kit) => kit.outputs("told").map(({ data: { what, left } }) => [what, left]);

suite("a budget of a key", () => {
  test("is taken by asking, given back by what an answer has not cost, and whole by a failure", async () => {
    const kit = await started();
    for (const n of [1, 2, 3, 4]) await kit.send("asked", "ann", { n });
    assert.deepEqual(toldBy(kit), [
      ["asked", 14],
      ["asked", 8],
      ["asked", 2],
      ["BUDGET_EXCEEDED", 2],
    ]);
    await kit.send("asked", "bob", { n: 1 });
    const [first, second, third] = kit.calls(writer, "ann");
    await kit.reply(first!, { n: 1 }, { units: 1.5 });
    await kit.fail(second!, { code: "TIMEOUT", message: "no answer" });
    await kit.reply(third!, { n: 1 }, { units: 6 });
    assert.deepEqual(toldBy(kit).slice(4), [
      ["asked", 14],
      ["done", 6.5],
      ["failed", 12.5],
      ["done", 12.5],
    ]);
    assert.deepEqual(kit.deadLetters(), []);
    await kit.verifyReplay();
    await kit.close();
  });

  test("is whole again in the next window, and an answer to a call of the one before changes nothing", async () => {
    const kit = await started();
    for (const n of [1, 2, 3]) await kit.send("asked", "ann", { n });
    assert.deepEqual(
      kit.timers(writer, "ann").map(({ name, at, data }) => [name, at, data]),
      [["text.budget", Date.parse("2026-01-01T01:00:00Z"), { used: 0, reserved: 18 }]],
    );
    await kit.advanceClockTo("2026-01-01T01:00:00Z");
    assert.deepEqual(kit.timers(writer, "ann"), []);
    const [first, second] = kit.calls(writer, "ann");
    await kit.reply(first!, { n: 1 }, { units: 5 });
    await kit.send("asked", "ann", { n: 4 });
    await kit.reply(second!, { n: 1 }, { units: 5 });
    assert.deepEqual(toldBy(kit).slice(3), [
      ["done", 20],
      ["asked", 14],
      ["done", 14],
    ]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("is not taken by a handler that throws, by a challenger, or where there is none", async () => {
    const kit = await started(false, true);
    await kit.send("asked", "ann", { n: 1, fails: true });
    await kit.send("asked", "ann", { n: 2 });
    await kit.send("asked", "ann", { n: -1 });
    assert.deepEqual(toldBy(kit), [
      ["asked", 14],
      ["Infinity", 0],
    ]);
    const challenger = kit.calls(writer, "ann").find(({ model }) => model?.role === "challenger")!;
    await kit.reply(challenger, { n: 1 }, { units: 6 });
    const [champion] = kit.calls(writer, "ann");
    await kit.reply(champion!, { n: 1 }, { units: 1 });
    assert.deepEqual(toldBy(kit).at(-1), ["done", 19]);
    await kit.close();
  });

  test("throws what nobody catches into a dead letter; an answer that says no cost has what was reserved", async () => {
    const kit = await started();
    for (const _ of [1, 2, 3]) await kit.send("asked", "ann", { n: 0 });
    const { error } = kit.deadLetters()[0]!.data;
    assert.equal(error.code, "BUDGET_EXCEEDED");
    assert.match(error.message, /of 2 units 0 are left until 2026-01-02T00:00:00.000Z, and a call may cost 1/);
    await kit.reply(kit.calls(writer, "ann")[0]!, { n: 0 });
    assert.deepEqual(toldBy(kit), [["done", 0]]);
    await kit.close();
  });
});

type Step = { readonly ask: string } | { readonly wait: number } | { readonly answer: number; readonly units: number | "fails" };
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ ask: fc.constantFrom("a", "a", "b") }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.constantFrom(1, 600_000, 2_999_999, 3_000_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({ answer: fc.nat(5), units: fc.oneof(fc.integer({ min: 0, max: 7 }), fc.constant("fails" as const)) }),
  },
);

test("whatever is asked and answered, each key has what a count of its window leaves", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(aStep, { maxLength: 25 }), fc.boolean(), async (steps, crashes) => {
      const kit = await started(crashes);
      let spent = { a: { used: 0, reserved: 0 }, b: { used: 0, reserved: 0 } };
      let window = 0;
      let now = START;
      let waiting: { readonly key: "a" | "b"; readonly window: number }[] = [];
      const expected: unknown[][] = [];
      const left = (key: "a" | "b") => Math.max(0, 20 - spent[key].used - spent[key].reserved);
      for (const step of steps) {
        if ("wait" in step) {
          now += step.wait;
          await kit.advanceClock(step.wait);
          if (Math.floor(now / 3_600_000) === window) continue;
          window = Math.floor(now / 3_600_000);
          spent = { a: { used: 0, reserved: 0 }, b: { used: 0, reserved: 0 } };
        } else if ("ask" in step) {
          const key = step.ask as "a" | "b";
          window = Math.floor(now / 3_600_000);
          await kit.send("asked", key, { n: 1 });
          const may = left(key) >= 6;
          if (may) waiting.push({ key, window });
          if (may) spent[key].reserved += 6;
          expected.push([may ? "asked" : "BUDGET_EXCEEDED", left(key)]);
        } else {
          const call = waiting[step.answer];
          if (call === undefined) continue;
          const { key } = call;
          const asked = kit.calls(writer)[step.answer]!;
          if (step.units === "fails") await kit.fail(asked, { code: "DOWN", message: "no" });
          else await kit.reply(asked, { n: 1 }, { units: step.units });
          waiting = waiting.filter((other) => other !== call);
          if (call.window === Math.floor(now / 3_600_000)) {
            spent[key].reserved -= 6;
            spent[key].used += step.units === "fails" ? 0 : step.units;
          }
          expected.push([step.units === "fails" ? "failed" : "done", left(key)]);
        }
      }
      assert.deepEqual(toldBy(kit), expected);
      await kit.verifyReplay();
      await kit.close();
    }),
    { numRuns: Number(process.env.PROPERTY_RUNS ?? 40) },
  );
});

test("a budget that makes no sense is refused", () => {
  const declare = (budget: NonNullable<EffectOptions<typeof Asked, typeof Asked>["budget"]>) => () =>
    infer("text", { input: Asked, output: Asked, timeout: "1s", budget });
  assert.throws(declare({ units: 5, per: "1d", reserve: 6 }), /budget.units is a whole number from budget.reserve/);
  assert.throws(declare({ units: 5, per: "1d", reserve: 0.5 }), /budget.reserve is a whole number/);
  assert.throws(declare({ units: 5, per: 10, reserve: 1 }), /budget.per is 1 s to 31 d/);
});
