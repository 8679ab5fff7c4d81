import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Actor, actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, outputsOf, ScriptLog, type Step, scriptedJob, timerRows } from "../support/scripted.ts";

const of = scriptedJob();

/** Everything that a handler can do, and then its end. */
const everything = (end: Step): Step[] => [
  { add: 7 },
  { say: "gone" },
  { arm: "tick", at: T0 + 50, id: "new" },
  { arm: "alarm", at: T0 + 50, id: "new" },
  { arm: "tick", at: T0 + 90, id: "moved" },
  { arm: "tick", at: T0 + 3, id: "moved" },
  { cancel: "tick", id: "kept" },
  { arm: "tick", at: T0 + 8, id: "kept" },
  { cancel: "tick", id: "kept" },
  end,
];
const ENDS: Readonly<Record<string, Step>> = {
  throws: { fail: "no" },
  quarantines: { quarantine: "no" },
  "returns a promise": { promise: true },
};

suite("a handler that", () => {
  const before: Step[] = [{ add: 1 }, { arm: "tick", at: T0 + 20, id: "kept" }, { arm: "tick", at: T0 + 30, id: "moved" }];
  const after = (log: ScriptLog) =>
    log
      .run([{ say: "total" }])
      .watermark(T0 + 100)
      .tick(100);

  for (const [name, end] of Object.entries(ENDS)) {
    test(`${name} leaves cells, timers and outputs as they were`, () => {
      const log = after(new ScriptLog().run(before).run(everything(end), { time: T0 }));
      const calm = after(new ScriptLog().run(before).run([{ add: 0 }], { time: T0 }));
      for (const [way, interruptions] of Object.entries({ undisturbed: {}, ...INTERRUPTED })) {
        const [disturbed, undisturbed] = [log, calm].map((one) =>
          outputsOf(one, of, interruptions)
            .filter(({ type }) => type.startsWith("script."))
            .map(({ data, position, time }) => [data, position, time]),
        );
        assert.deepEqual(disturbed, undisturbed, way);
      }
    });
  }

  test("throws on a key without state leaves none but the memory of the event", () => {
    const { meta, store } = foldHistory(new ScriptLog().run(everything({ fail: "no" })).history(of));
    assert.deepEqual([meta.keys, meta.timers, meta.outputs], [1, 0, 1]);
    assert.equal(timerRows(store), 0);
  });

  test("quarantines on a key without state leaves no row at all", () => {
    const { meta, store } = foldHistory(new ScriptLog().run(everything({ quarantine: "no" })).history(of));
    assert.deepEqual([meta.keys, meta.timers], [0, 0]);
    assert.equal(store.scan("a", "b", 10).length + store.scan("t", "u", 10).length, 0);
  });

  test("throws does not bring back the timers that its event set off", () => {
    const log = new ScriptLog()
      .run([{ arm: "tick", at: T0 }])
      .run([{ fail: "no" }], { time: T0 + 1 })
      .run([{ say: "next" }], { time: T0 + 2 });
    assert.deepEqual(
      outputsOf(log, of).map(({ type }) => type),
      ["script.fired", "tidemark.dead-letter", "script.said"],
    );
  });

  test("throws in one batch's middle leaves its neighbours alone", () => {
    const data = (steps: Step[], id: string) => ({ id, type: "script.run", data: { steps } });
    const log = new ScriptLog().batch([
      data([{ add: 1 }], "1"),
      data([{ add: 10 }, { fail: "no" }], "2"),
      data([{ add: 100 }, { say: "sum" }], "3"),
    ]);
    assert.equal(outputsOf(log, of).at(-1)?.data.total, 101);
  });
});

