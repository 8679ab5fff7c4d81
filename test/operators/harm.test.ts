/** What would do harm to an operator, or through it: it is refused, or bounded, and nothing else is lost. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Actor, actor } from "../../actors/model/actor.ts";
import type { Cell } from "../../actors/model/cell.ts";
import { value } from "../../actors/model/cells/value.ts";
import { flow } from "../../actors/model/flow/flow.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { intervalJoin } from "../../actors/model/operators/joins/interval-join.ts";
import { temporalJoin } from "../../actors/model/operators/joins/temporal-join.ts";
import { ordered } from "../../actors/model/operators/ordered.ts";
import { collect } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { count } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { reducer } from "../../actors/model/operators/windows/aggregates/reducer.ts";
import { topK } from "../../actors/model/operators/windows/aggregates/top-k.ts";
import { countWindow } from "../../actors/model/operators/windows/count-window.ts";
import { globalWindow } from "../../actors/model/operators/windows/global-window.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { sliding, tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { repartition } from "../../actors/model/repartition.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { foldHandOver, handOver } from "../support/builds.ts";
import { readOutputs, TestLog } from "../support/entries.ts";

const NOON = Date.UTC(2026, 0, 15, 12);
const Any = Type.Unknown();
const put = stream("put", { schema: Any });
type Ctx = {
  readonly state: Record<string, { add(element: unknown, options?: object): void }>;
  readonly out: { told(data: unknown): void };
  readonly now: number;
};

/** `on`: what is done with an event, and by the cells' names with what they fire. */
function jobOf(
  state: Record<string, Cell<never>>,
  on: Record<string, (ctx: Ctx, given: never) => void>,
  allowedLateness: string | number = 0,
): Job {
  const tested = actor("tested", {
    in: { put },
    out: { told: output("told", { schema: Any }) },
    state: state as Record<string, Cell<unknown>>,
    on: on as never,
  }) as Actor;
  return job("harm", { log: "harm", actors: [tested], outOfOrderness: 0, allowedLateness, dedupeHorizon: "7d" });
}

async function started(of: Job) {
  const kit = await testJob(of, { start: NOON, onFailure: "dead-letter" });
  let number = 0;
  return {
    kit,
    send: (data: unknown, time = 0) => kit.send("put" as never, "k", data as never, { time: NOON + time, id: `e${++number}` }),
    told: () => (kit.outputs("told" as never) as unknown as { data: unknown }[]).map(({ data }) => data),
    codes: () => kit.deadLetters().map(({ data }) => data.error.code),
  };
}

suite("a time that is no instant", () => {
  const OPERATORS: Readonly<Record<string, Cell<never>>> = {
    tumbling: tumbling(1, { n: count() }) as Cell<never>,
    session: session(5, { n: count() }) as Cell<never>,
    countWindow: countWindow(2, { n: count() }) as Cell<never>,
    globalWindow: globalWindow({ n: count() }) as Cell<never>,
    ordered: ordered(Any) as Cell<never>,
  };
  for (const [name, cell] of Object.entries(OPERATORS)) {
    test(`is refused by ${name}`, async () => {
      const of = jobOf({ w: cell }, { put: (ctx, { time }: { time: number }) => ctx.state.w!.add({}, { time }), w() {} });
      const { send, codes, kit } = await started(of);
      for (const time of [-1e17, 2 ** 53, 0.5]) await send({ time });
      assert.deepEqual(codes(), ["BAD_TIME", "BAD_TIME", "BAD_TIME"]);
      await kit.close();
    });
  }
});

test("operators that fire each other end at a bound, not at the size of a stack", async () => {
  const of = jobOf(
    { a: countWindow(1, { n: count() }) as Cell<never>, b: countWindow(1, { n: count() }) as Cell<never> },
    { put: (ctx) => ctx.state.a!.add(1), a: (ctx) => ctx.state.b!.add(1), b: (ctx) => ctx.state.a!.add(1) },
  );
  const { send, codes } = await started(of);
  await send({});
  assert.deepEqual(codes(), ["OPERATOR_DEPTH"]);
});

test("a group that is too long as written is refused with its event, and the others are told", async () => {
  const of = jobOf(
    { w: tumbling(10, { n: count() }, { by: (by: string) => by }) as Cell<never> },
    { put: (ctx, by: string) => ctx.state.w!.add(by), w: (ctx, { by, n }: { by: string; n: number }) => ctx.out.told([by, n]) },
  );
  const { kit, send, told, codes } = await started(of);
  await send("€".repeat(100));
  await send("€");
  await kit.advanceWatermark(NOON + 10);
  assert.deepEqual([codes(), told()], [["WINDOW_GROUP"], [["€", 1]]]);
});

