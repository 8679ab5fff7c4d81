import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import * as bound from "../../actors/fold/bounds.ts";
import { actor, type Context, timer } from "../../actors/model/actor.ts";
import { type Value, value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { INSTANT_MAX, INSTANT_MIN } from "../../actors/model/time.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";

type Ctx = Context<
  { any: Value<unknown>; text: Value<string | undefined>; whole: Value<number | undefined> },
  { free: unknown; strict: { a: number } },
  { t: unknown; p: { n: number } }
>;

/** One event, whose handler is the one under test. */
function fold(handler: (ctx: Ctx) => unknown, log = new TestLog("bounds").event({ type: "go" })): Folded {
  const under = actor("bounds", {
    in: { go: stream("go", { schema: Type.Unknown() }) },
    out: { free: output("free", { schema: Type.Unknown() }), strict: output("strict", { schema: Type.Object({ a: Type.Number() }) }) },
    state: { any: value(Type.Unknown()), text: value(Type.String()), whole: value(Type.Integer()) },
    timers: { t: timer("event", Type.Unknown()), p: timer("processing", Type.Object({ n: Type.Number() })) },
    on: { go: (ctx) => handler(ctx as unknown as Ctx) as undefined, t() {}, p() {} },
  });
  return foldHistory(log.history(job("bounds", { log: "bounds", actors: [under] })));
}

/** What became of the event: `done`, or the code of its dead letter. */
function outcome(handler: (ctx: Ctx) => unknown): string {
  const { outputs } = fold(handler);
  for (const { payload } of outputs) assert(payload.length < 1024 * 1024, `an output of ${payload.length} bytes`);
  const letter = readOutputs(outputs).find(({ type }) => type === "tidemark.dead-letter");
  return letter === undefined ? "done" : (letter.data.error as { readonly code: string }).code;
}

const times = (count: number, act: (i: number) => void): void => {
  for (let i = 0; i < count; i++) act(i);
};
const nested = (levels: number): unknown => {
  let inner: unknown = 1;
  times(levels, () => {
    inner = [inner];
  });
  return inner;
};

/** What may just be, what may not any more, and the code that it gets. */
const BOUNDS: Readonly<Record<string, readonly [(ctx: Ctx) => unknown, (ctx: Ctx) => unknown, string]>> = {
  "outputs of one call": [
    (ctx) => times(bound.UNIT_OUTPUTS_MAX, (i) => ctx.out.free(i)),
    (ctx) => times(bound.UNIT_OUTPUTS_MAX + 1, (i) => ctx.out.free(i)),
    "TOO_MANY_OUTPUTS",
  ],
  "text of one output": [
    (ctx) => ctx.out.free("€".repeat(bound.OUTPUT_DATA_MAX_CHARS - 2)),
    (ctx) => ctx.out.free("€".repeat(bound.OUTPUT_DATA_MAX_CHARS - 1)),
    "OUTPUT_TOO_LARGE",
  ],
  "text of one call's outputs": [
    (ctx) => times(4, () => ctx.out.free("x".repeat(bound.OUTPUT_DATA_MAX_CHARS - 2))),
    (ctx) => times(5, () => ctx.out.free("x".repeat(bound.OUTPUT_DATA_MAX_CHARS - 2))),
    "TOO_MANY_OUTPUTS",
  ],
  "an idempotency key": [
    (ctx) => ctx.out.free(1, { idempotencyKey: "\ud800".repeat(bound.IDEMPOTENCY_KEY_MAX_CHARS) }),
    (ctx) => ctx.out.free(1, { idempotencyKey: "x".repeat(bound.IDEMPOTENCY_KEY_MAX_CHARS + 1) }),
    "IDEMPOTENCY_KEY",
  ],
  "a cell": [
    (ctx) => ctx.state.text.set("x".repeat(bound.CELL_MAX_BYTES - 2)),
    (ctx) => ctx.state.text.set("x".repeat(bound.CELL_MAX_BYTES - 1)),
    "STATE_TOO_LARGE",
  ],
  "a cell of many small parts": [
    (ctx) => ctx.state.any.set(Array(20_000).fill(0)),
    (ctx) => ctx.state.any.set(Array(30_000).fill(0)),
    "STATE_TOO_LARGE",
  ],
  "a cell's nesting": [(ctx) => ctx.state.any.set(nested(64) as object), (ctx) => ctx.state.any.set(nested(65) as object), "STATE_SHAPE"],
  "a timer's data": [
    (ctx) => ctx.timers.t.at(T0, "x".repeat(bound.CELL_MAX_BYTES - 2)),
    (ctx) => ctx.timers.t.at(T0, "x".repeat(bound.CELL_MAX_BYTES - 1)),
    "STATE_TOO_LARGE",
  ],
  "a timer's id": [
    (ctx) => ctx.timers.t.at(T0, 1, "x".repeat(bound.TIMER_ID_MAX_BYTES)),
    (ctx) => ctx.timers.t.at(T0, 1, "x".repeat(bound.TIMER_ID_MAX_BYTES + 1)),
    "TIMER_ID",
  ],
  "timers of one actor": [
    (ctx) => times(bound.TIMERS_MAX, (i) => ctx.timers.t.at(T0 + i, null, `t${i}`)),
    (ctx) => times(bound.TIMERS_MAX + 1, (i) => ctx.timers.t.at(T0 + i, null, `t${i}`)),
    "TOO_MANY_TIMERS",
  ],
  "the first instant": [(ctx) => ctx.timers.t.at(INSTANT_MIN, 1), (ctx) => ctx.timers.t.at(INSTANT_MIN - 1, 1), "BAD_TIME"],
  "the last instant": [(ctx) => ctx.out.free(1, { time: INSTANT_MAX }), (ctx) => ctx.out.free(1, { time: INSTANT_MAX + 1 }), "BAD_TIME"],
};

suite("a bound", () => {
  for (const [name, [atIt, beyond, code]] of Object.entries(BOUNDS)) {
    test(`${name}: reached it is kept, passed it throws ${code}`, () => {
      assert.deepEqual([outcome(atIt), outcome(beyond)], ["done", code]);
    });
  }
});

const circular: Record<string, unknown> = {};
circular.self = circular;

const REFUSED: Readonly<Record<string, readonly [(ctx: Ctx) => unknown, string]>> = {
  "an output of another shape": [(ctx) => ctx.out.strict({ a: "1" } as never), "OUTPUT_SCHEMA"],
  "an output of no value": [(ctx) => ctx.out.free(undefined), "OUTPUT_SCHEMA"],
  "a circular output": [(ctx) => ctx.out.free(circular), "HANDLER_FAILED"],
  "an output with a big integer": [(ctx) => ctx.out.free(1n), "HANDLER_FAILED"],
  "an output at half a millisecond": [(ctx) => ctx.out.free(1, { time: 0.5 }), "BAD_TIME"],
  "an idempotency key that is a number": [(ctx) => ctx.out.free(1, { idempotencyKey: 5 as never }), "IDEMPOTENCY_KEY"],
  "a timer at no time": [(ctx) => ctx.timers.t.at(Number.NaN, 1), "BAD_TIME"],
  "a timer at a Date": [(ctx) => ctx.timers.t.at(new Date(0) as never, 1), "BAD_TIME"],
  "a timer with other data than it declares": [(ctx) => ctx.timers.p.at(T0, { n: "1" } as never), "TIMER_SCHEMA"],
  "a timer's id with a lone surrogate": [(ctx) => ctx.timers.t.at(T0, 1, "\udc00"), "TIMER_ID"],
  "a cell of another kind": [(ctx) => ctx.state.text.set(5 as never), "STATE_SHAPE"],
  "a cell set to nothing": [(ctx) => ctx.state.any.set(undefined as never), "STATE_SHAPE"],
  "a cell set to NaN": [(ctx) => ctx.state.whole.set(Number.NaN), "STATE_SHAPE"],
  "a cell set to infinity": [(ctx) => ctx.state.any.set(Number.POSITIVE_INFINITY), "STATE_SHAPE"],
  "a cell with a lone surrogate": [(ctx) => ctx.state.text.set("\ud800"), "STATE_SHAPE"],
  "a cell with a Date": [(ctx) => ctx.state.any.set({ at: new Date(0) }), "STATE_SHAPE"],
  "a cell with a Map": [(ctx) => ctx.state.any.set(new Map()), "STATE_SHAPE"],
  "a cell with a function": [(ctx) => ctx.state.any.set(() => 1), "STATE_SHAPE"],
  "a cell with bytes": [(ctx) => ctx.state.any.set(new Uint8Array(3)), "STATE_SHAPE"],
  "a cell with a big integer": [(ctx) => ctx.state.any.set(1n), "STATE_SHAPE"],
  "a cell with a field called __proto__": [(ctx) => ctx.state.any.set(JSON.parse('{"__proto__":1}')), "STATE_SHAPE"],
  "a circular cell": [(ctx) => ctx.state.any.set(circular), "STATE_SHAPE"],
  "a quarantine code of no form": [(ctx) => ctx.quarantine("No Code"), "BAD_CODE"],
  "a change of what get gave": [
    (ctx) => {
      ctx.state.any.set({ list: [1] });
      (ctx.state.any.get() as { list: number[] }).list.push(2);
    },
    "HANDLER_FAILED",
  ],
};

suite("refused with a code, and rolled back", () => {
  for (const [name, [handler, code]] of Object.entries(REFUSED)) test(name, () => assert.equal(outcome(handler), code));
});

suite("a cell", () => {
  test("holds null as a value, and its initial value again after delete", () => {
    const seen: unknown[] = [];
    fold((ctx) => {
      seen.push(ctx.state.any.get());
      ctx.state.any.set(null as never);
      seen.push(ctx.state.any.get());
      ctx.state.any.delete();
      seen.push(ctx.state.any.get());
    });
    assert.deepEqual(seen, [undefined, null, undefined]);
  });

  test("set to the last of two values of one call keeps the last, and frees what it held", () => {
    const given = { list: [1, 2] };
    let kept: unknown;
    fold((ctx) => {
      ctx.state.any.set(given);
      given.list.push(3);
      kept = ctx.state.any.get();
    });
    assert.deepEqual(kept, { list: [1, 2] });
  });
});

test("ten thousand timers armed and cancelled in one call leave none, and keep memory bounded", () => {
  const before = process.memoryUsage().heapTotal;
  const { meta } = fold((ctx) => {
    times(bound.TIMERS_MAX, (i) => ctx.timers.t.at(T0 + i, null, `t${i}`));
    times(bound.TIMERS_MAX, (i) => ctx.timers.t.cancel(`t${i}`));
  });
  assert.equal(meta.timers, 0);
  assert(process.memoryUsage().heapTotal - before < 400 * 1024 * 1024);
});

suite("a context after its handler", () => {
  test("refuses everything", async () => {
    let kept: Ctx | undefined;
    fold((ctx) => {
      kept = ctx;
    });
    const uses: ((ctx: Ctx) => unknown)[] = [
      (ctx) => ctx.key,
      (ctx) => ctx.now,
      (ctx) => ctx.watermark,
      (ctx) => ctx.processingTime,
      (ctx) => ctx.position,
      (ctx) => ctx.state.any.get(),
      (ctx) => ctx.state.any.set(1),
      (ctx) => ctx.state.any.delete(),
      (ctx) => ctx.state.any.update(() => 1),
      (ctx) => ctx.out.free(1),
      (ctx) => ctx.timers.t.at(T0, 1),
      (ctx) => ctx.timers.t.cancel(),
      (ctx) => ctx.timers.t.time(),
      (ctx) => ctx.random(),
      (ctx) => ctx.uuid(),
      (ctx) => ctx.quarantine("x"),
    ];
    for (const use of uses) assert.throws(() => use(kept!), { code: "OUTSIDE_HANDLER" });
  });

  test("its handles refuse too, also after a handler that threw", () => {
    let get: (() => unknown) | undefined;
    fold((ctx) => {
      const cell = ctx.state.any;
      get = () => cell.get();
      throw new Error("x");
    });
    assert.throws(() => get!(), { code: "OUTSIDE_HANDLER" });
  });
});

suite("chance", () => {
  const drawn = (log: TestLog) => {
    const draws: unknown[] = [];
    fold((ctx) => draws.push([ctx.random(), ctx.uuid(), ctx.random(), ctx.uuid()]), log);
    return draws;
  };

  test("is the same each time that an entry is folded, and another for another entry or key", () => {
    const log = () =>
      new TestLog("bounds").event({ id: "1", type: "go" }).event({ id: "2", type: "go" }).event({ id: "1", type: "go", key: "d2" });
    const first = drawn(log());
    assert.deepEqual(drawn(log()), first);
    assert.equal(new Set(first.flatMap((draws) => draws as unknown[])).size, 12);
  });

  test("gives version 4 UUIDs and numbers from 0 to below 1", () => {
    const log = new TestLog("bounds");
    for (let i = 0; i < 200; i++) log.event({ id: String(i), type: "go" });
    for (const [number, uuid] of drawn(log) as [number, string][]) {
      assert(number >= 0 && number < 1);
      assert.match(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });
});