suite("a dead letter", () => {
  test("says what, where and by which code, and no more than the message of the error", () => {
    const [letter] = outputsOf(new ScriptLog().run([{ fail: "broken" }], { key: "käse" }), of);
    assert.deepEqual([letter?.type, letter?.subject, letter?.causeid, letter?.position], ["tidemark.dead-letter", "käse", "n1", "0:1.0"]);
    const { excerpt, ...data } = letter!.data;
    assert.deepEqual(data, {
      key: "käse",
      position: "0:1.0",
      jobVersion: 1,
      handler: "script.script.run",
      error: { name: "Error", message: "broken", code: "HANDLER_FAILED" },
      eventId: "n1",
    });
    assert.match(excerpt as string, /^\{"specversion"/);
  });

  test("holds at most 1,024 characters of a message", () => {
    const [letter] = outputsOf(new ScriptLog().run([{ fail: "🙂".repeat(5_000) }]), of);
    const { message } = letter!.data.error as { readonly message: string };
    assert.equal(message, "🙂".repeat(512));
  });

  const THROWN: Readonly<
    Record<string, readonly [() => never, { readonly name: string; readonly message: string; readonly code: string }]>
  > = {
    "an error with a code": [
      () => raise(Object.assign(new RangeError("m"), { code: "E_CODE" })),
      { name: "RangeError", message: "m", code: "E_CODE" },
    ],
    "an error with a code that is a number": [
      () => raise(Object.assign(new Error("m"), { code: 7 })),
      { name: "Error", message: "m", code: "HANDLER_FAILED" },
    ],
    "an error with an endless code": [
      () => raise(Object.assign(new Error("m"), { code: "x".repeat(65) })),
      { name: "Error", message: "m", code: "HANDLER_FAILED" },
    ],
    "a text": [() => raise("text"), { name: "string", message: "text", code: "HANDLER_FAILED" }],
    undefined: [() => raise(undefined), { name: "undefined", message: "undefined", code: "HANDLER_FAILED" }],
    "a symbol": [() => raise(Symbol("s")), { name: "symbol", message: "Symbol(s)", code: "HANDLER_FAILED" }],
    "an object without a prototype": [
      () => raise(Object.create(null)),
      { name: "object", message: "a value that cannot be printed", code: "HANDLER_FAILED" },
    ],
    "an error that throws when it is read": [
      () => raise(Object.defineProperty(new Error("m"), "message", { get: () => raise(new Error("again")) })),
      { name: "Error", message: "a value that cannot be printed", code: "HANDLER_FAILED" },
    ],
  };
  for (const [name, [thrower, error]] of Object.entries(THROWN)) {
    test(`is made of ${name}`, () => {
      const [letter] = readOutputs(foldHistory(new TestLog("free").event({ type: "go" }).history(jobOf(thrower))).outputs);
      assert.deepEqual(letter?.data.error, error);
    });
  }
});

function raise(thrown: unknown): never {
  throw thrown;
}

function jobOf(handler: () => unknown, more: readonly Actor[] = []): Job {
  const free = actor("free", { in: { go: stream("go", { schema: Type.Unknown() }) }, on: { go: () => void handler() } });
  return job("free", { log: "free", actors: [free, ...more] });
}

suite("a handler that is no plain function", () => {
  const asyncJob = (handler: (set: () => void) => unknown) => {
    const waits = actor("waits", {
      in: { go: stream("go", { schema: Type.Unknown() }) },
      state: { touched: value(Type.Boolean(), false) },
      on: { go: (ctx) => handler(() => ctx.state.touched.set(true)) as undefined },
    });
    return job("waits", { log: "waits", actors: [waits] });
  };
  const KINDS: Readonly<Record<string, (set: () => void) => unknown>> = {
    "an async function": async (set) => set(),
    "an async function that touches its context later": async (set) => {
      await null;
      set();
    },
    "a function that gives a rejected promise": () => Promise.reject(new Error("later")),
    // biome-ignore lint/suspicious/noThenProperty: what is thenable and no promise is the case at hand
    "a function that gives something thenable": () => ({ then() {} }),
  };
  for (const [name, handler] of Object.entries(KINDS)) {
    test(`${name} makes a dead letter, changes nothing, and ends nothing later`, async () => {
      const { outputs, store } = foldHistory(new TestLog("waits").event({ type: "go" }).history(asyncJob(handler)));
      assert.equal((readOutputs(outputs)[0]!.data.error as { code: string }).code, "ASYNC_HANDLER");
      const again = foldHistory(new TestLog("waits").event({ type: "go" }).history(asyncJob(() => new Promise(() => {}))));
      assert.deepEqual(store.scan("a", "b", 10), again.store.scan("a", "b", 10));
      // A rejection that nobody handles would end this process in the next turn.
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    });
  }
});

test("two actors of one event fail for themselves: the other's changes stay", () => {
  const fine = actor("fine", {
    in: { go: stream("go", { schema: Type.Unknown() }) },
    out: { done: output("fine.done", { schema: Type.Null() }) },
    timers: { t: timer("event") },
    on: { go: (ctx) => ctx.out.done(null), t() {} },
  });
  const log = new TestLog("free").event({ type: "go" }).event({ type: "go" });
  const { outputs, meta } = foldHistory(log.history(jobOf(() => raise(new Error("x")), [fine])));
  assert.deepEqual(
    readOutputs(outputs).map(({ type }) => type),
    ["tidemark.dead-letter", "fine.done"],
  );
  assert.deepEqual([meta.counts.in, meta.counts.deadLettered, meta.counts.duplicate], [2, 1, 1]);
});

test("what a failing event said is folded alike after a crash in its middle", () => {
  const log = new ScriptLog();
  for (let i = 0; i < 30; i++)
    log.run([{ arm: "tick", at: T0 + i, id: `${i % 4}` }, ...(i % 3 === 0 ? everything({ fail: "no" }) : [{ add: 1 }])], {
      time: T0 + i * 2,
    });
  for (const way of Object.values(INTERRUPTED))
    assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(foldHistory(log.history(of))));
});