test("groups of count and global windows are bounded", async () => {
  const by = (group: string): string => group;
  const of = jobOf(
    { c: countWindow(2, { n: count() }, { by }) as Cell<never>, g: globalWindow({ n: count() }, { by }) as Cell<never> },
    { put: (ctx, { cell, group }: { cell: string; group: string }) => ctx.state[cell]!.add(group) },
  );
  const { kit, codes } = await started(of);
  for (const cell of ["c", "g"]) {
    const batch = Array.from({ length: 501 }, (_, i) => ({ stream: "put", key: "k", data: { cell, group: `g${i}` }, id: `${cell}${i}` }));
    await kit.sendBatch(batch as never);
  }
  assert.deepEqual(codes(), ["WINDOW_GROUPS", "WINDOW_GROUPS"]);
});

test("a handler of one group may add to another that is due too", async () => {
  const of = jobOf(
    { all: globalWindow({ n: count() }, { every: 10, by: (by: string) => by }) as Cell<never> },
    {
      put: (ctx, by: string) => ctx.state.all!.add(by),
      all(ctx, { by, n }: { by: string; n: number }) {
        ctx.out.told([by, n]);
        if (by === "a") ctx.state.all!.add("b");
      },
    },
  );
  const { kit, send, told } = await started(of);
  for (const by of ["a", "b"]) await send(by);
  await kit.advanceWatermark(NOON + 10);
  assert.deepEqual(told(), [
    ["a", 1],
    ["b", 2],
  ]);
});

test("a session's handler may clear it, also behind its end", async () => {
  const of = jobOf(
    { s: session(5, { n: count() }) as Cell<never> },
    {
      put: (ctx) => ctx.state.s!.add(1),
      s(ctx, { n }: { n: number }) {
        ctx.out.told(n);
        (ctx.state.s as unknown as { clear(): void }).clear();
      },
    },
    100,
  );
  const { kit, send, told, codes } = await started(of);
  await kit.advanceWatermark(NOON + 50);
  await send({}, 1);
  assert.deepEqual([told(), codes()], [[1], []]);
});

test("an aggregate that throws when panes are put together costs its window, not those behind it", async () => {
  const broken = reducer({
    schema: Type.Integer(),
    add: (n = 0, _one: unknown) => n + 1,
    merge: (): number => {
      throw new Error("cannot merge");
    },
    result: (n) => n,
  });
  const of = jobOf(
    { w: sliding(10, 5, { n: broken }) as Cell<never> },
    { put: (ctx) => ctx.state.w!.add(1), w: (ctx, { start, n }: { start: number; n: number }) => ctx.out.told([start - NOON, n]) },
  );
  const { kit, send, told } = await started(of);
  for (const time of [1, 6, 26]) await send({}, time);
  await kit.advanceWatermark(NOON + 100);
  assert.deepEqual(told(), [
    [-5, 1],
    [5, 1],
    [20, 1],
    [25, 1],
  ]);
  assert.deepEqual(kit.actor(of.actors[0]! as never, "k"), undefined);
});

test("an element that waits cannot be changed by a handler", async () => {
  const Side = Type.Object({ n: Type.Number() });
  const of = jobOf(
    { j: intervalJoin({ left: Side, right: Side, before: 10, after: 10 }) as Cell<never> },
    {
      put(ctx, side: string) {
        const join = ctx.state.j as unknown as { addLeft(e: object): void; addRight(e: object): void };
        if (side === "left") join.addLeft({ n: 1 });
        else join.addRight({ n: 1 });
      },
      j(_ctx, { right }: { right: { n: number } }) {
        right.n = 99;
      },
    },
    100,
  );
  const { send, kit } = await started(of);
  for (const side of ["left", "right"]) await send(side);
  assert.match(kit.deadLetters()[0]!.data.error.message, /read only|readonly|Cannot assign/);
});

test("a temporal join keeps what a waiting element needs, whatever is set meanwhile", async () => {
  const of = jobOf(
    { t: temporalJoin({ stream: Any, table: Type.Object({ rate: Type.Number() }), type: "left" }) as Cell<never> },
    {
      put(ctx, what: { rate?: number; from?: number }) {
        const join = ctx.state.t as unknown as { add(e: unknown): void; set(row: object, options?: object): void };
        if (what.rate === undefined) join.add(ctx.now);
        else join.set({ rate: what.rate }, what.from === undefined ? {} : { from: NOON + what.from });
      },
      t: (ctx, { row }: { row?: { rate: number } }) => ctx.out.told(row?.rate ?? null),
    },
  );
  const { kit, send, told } = await started(of);
  await send({ rate: 1 }, 0);
  await send({}, 10);
  await send({ rate: 2, from: 5 }, 10);
  await kit.advanceWatermark(NOON + 1_000);
  assert.deepEqual(told(), [2]);
});

test("the most frequent values of two parts, each at its bound, are too high by no more than they say", () => {
  const aggregate = topK(1, (word: string) => word, { max: 2 });
  const part = (words: string) => {
    let known: ReturnType<typeof aggregate.add> | undefined;
    for (const word of words) known = aggregate.add(known, word, 0);
    return known!;
  };
  const all = aggregate.merge(part("xxxxxy"), part("xppqqqq"));
  for (const { value, count: counted, error } of aggregate.result(all)) {
    const exact = [..."xxxxxyxppqqqq"].filter((word) => word === value).length;
    assert(counted >= exact && counted - error <= exact, `${value}: ${counted} - ${error}, ${exact}`);
  }
});

