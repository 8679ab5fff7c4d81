import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import meterJob, { meter } from "../../actors/meter/meter.ts";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { job as jobOf } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { type JobTest, type TestOptions, testJob } from "../../runtime/testing/testing.ts";
import job, { account } from "./apps/accounts.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300) / 6;
const tea = { amount: 3, shop: "tea" };

let calls = 0;
/** Counts in a module variable beside its state: what a crash of a process takes with it. */
const forgetful = actor("forgetful", {
  in: { call: stream("call", { schema: Type.Object({}) }) },
  out: { called: output("called", { schema: Type.Object({ calls: Type.Integer() }) }) },
  state: { calls: counter() },
  on: {
    call(ctx) {
      ctx.state.calls.add();
      ctx.out.called({ calls: ++calls });
    },
  },
});
const forgetting = jobOf("forgetting", { log: "forgetting", actors: [forgetful] });

suite("a crash", () => {
  test("loses what was not committed, and recovery folds it again to the same", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", tea);
    assert.equal(kit.actor(account, "ann")?.state.total, 3);
    await kit.send("paid", "ann", tea);
    await kit.send("paid", "ann", tea, { time: kit.now + 61_000 });
    const before = kit.outputs();
    assert.equal(before.length, 1);
    await kit.crash();
    assert.equal(kit.actor(account, "ann")?.state.total, 3, "what the last commit left");
    await kit.recover();
    assert.equal(kit.actor(account, "ann")?.state.total, 9);
    assert.deepEqual(kit.outputs(), before);
    assert.equal(kit.counts.applied, 3);
  });

  test("before the first commit leaves nothing but the log", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", tea);
    await kit.crash();
    assert.equal(kit.actor(account, "ann"), undefined);
    assert.equal(kit.counts.in, 0);
    await kit.recover();
    assert.equal(kit.actor(account, "ann")?.state.total, 3);
  });

  test("lets what is sent meanwhile wait, and time that passed is passed", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", tea);
    await kit.crash();
    await kit.send("paid", "bob", tea);
    await kit.advanceClock("1m");
    assert.deepEqual(kit.outputs(), []);
    await kit.recover();
    assert.equal(kit.actor(account, "bob")?.state.total, 3);
    assert.deepEqual(
      kit.outputs("quiet").map(({ key, data }) => [key, data.at]),
      [
        ["ann", kit.now],
        ["bob", kit.now],
      ],
    );
  });

  test("comes before a recovery, and only once", async () => {
    const kit = await testJob(job);
    const isState = (error: unknown): boolean => isTidemarkError(error, "TEST_STATE");
    await assert.rejects(kit.recover(), isState);
    await kit.crash();
    await assert.rejects(kit.crash(), isState);
    await assert.rejects(kit.verifyReplay(), isState);
    await kit.recover();
  });

  test("shows a handler that keeps something outside its state: the shard halts as in production", async () => {
    const kit = await testJob(forgetting);
    await kit.send("call", "k", {});
    await kit.crash();
    await assert.rejects(kit.recover(), (error: unknown) => isTidemarkError(error, "OUTPUT_DIVERGED"));
    await assert.rejects(kit.send("call", "k", {}), (error: unknown) => isTidemarkError(error, "OUTPUT_DIVERGED"), "and stays halted");
  });
});

const anAction = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("pay" as const),
      key: fc.constantFrom("ann", "bob", "c.d"),
      amount: fc.integer({ min: -1, max: 15 }),
      back: fc.integer({ min: -90_000, max: 90_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("batch" as const), amount: fc.integer({ min: 1, max: 14 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 9_000 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("mark" as const), ahead: fc.integer({ min: 0, max: 120_000 }) }) },
);
type Action = typeof anAction extends fc.Arbitrary<infer A> ? A : never;

async function act(kit: JobTest<typeof job>, action: Action): Promise<void> {
  if (action.do === "pay")
    await kit.send("paid", action.key, { amount: action.amount, shop: `s${action.amount % 3}` }, { time: kit.now + action.back });
  else if (action.do === "wait") await kit.advanceClock(action.ms);
  else if (action.do === "mark") await kit.advanceWatermark(kit.now + action.ahead);
  else
    await kit.sendBatch(
      ["ann", "bob", "ann"].map((key, i) => ({ stream: "paid", key, data: { amount: action.amount + i, shop: "batch" } })),
    );
}

/** All that a test can see. */
function seen(kit: JobTest<typeof job>): unknown {
  return {
    outputs: kit.outputs(),
    counts: kit.counts,
    watermark: kit.watermark,
    actors: ["ann", "bob", "c.d"].map((key) => kit.actor(account, key)),
  };
}

suite("a crash between every two units", () => {
  test("does not show, in whatever a test does", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anAction, { maxLength: 20 }), fc.constantFrom(1, 3), async (actions, partitions) => {
        const options: TestOptions = { partitions, onFailure: "dead-letter" };
        const undisturbed = await testJob(job, options);
        const crashed = await testJob(job, { ...options, crashBetweenEvents: true });
        for (const action of actions) {
          await act(undisturbed, action);
          await act(crashed, action);
        }
        assert.deepEqual(seen(crashed), seen(undisturbed));
      }),
      { numRuns: RUNS },
    );
  });

  test("does not show in the meter's days, timers and silences", async () => {
    const [undisturbed, crashed] = [await testJob(meterJob), await testJob(meterJob, { crashBetweenEvents: true })];
    for (const kit of [undisturbed, crashed]) {
      for (let i = 0; i < 60; i++) {
        await kit.send("reading", `d${i % 4}`, { deviceId: `d${i % 4}`, value: i / 4 });
        await kit.advanceClock("47m");
      }
    }
    assert.ok(undisturbed.outputs("dailyTotal").length > 0);
    assert.deepEqual(crashed.outputs(), undisturbed.outputs());
    assert.deepEqual(crashed.actor(meter, "d1"), undisturbed.actor(meter, "d1"));
  });

  test("shows a handler that keeps something outside its state", async () => {
    const kit = await testJob(forgetting, { crashBetweenEvents: true });
    const batch = [1, 2, 3].map(() => ({ stream: "call", key: "k", data: {} }) as const);
    await assert.rejects(kit.sendBatch(batch), (error: unknown) => isTidemarkError(error, "OUTPUT_DIVERGED"));
  });

  test("tells a handler's failure once", async () => {
    const kit = await testJob(job, { crashBetweenEvents: true });
    await kit.send("paid", "ann", tea);
    await assert.rejects(
      kit.sendBatch([
        { stream: "paid", key: "ann", data: tea },
        { stream: "paid", key: "ann", data: { amount: 0, shop: "tea" } },
        { stream: "paid", key: "ann", data: tea },
      ]),
      RangeError,
    );
    assert.equal(kit.actor(account, "ann")?.state.total, 9);
  });
});
