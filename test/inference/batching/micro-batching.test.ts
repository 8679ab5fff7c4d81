/** Single inputs in batches: what is run together, when, and that every input has exactly one answer. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { WAITING_MAX } from "../../../inference/batching/bounds.ts";
import { type BatchingLimits, MicroBatching } from "../../../inference/batching/micro-batching.ts";
import { failure, InferenceError, type InferenceFailureCode } from "../../../inference/failures.ts";
import type { ModelAnswer } from "../../../inference/inference.ts";
import { ManualClock } from "./manual-clock.ts";
import { ScriptedModel } from "./scripted-model.ts";

const NEVER = new AbortController().signal;
const FAR = 1_000_000;

function batching(limits: BatchingLimits = {}, model = new ScriptedModel()) {
  const clock = new ManualClock();
  const batches = new MicroBatching(model, limits, clock);
  const answers: unknown[] = [];
  const ask = (value: unknown, { deadline = FAR, signal = NEVER, alone = false } = {}) => {
    const n = answers.push(undefined) - 1;
    return batches.answer({ id: `${value}`, value }, deadline, signal, alone).then(
      (answer) => {
        answers[n] = saidOf(answer);
      },
      (error: Error) => {
        answers[n] = `fault: ${error.message}`;
      },
    );
  };
  return { clock, batches, model, answers, ask };
}

function saidOf(answer: ModelAnswer): unknown {
  return "failed" in answer ? answer.failed.code : answer.output;
}

const failed = (code: InferenceFailureCode) => new InferenceError(failure(code, "as the test says"));

suite("micro-batching", () => {
  test("inputs that come together run together, those that come meanwhile run next, up to the model's most", async () => {
    const { clock, model, ask, answers } = batching();
    ask(1);
    ask(2);
    await clock.turn();
    for (const value of [3, 4, 5, 6, 7]) ask(value);
    await clock.turn();
    assert.deepEqual(model.batches, [[1, 2]]);
    model.runs[0]!.end();
    await clock.turn();
    assert.deepEqual(model.batches.slice(1), [[3, 4, 5, 6]]);
    model.runs[1]!.end();
    await clock.turn();
    model.runs[2]!.end();
    await clock.turn();
    assert.deepEqual(model.batches.slice(2), [[7]]);
    assert.deepEqual(answers, [1, 2, 3, 4, 5, 6, 7]);
  });

  test("with a wait, an input that finds the model idle does not wait, and those behind it wait for each other", async () => {
    const { clock, model, ask } = batching({ waitMs: 10 });
    ask(1);
    await clock.turn();
    model.runs[0]!.end();
    await clock.advance(4);
    ask(2);
    await clock.advance(3);
    ask(3);
    await clock.advance(2);
    assert.deepEqual(model.batches, [[1]]);
    await clock.advance(1);
    assert.deepEqual(model.batches, [[1], [2, 3]]);
    model.runs[1]!.end();
    await clock.advance(11);
    ask(4);
    await clock.turn();
    assert.deepEqual(model.batches[2], [4]);
  });

  test("with a wait, an input whose deadline comes sooner does not wait", async () => {
    const { clock, model, ask } = batching({ waitMs: 10 });
    ask(0);
    await clock.turn();
    model.runs[0]!.end();
    await clock.turn();
    ask(1, { deadline: clock.now() + 12 });
    await clock.advance(1);
    assert.deepEqual(model.batches, [[0]]);
    await clock.advance(1);
    assert.deepEqual(model.batches, [[0], [1]]);
  });

  test("with a wait, a full batch does not wait", async () => {
    const { clock, model, ask } = batching({ waitMs: 10 });
    ask(0);
    await clock.turn();
    model.runs[0]!.end();
    await clock.turn();
    for (const value of [1, 2, 3, 4]) ask(value);
    await clock.turn();
    assert.deepEqual(model.batches, [[0], [1, 2, 3, 4]]);
  });

  test("several batches run at a time where the model has use for them", async () => {
    const { clock, model, ask } = batching({ concurrency: 2 });
    for (const value of [1, 2, 3, 4, 5, 6, 7, 8, 9]) ask(value);
    await clock.turn();
    assert.deepEqual(model.batches, [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    model.runs[1]!.end();
    await clock.turn();
    assert.deepEqual(model.batches[2], [9]);
  });

  test("an input that is to run alone has nothing beside it, before it or behind it", async () => {
    const { clock, model, ask } = batching({ concurrency: 3 });
    ask(1);
    ask("suspect", { alone: true });
    ask(2);
    await clock.turn();
    assert.deepEqual(model.batches, [[1]]);
    model.runs[0]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [[1], ["suspect"]]);
    model.runs[1]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [[1], ["suspect"], [2]]);
  });

  test("more inputs than may wait are refused, and those that wait are answered", async () => {
    const { clock, model, ask, answers } = batching({ waitingMax: 2 });
    ask(1);
    await clock.turn();
    for (const value of [2, 3, 4]) ask(value);
    await clock.turn();
    model.runs[0]!.end();
    await clock.turn();
    model.runs[1]!.end();
    await clock.turn();
    assert.deepEqual(answers, [1, 2, 3, "OVERLOADED"]);
  });

  test("an input whose deadline passed is not run", async () => {
    const { clock, model, ask, answers } = batching();
    ask("past", { deadline: 1_000 });
    ask(1);
    await clock.turn();
    ask("soon", { deadline: 1_020 });
    ask("later", { deadline: 1_100 });
    await clock.advance(20);
    assert.deepEqual(answers, ["TIMEOUT", undefined, "TIMEOUT", undefined]);
    model.runs[0]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [[1], ["later"]]);
  });

  test("a deadline that passed a moment ago is seen when its input would be run", async () => {
    const { clock, model, ask, answers } = batching();
    ask(1);
    await clock.turn();
    ask("a moment ago", { deadline: 1_002 });
    ask("later", { deadline: 1_100 });
    await clock.advance(3);
    model.runs[0]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [[1], ["later"]]);
    assert.deepEqual(answers, [1, "TIMEOUT", undefined]);
  });

  test("each deadline is kept, also those behind the first one", async () => {
    const { clock, ask, answers } = batching();
    for (const deadline of [1_100, 1_020, 1_500, 1_020]) ask(deadline, { deadline });
    await clock.advance(100);
    assert.deepEqual(answers, ["TIMEOUT", "TIMEOUT", undefined, "TIMEOUT"]);
    await clock.advance(400);
    assert.deepEqual(answers[2], "TIMEOUT");
  });

  test("a run of which every input is timed out or called off is called off, and others are not", async () => {
    const { clock, model, ask, answers } = batching();
    const abort = new AbortController();
    ask("a", { deadline: 1_050 });
    ask("b", { signal: abort.signal });
    await clock.turn();
    await clock.advance(50);
    assert.equal(model.runs[0]!.signal.aborted, false);
    abort.abort();
    assert.equal(model.runs[0]!.signal.aborted, true);
    model.runs[0]!.fail(new Error("aborted"));
    ask("c");
    await clock.turn();
    model.runs[1]!.end();
    await clock.turn();
    assert.deepEqual(answers, ["TIMEOUT", "TIMEOUT", "c"]);
  });

  test("an input that is called off while it waits is not run", async () => {
    const { clock, model, ask, answers } = batching();
    const abort = new AbortController();
    ask(1);
    await clock.turn();
    ask(2, { signal: abort.signal });
    ask(3);
    abort.abort();
    ask(4, { signal: abort.signal });
    model.runs[0]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [[1], [3]]);
    assert.deepEqual([answers[1], answers[3]], ["TIMEOUT", "TIMEOUT"]);
  });

  test("of a batch that failed as a whole each row is run once by itself, and only the bad one fails", async () => {
    const { clock, model, ask, answers, batches } = batching();
    for (const value of ["a", "poison", "c"]) ask(value);
    await clock.turn();
    model.runs[0]!.fail(failed("MODEL_FAILED"));
    await clock.turn();
    model.runs[1]!.end();
    await clock.turn();
    model.runs[2]!.fail(failed("OUT_OF_MEMORY"));
    await clock.turn();
    model.runs[3]!.end();
    await clock.turn();
    assert.deepEqual(model.batches, [["a", "poison", "c"], ["a"], ["poison"], ["c"]]);
    assert.deepEqual(answers, ["a", "OUT_OF_MEMORY", "c"]);
    assert.deepEqual(batches.figures, { batches: 1, rows: 3, singly: 3, waiting: 0, running: 0 });
  });

  test("a batch that failed for no fault of its rows, or has one row, is not run again", async () => {
    const { clock, model, ask, answers } = batching();
    ask("a");
    ask("b");
    await clock.turn();
    model.runs[0]!.fail(failed("CONNECTION_LOST"));
    ask("c");
    await clock.turn();
    model.runs[1]!.fail(failed("MODEL_FAILED"));
    await clock.turn();
    assert.deepEqual(answers, ["CONNECTION_LOST", "CONNECTION_LOST", "MODEL_FAILED"]);
    assert.equal(model.runs.length, 2);
  });

  test("a fault of Tidemark rejects those whom it concerns, and the next ones are answered", async () => {
    const { clock, model, ask, answers } = batching();
    ask(1);
    ask(2);
    await clock.turn();
    model.runs[0]!.answer([{ output: 1, units: 1 }]);
    await clock.turn();
    ask(3);
    await clock.turn();
    model.runs[1]!.end();
    await clock.turn();
    const fault = "fault: a model gave 1 answers to 2 inputs";
    assert.deepEqual(answers, [fault, fault, 3]);
  });

  test("closing takes no more, answers what came before, closes the model, and leaves no timer", async () => {
    const { clock, model, ask, answers, batches } = batching({ waitMs: 10 });
    ask(1);
    await clock.turn();
    ask(2);
    const closed = batches.close();
    ask(3);
    model.runs[0]!.end();
    await clock.advance(10);
    assert.equal(model.closed, false);
    model.runs[1]!.end();
    await clock.turn();
    await closed;
    assert.deepEqual(answers, [1, 2, "MODEL_UNKNOWN"]);
    assert.deepEqual([model.closed, clock.armed], [true, 0]);
  });

  test("limits out of bounds are refused", () => {
    for (const limits of [{ waitMs: -1 }, { waitMs: Number.NaN }, { waitingMax: 0 }, { waitingMax: WAITING_MAX + 1 }, { concurrency: 0 }]) {
      assert.throws(() => new MicroBatching(new ScriptedModel(), limits), RangeError);
    }
  });

  test("whatever comes, ends, fails, passes or is called off: each input is answered once, and in order", async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ ask: fc.integer({ min: 1, max: 60 }), alone: fc.boolean(), abortable: fc.boolean() }) },
      { weight: 4, arbitrary: fc.constant({ end: true }) },
      { weight: 1, arbitrary: fc.constantFrom({ fail: "MODEL_FAILED" as const }, { fail: "CONNECTION_LOST" as const }) },
      { weight: 2, arbitrary: fc.record({ pass: fc.integer({ min: 1, max: 30 }) }) },
      { weight: 1, arbitrary: fc.record({ abort: fc.nat() }) },
      { weight: 3, arbitrary: fc.constant({ turn: true }) },
    );
    const limits = fc.record({
      waitMs: fc.constantFrom(0, 7),
      waitingMax: fc.integer({ min: 1, max: 9 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(limits, fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 60 }), async (limit, batchMax, steps) => {
        const { clock, model, ask, answers, batches } = batching(limit, new ScriptedModel(batchMax));
        const aborts: AbortController[] = [];
        const settled: number[] = [];
        let ended = 0;
        let asked = 0;
        for (const step of steps) {
          if ("ask" in step) {
            const abort = new AbortController();
            aborts.push(abort);
            const n = asked;
            asked += 1;
            const signal = step.abortable ? abort.signal : NEVER;
            void ask(n, { deadline: clock.now() + step.ask, alone: step.alone, signal }).then(() => settled.push(n));
          } else if ("end" in step) model.runs[ended++]?.end();
          else if ("fail" in step) model.runs[ended++]?.fail(failed(step.fail));
          else if ("pass" in step) await clock.advance(step.pass);
          else if ("abort" in step) aborts[step.abort % Math.max(1, aborts.length)]?.abort();
          else await clock.turn();
          ended = Math.min(ended, model.runs.length);
        }
        // All that is left ends by itself.
        for (let left = 100; left > 0 && (settled.length < asked || batches.figures.running > 0); left -= 1) {
          while (ended < model.runs.length) model.runs[ended++]!.end();
          await clock.advance(1);
        }
        assert.deepEqual(
          [...settled].sort((a, b) => a - b),
          Array.from({ length: asked }, (_, n) => n),
        );
        assert.ok(!answers.includes(undefined));
        answers.forEach((answer, n) => {
          assert.ok(answer === n || typeof answer === "string", `${n}: ${answer}`);
        });
        const firsts = model.batches.map((values) => Number(values[0]));
        const isOrdered = model.batches.every((values) => values.every((value, i) => i === 0 || Number(values[i - 1]) < Number(value)));
        assert.ok(isOrdered && model.batches.every((values) => values.length <= batchMax), JSON.stringify(firsts));
        assert.deepEqual([batches.figures.waiting, batches.figures.running, clock.armed <= 1], [0, 0, true]);
      }),
    );
  });
});