suite("a flow", () => {
  const sale = stream("sale", { schema: Type.Object({ shop: Type.String(), till: Type.String() }) });
  const told = output("told", { schema: Any });
  test("refuses two keys for one stream in one log", () => {
    assert.throws(
      () =>
        flow("f", { log: "src" }, ({ from }) => {
          from(sale)
            .keyBy("x", sale, ({ shop }) => shop)
            .to(told as never);
          from(sale)
            .keyBy("x", sale, ({ till }) => till)
            .to(told as never);
        }),
      /two keyBy bring sale to the log "x"/,
    );
  });

  test("refuses to lead back to where it began", () => {
    assert.throws(
      () =>
        flow("f", { log: "src" }, ({ from }) =>
          from(sale)
            .keyBy("x", sale, ({ shop }) => shop)
            .keyBy("src", sale, ({ till }) => till)
            .to(told as never),
        ),
      /leads back/,
    );
  });
});

test("a window under another name goes on where it was", async () => {
  const build = (name: string, more: object): Job => {
    const tested = actor("tested", {
      ...more,
      in: { put },
      out: { told: output("told", { schema: Any }) },
      state: { [name]: tumbling(10, { all: collect((one: unknown) => one) }) as Cell<unknown> },
      on: {
        put: (ctx: Ctx, given: unknown) => ctx.state[name]!.add(given),
        [name]: (ctx: Ctx, { all }: { all: unknown[] }) => ctx.out.told(all),
      } as never,
    }) as Actor;
    return job("harm", { log: "harm", actors: [tested], outOfOrderness: 0, allowedLateness: 100 });
  };
  const log = new TestLog("harm", NOON + 1_000);
  log.event({ id: "1", type: "put", key: "k", time: NOON + 1, data: "first" });
  const before = build("w", {});
  const after = build("fresh", { version: 2, migrate: { 2: ({ w }: { w?: unknown }) => ({ fresh: w }) } });
  handOver(log, before, after);
  const at = log.entries.length;
  log.event({ id: "2", type: "put", key: "k", time: NOON + 2, data: "second" }).watermark(NOON + 10);
  const { outputs } = foldHandOver(log, before, after, at);
  assert.deepEqual(
    readOutputs(outputs).map(({ data }) => data),
    [["first", "second"]],
  );
});

test("a window that a build hears for the first time is told at its end", () => {
  const build = (heard: boolean): Job => {
    const on = { put: (ctx: Ctx) => ctx.state.w!.add(1), ...(heard ? { w: (ctx: Ctx, { n }: { n: number }) => ctx.out.told(n) } : {}) };
    return jobOf({ w: tumbling(10, { n: count() }) as Cell<never> }, on, 100);
  };
  const log = new TestLog("harm", NOON + 1_000);
  const [before, after] = [build(false), build(true)];
  log.event({ id: "1", type: "put", key: "k", time: NOON + 1, data: {} });
  handOver(log, before, after);
  const at = log.entries.length;
  log.event({ id: "2", type: "put", key: "k", time: NOON + 2, data: {} }).watermark(NOON + 10);
  assert.deepEqual(
    readOutputs(foldHandOver(log, before, after, at).outputs).map(({ data }) => data),
    [2],
  );
});

test("a query reads a window of processing time as of the log's clock", async () => {
  const tested = actor("tested", {
    in: { put },
    state: { w: tumbling("5m", { n: count() }, { clock: "processing" }) },
    on: { put: ({ state }) => state.w.add({}) },
    queries: { now: ({ state }) => state.w.current()?.n ?? "nothing" },
  });
  await using kit = await testJob(job("harm", { log: "harm", actors: [tested] }), { start: NOON });
  await kit.send("put", "k", {}, { time: NOON - 3_600_000 });
  assert.equal(kit.query(tested, "k", "now"), 1);
});

test("a handler by processing time may keep something for a while though no clock of event time is known yet", async () => {
  const tested = actor("tested", {
    in: { put },
    out: { told: output("told", { schema: Any }) },
    state: { w: tumbling("1m", { n: count() }, { clock: "processing", late: "side-output" }), kept: value(Type.Integer()).ttl("1h") },
    on: {
      put: ({ state }) => state.w.add({}),
      w(ctx, { n }) {
        ctx.state.kept.set(n);
        ctx.out.told([n, ctx.watermark ?? null]);
      },
    },
  });
  const key = (event: { readonly key: string }): string => event.key;
  const from = [repartition("a", { streams: [put], key }), repartition("b", { streams: [put], key })];
  await using kit = await testJob(job("harm", { log: "harm", from, actors: [tested], outOfOrderness: 0, idle: "hold" }), { start: NOON });
  await kit.from("a").send(put, "k", {});
  await kit.advanceClock("2m");
  assert.deepEqual(
    kit.outputs("told").map(({ data }) => data),
    [[1, null]],
  );
  await kit.from("b").send(put, "other", {});
  for (const source of ["a", "b"]) await kit.from(source).advanceWatermark(NOON + 48 * 3_600_000);
  assert.deepEqual(kit.actor(tested, "k"), undefined);
});
