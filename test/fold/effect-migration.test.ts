import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import type { CallResult } from "../../actors/fold/result-entry.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { type Actor, actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { infer } from "../../actors/model/effect.ts";
import type { Job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { foldBuilds } from "../support/builds.ts";
import { asker, EffectLog, effectJob, failure, idOf, scored } from "../support/effect-script.ts";

const run = { run: stream("asker.run", { schema: Type.Unknown() }) };
const got = { got: output("asker.got", { schema: Type.Unknown() }) };
const jobOf = (...actors: Actor[]): Job => effectJob({ actors });
const before = jobOf(asker);

/** Asks with the old build at entry 2; what stands behind it is folded by the new one. */
function fold(after: Job, results: readonly CallResult[] = [scored(idOf(2), 7)]) {
  const folded = foldBuilds(
    new EffectLog()
      .run([{ ask: 7 }])
      .run([])
      .results(results),
    [before, before, after],
  );
  return { ...folded, waiting: [...waitingCalls(folded.store)].length };
}

suite("a build that finds calls of an earlier one", () => {
  test("with other cells brings the state to its own, and gives it the result", () => {
    const after = actor("asker", {
      version: 2,
      in: run,
      out: got,
      state: { seen: counter() },
      effects: {
        score: infer("newer", { input: Type.Object({ n: Type.Number() }), output: Type.Object({ score: Type.Number() }), timeout: "9s" }),
      },
      on: {
        run: ({ state }) => void state.seen.add(),
        score: { done: ({ out, state }, result, call) => out.got([result.score, call.input, state.seen.get()]), failed() {} },
      },
    });
    const { outputs, waiting, meta } = fold(jobOf(after));
    assert.deepEqual(
      outputs.map(({ data }) => data),
      [[7, { n: 7 }, 1]],
    );
    assert.deepEqual([waiting, meta.calls], [0, 0]);
  });

  const idle = actor("idle", { in: { other: stream("other", { schema: Type.Unknown() }) }, on: { other() {} } });
  const NOT_DECLARED: Readonly<Record<string, Job>> = {
    "that does not declare the effect any more": jobOf(actor("asker", { in: run, on: { run() {} } })),
    "that has not the actor any more": jobOf(actor("other", { in: run, on: { run() {} } }), idle),
  };
  for (const [name, after] of Object.entries(NOT_DECLARED)) {
    for (const [kind, result] of Object.entries({ success: scored(idOf(2), 7), failure: scored(idOf(2), 7, failure("DOWN")) })) {
      test(`${name} keeps the call until its result comes, a ${kind}, and drops both`, () => {
        const kept = fold(after, []);
        assert.deepEqual([kept.waiting, kept.meta.calls], [1, 1]);
        const { outputs, waiting, meta } = fold(after, [result]);
        assert.deepEqual([outputs, waiting, meta.calls, meta.counts.deadLettered], [[], 0, 0, 0]);
      });
    }
  }

  test("whose input does not fit the call makes a dead letter that a redrive can use", () => {
    const narrow = infer("fraud", { input: Type.Object({ n: Type.Integer({ maximum: 3 }) }), output: Type.Unknown(), timeout: "2s" });
    const after = actor("asker", { in: run, out: got, effects: { score: narrow }, on: { run() {}, score: { done() {}, failed() {} } } });
    const { outputs, waiting } = fold(jobOf(after));
    assert.equal((outputs[0]!.data.error as { code: string }).code, "STATE_MIGRATION");
    assert.deepEqual((outputs[0]!.data.call as { input: unknown }).input, { n: 7 });
    assert.equal(waiting, 0);
  });

  test("and goes back to the one that asked gives it the result all the same", () => {
    const log = new EffectLog()
      .run([{ ask: 7 }])
      .run([])
      .results([scored(idOf(2), 7)]);
    const { outputs } = foldBuilds(log, [before, before, NOT_DECLARED["that does not declare the effect any more"]!, before]);
    assert.equal(outputs[0]!.data.done, idOf(2));
  });
});
