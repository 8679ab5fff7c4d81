import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Actor, actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { list } from "../../actors/model/cells/list.ts";
import { map } from "../../actors/model/cells/map.ts";
import { set } from "../../actors/model/cells/set.ts";
import { value } from "../../actors/model/cells/value.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { HOUR_MS } from "../../actors/model/time.ts";
import { foldBuilds, foldHandOver, handOver } from "../support/builds.ts";
import { T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const go = { go: stream("go", { schema: Type.Unknown() }) };
const said = { said: output("said", { schema: Type.Unknown() }) };

const before = actor("kept", {
  in: go,
  state: {
    name: value(Type.String()),
    count: counter(),
    prices: map(Type.Integer()).ttl("1h"),
    seen: set(Type.Integer()),
    notes: list(Type.String()),
    gone: map(Type.Integer()).ttl("1h"),
  },
  timers: { wake: timer("event", Type.Object({ n: Type.Integer() })), dropped: timer("event") },
  on: {
    go(ctx) {
      ctx.state.name.set("ann");
      ctx.state.count.add(3);
      ctx.state.prices.set("a", 1);
      ctx.state.prices.set("b", 2);
      ctx.state.seen.add(10);
      ctx.state.seen.add(9);
      ctx.state.notes.add("first");
      ctx.state.gone.set("x", 1);
      ctx.timers.wake.at(ctx.now + 60_000, { n: 1 });
      ctx.timers.dropped.at(ctx.now + 60_000);
    },
    wake() {},
    dropped() {},
  },
});

const jobOf = (...actors: Actor[]): Job =>
  job("kept", { log: "kept", actors, outOfOrderness: 0, allowedLateness: "1h", dedupeHorizon: "2h", idle: "hold" });

const twice = () => new TestLog("kept").event({ id: "1", type: "go" }).event({ id: "2", type: "go", time: T0 + 1_000 });

suite("a build with other cells", () => {
  test("finds those that stayed, new ones empty, and loses those that went", () => {
    const after = actor("kept", {
      in: go,
      out: said,
      state: { added: value(Type.Integer(), 7), notes: list(Type.String()), count: counter(), name: value(Type.String()) },
      on: {
        go: ({ state, out }) => out.said([state.added.get(), state.notes.get(), state.count.get(), state.name.get()]),
      },
    });
    const { outputs, store } = foldBuilds(twice(), [jobOf(before), jobOf(after)]);
    assert.deepEqual(outputs[0]?.data, [7, ["first"], 3, "ann"]);
    const rows = store.scan("e", "f", 100).map(({ key }) => key);
    assert.deepEqual(
      rows.filter((key) => !key.includes("notes")),
      [],
      "entries of cells that went are gone",
    );
    assert.equal(store.scan("te", "tf", 100).length, 0, "and so are timers that went");
  });

  test("whose schema still fits what is there keeps it, and refuses what does not fit", () => {
    const keeps = (schema: Parameters<typeof value>[0]) =>
      actor("kept", { in: go, out: said, state: { name: value(schema) }, on: { go: ({ state, out }) => out.said(state.name.get()) } });
    assert.equal(foldBuilds(twice(), [jobOf(before), jobOf(keeps(Type.String({ maxLength: 3 })))]).outputs[0]?.data, "ann");
    const [letter] = foldBuilds(twice(), [jobOf(before), jobOf(keeps(Type.String({ maxLength: 2 })))]).outputs;
    assert.equal((letter?.data.error as { readonly code?: string } | undefined)?.code, "STATE_MIGRATION");
  });
});

suite("a new version with migrations", () => {
  const after = actor("kept", {
    version: 3,
    in: go,
    out: said,
    state: {
      person: value(Type.Object({ name: Type.String(), visits: Type.Integer() })),
      prices: map(Type.String()).ttl("1h"),
      seen: list(Type.Integer()),
    },
    timers: { wake: timer("event", Type.Object({ n: Type.Integer() })) },
    on: {
      go: ({ state, out }) => out.said([state.person.get(), [...state.prices.entries()], state.seen.get(), state.prices.expiresAt("a")]),
      wake: ({ out }, fired) => out.said(fired.data.n),
    },
    migrate: {
      2: (old: { name?: string; count?: number; prices?: Record<string, number>; seen?: number[] }) => ({
        person: { name: old.name, visits: old.count },
        prices: old.prices,
        seen: old.seen,
      }),
      3: (old: { person: unknown; prices: Record<string, number>; seen: unknown }) => ({
        ...old,
        prices: Object.fromEntries(Object.entries(old.prices).map(([key, price]) => [key, `${price} EUR`])),
      }),
    },
  });

  test("hands the plain state through them, and keeps when it expires", () => {
    const { outputs } = foldBuilds(twice(), [jobOf(before), jobOf(after)]);
    const seen = [
      { name: "ann", visits: 3 },
      [
        ["a", "1 EUR"],
        ["b", "2 EUR"],
      ],
      [10, 9],
      T0 + 3_600_000,
    ];
    assert.deepEqual(outputs[0]?.data, seen);
  });

  test("may leave a cell out, which is then empty and may be filled again", () => {
    const emptied = actor("kept", {
      version: 2,
      in: go,
      out: said,
      state: { prices: map(Type.String()) },
      on: {
        go({ state, out }) {
          state.prices.set("b", "new");
          out.said([...state.prices.entries()]);
        },
      },
      migrate: { 2: () => ({}) },
    });
    const { outputs, store } = foldBuilds(twice().event({ id: "3", type: "go", time: T0 + 2_000 }), [jobOf(before), jobOf(emptied)]);
    assert.deepEqual(
      outputs.map(({ data }) => data),
      [[["b", "new"]], [["b", "new"]]],
    );
    assert.equal(store.scan("e", "f", 100).length, 1);
  });

  test("fires a timer that an older version has armed, with its migrated state", () => {
    const { outputs } = foldBuilds(new TestLog("kept").event({ id: "1", type: "go" }).watermark(T0 + 60_001), [
      jobOf(before),
      jobOf(after),
    ]);
    assert.deepEqual(
      outputs.map(({ data }) => data),
      [1],
    );
  });

  test("lets state expire that no handler of it has looked at", () => {
    const { store } = foldBuilds(new TestLog("kept").event({ id: "1", type: "go" }).watermark(T0 + 3_600_000), [
      jobOf(before),
      jobOf(after),
    ]);
    assert.deepEqual(
      store.scan("e", "f", 100).filter(({ key }) => key.includes("prices") || key.includes("gone")),
      [],
    );
  });

  test("that gives a time to live to what had none lets it live from the moment at which it is migrated", () => {
    const mortal = actor("kept", {
      version: 2,
      in: go,
      out: said,
      state: { name: value(Type.String()).ttl("1h") },
      on: { go: ({ state, out }) => out.said([state.name.get(), state.name.expiresAt()]) },
    });
    const { outputs } = foldBuilds(twice(), [jobOf(before), jobOf(mortal)]);
    assert.deepEqual(outputs[0]?.data, ["ann", T0 + 1_000 + 3_600_000]);
  });

  test("whose migration throws makes a dead letter and leaves the state as it was", () => {
    const broken = actor("kept", {
      version: 2,
      in: go,
      state: { name: value(Type.String()) },
      on: { go() {} },
      migrate: {
        2: () => {
          throw new Error("not like this");
        },
      },
    });
    const log = twice().event({ id: "3", type: "go", time: T0 + 2_000 });
    const { outputs } = foldBuilds(log, [jobOf(before), jobOf(broken), jobOf(after)]);
    assert.equal((outputs[0]?.data.error as { readonly message?: string } | undefined)?.message, "not like this");
    assert.deepEqual((outputs[1]!.data as unknown as unknown[])[0], { name: "ann", visits: 3 });
  });

  test("goes back and forth between builds without loss while nothing is migrated", () => {
    const log = new TestLog("kept")
      .event({ id: "1", type: "go" })
      .event({ id: "2", type: "other", key: "d1" })
      .event({ id: "3", type: "go" });
    const idle = actor("idle", { in: { other: stream("other", { schema: Type.Unknown() }) }, on: { other() {} } });
    const gone = jobOf(idle);
    const { outputs } = foldBuilds(log, [jobOf(before, idle), gone, jobOf(after)]);
    assert.deepEqual((outputs.at(-1)!.data as unknown as unknown[])[0], { name: "ann", visits: 3 });
  });
});

suite("what an earlier build has left, folded on by the next one", () => {
  const item = (schema: typeof Text | typeof Long) => list(schema).ttl("1h");
  const Text = Type.String();
  const Long = Type.String({ maxLength: 100 });
  const queue = (schema: typeof Text | typeof Long, more: object = {}): Actor =>
    actor("kept", {
      in: go,
      out: said,
      state: { items: item(schema), maybe: value(Type.Union([Type.Null(), schema]), "initial"), left: value(Type.Integer()) },
      timers: { wake: timer("event", Type.Object({ n: Type.Unknown() })) },
      on: {
        go(ctx, data) {
          const { items, maybe, left } = ctx.state;
          for (const add of (data as { add?: string[] }).add ?? []) items.add(add);
          items.removeFirst((data as { remove?: number }).remove ?? 0);
          if ((data as { none?: boolean }).none === true) maybe.set(null as never);
          ctx.out.said({ items: items.get(), ends: items.expiresAt(), maybe: maybe.get(), left: left.get() ?? null });
        },
        wake() {},
      },
      ...more,
    });

  const event = (id: string, data: object, time = T0) => ({ id, type: "go", time, data });

  test("does not show whether what expired since was in memory", () => {
    const after = queue(Long, { version: 2, migrate: { 2: (old: object) => ({ ...old, left: Object.keys(old).length }) } });
    const log = new TestLog("kept").event(event("1", { add: ["a"] }));
    handOver(log, jobOf(queue(Text)), jobOf(after));
    log.watermark(T0 + HOUR_MS).event(event("2", {}, T0 + HOUR_MS));
    const ways = Object.values({ whole: {}, ...INTERRUPTED }).map((way) =>
      bytesOf(foldHandOver(log, jobOf(queue(Text)), jobOf(after), 2, way)),
    );
    for (const way of ways) assert.deepEqual(way, ways[0]);
  });

  test("keeps the ends of a list's elements, which are numbered anew", () => {
    const log = new TestLog("kept")
      .event(event("1", { add: ["a"] }))
      .event(event("2", { add: ["b"], remove: 1 }, T0 + 1))
      .event(event("3", { add: ["c"] }, T0 + 2))
      .event(event("4", {}, T0 + 3));
    const { outputs } = foldBuilds(log, [jobOf(queue(Text)), jobOf(queue(Text)), jobOf(queue(Text)), jobOf(queue(Long))]);
    const { items, ends } = outputs.at(-1)!.data;
    assert.deepEqual({ items, ends }, { items: ["b", "c"], ends: [T0 + 1 + HOUR_MS, T0 + 2 + HOUR_MS] });
  });

  test("keeps a null as the value that it is", () => {
    const log = new TestLog("kept").event(event("1", { none: true })).event(event("2", {}));
    assert.equal(foldBuilds(log, [jobOf(queue(Text)), jobOf(queue(Long))]).outputs.at(-1)!.data.maybe, null);
  });

  test("refuses the data of a timer that fires, when the next build declares it otherwise", () => {
    const number = actor("kept", {
      in: go,
      out: said,
      timers: { wake: timer("event", Type.Object({ n: Type.String() })) },
      on: { go() {}, wake: (ctx, fired) => ctx.out.said(fired.data.n.length) },
    });
    const { outputs } = foldBuilds(new TestLog("kept").event({ id: "1", type: "go" }).watermark(T0 + 60_001), [
      jobOf(before),
      jobOf(number),
    ]);
    assert.equal((outputs[0]?.data.error as { readonly code?: string } | undefined)?.code, "STATE_MIGRATION");
  });
});

test("a migration that leads to no version of the actor is refused when it is declared", () => {
  const options = { in: go, on: { go() {} } };
  assert.throws(() => actor("x", { ...options, migrate: { 2: (old) => old } }), /migrate\.2 leads to no version/);
  assert.throws(() => actor("x", { ...options, version: 2, migrate: { 1: (old) => old } }), /migrate\.1/);
});
