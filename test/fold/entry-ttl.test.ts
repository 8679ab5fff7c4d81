/** Times to live that a write gives what it writes, instead of that of its cell. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { list } from "../../actors/model/cells/list.ts";
import { map } from "../../actors/model/cells/map.ts";
import { set } from "../../actors/model/cells/set.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { HOUR_MS } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { foldBuilds } from "../support/builds.ts";
import { aCellHistory, cellJob } from "../support/cell-script.ts";
import { T0, TestLog } from "../support/entries.ts";
import { assertRowsHold } from "../support/row-invariants.ts";

const Put = Type.Object({ what: Type.String(), ttl: Type.Optional(Type.Unknown()) });
const put = stream("put", { schema: Put });
const said = output("said", { schema: Type.Unknown() });
const keeping = actor("keeping", {
  in: { put, look: stream("look", { schema: Type.Unknown() }) },
  out: { said },
  state: {
    last: value(Type.String()),
    byName: map(Type.Integer()),
    hourly: map(Type.Integer()).ttl("1h"),
    names: set(Type.String()),
    all: list(Type.String()),
  },
  on: {
    put({ state }, { what, ttl }) {
      const life = ttl === undefined ? undefined : { ttl: ttl as string };
      state.last.set(what, life);
      state.byName.set(what, 1, life);
      state.hourly.update(what, (n = 0) => n + 1, life);
      state.names.add(what, life);
      state.all.add(what, life);
    },
    look({ state, out }) {
      out.said([state.last.get() ?? null, state.byName.size, [...state.hourly.keys()], [...state.names.values()], state.all.get()]);
    },
  },
  queries: { sizes: ({ state }) => [state.byName.size, state.hourly.size, state.names.size, state.all.length] },
});
const of = job("keeping", {
  log: "keeping",
  actors: [keeping],
  outOfOrderness: 0,
  allowedLateness: "1h",
  dedupeHorizon: "2h",
  idle: "hold",
});

suite("what was written with a time to live of its own", () => {
  test("goes at its own end, sooner or later than its cell would let it, and the rest stays", async () => {
    await using kit = await testJob(of);
    const start = kit.now;
    await kit.send("put", "k", { what: "short", ttl: "10m" });
    await kit.send("put", "k", { what: "long", ttl: 3 * HOUR_MS });
    await kit.send("put", "k", { what: "plain" });
    const seenAt = async (time: number) => {
      await kit.advanceClockTo(time);
      await kit.send("look", "k", {}, { time });
      return kit.takeOutputs("said").at(-1)?.data;
    };
    const all = ["long", "plain", "short"];
    assert.deepEqual(await seenAt(start + 599_999), ["plain", 3, all, all, ["short", "long", "plain"]]);
    assert.deepEqual(await seenAt(start + 600_000), ["plain", 2, ["long", "plain"], ["long", "plain"], ["long", "plain"]]);
    assert.deepEqual(await seenAt(start + HOUR_MS), ["plain", 2, ["long"], ["long", "plain"], ["long", "plain"]]);
    assert.deepEqual(await seenAt(start + 3 * HOUR_MS), ["plain", 1, [], ["plain"], ["plain"]]);
    assert.deepEqual(kit.query(keeping, "k", "sizes"), [1, 0, 1, 1]);
  });

  test("written again without one lives as its cell says: an hour, or for good", async () => {
    await using kit = await testJob(of);
    await kit.send("put", "k", { what: "a", ttl: "10m" });
    await kit.send("put", "k", { what: "a" });
    assert.deepEqual(kit.actor(keeping, "k")?.expires, [
      { cell: "all", entry: "00000000000", at: kit.now + 600_000 },
      { cell: "hourly", entry: "a", at: kit.now + HOUR_MS },
    ]);
  });

  test("shows when it goes, to handlers, queries and whoever asks from outside", async () => {
    await using kit = await testJob(of);
    await kit.send("put", "k", { what: "a", ttl: "10m" });
    const at = kit.now + 600_000;
    assert.deepEqual(
      kit.actor(keeping, "k")?.expires.map((one) => [one.cell, one.at]),
      ["last", "byName", "hourly", "names", "all"].map((cell) => [cell, at]),
    );
    assert.deepEqual(kit.query(keeping, "k", "sizes"), [1, 1, 1, 1]);
  });

  test("leaves no row behind, and every count and index row has its owner, whatever came", () => {
    const cells = cellJob();
    fc.assert(
      fc.property(aCellHistory, ({ log }) => assertRowsHold(foldHistory(log.history(cells)).store, cells)),
      { numRuns: 200 },
    );
  });

  for (const [ttl, what] of [
    ["soon", "no duration"],
    [0, "none"],
    [-1, "no duration"],
    [1.5, "no duration"],
    ["1000001d", "none"],
    [{}, "no duration"],
  ] as const) {
    test(`${JSON.stringify(ttl)} is refused with STATE_TTL, and nothing is written`, async () => {
      await using kit = await testJob(of, { onFailure: "dead-letter" });
      await kit.send("put", "k", { what: "a", ttl });
      const [letter] = kit.outputs("tidemark.dead-letter");
      assert.equal(letter?.data.error.code, "STATE_TTL");
      assert.match(letter.data.error.message, new RegExp(`^state.last: ttl: .*${what}`));
      assert.equal(kit.actor(keeping, "k")?.state.last, undefined);
    });
  }
});

suite("in another version of the actor, what has an end of its own", () => {
  const go = { go: stream("go", { schema: Type.Unknown() }) };
  const versionOf = (state: "old" | "new" | "without ttl") => {
    const item = state === "new" ? Type.Number() : Type.Integer();
    const prices = map(item);
    return job("kept", {
      log: "kept",
      actors: [
        actor("kept", {
          in: go,
          out: { said },
          state: { prices, daily: state === "old" ? map(Type.Integer()).ttl("1d") : map(Type.Integer()), one: value(item) },
          on: {
            go({ state: cells, out }) {
              if (cells.prices.size === 0) {
                cells.prices.set("a", 1, { ttl: "30m" });
                cells.prices.set("b", 2);
                cells.daily.set("c", 3);
                cells.one.set(4, { ttl: "30m" });
              }
              out.said(
                [cells.prices.expiresAt("a"), cells.prices.expiresAt("b"), cells.daily.expiresAt("c"), cells.one.expiresAt()].map(
                  (at) => at ?? null,
                ),
              );
            },
          },
        }),
      ],
      outOfOrderness: 0,
      allowedLateness: "1h",
      dedupeHorizon: "2h",
      idle: "hold",
    });
  };

  test("keeps it, and what had one of its cell's loses it with the cell's", () => {
    const log = new TestLog("kept").event({ id: "1", type: "go" }).event({ id: "2", type: "go", time: T0 + 1_000 });
    const own = T0 + HOUR_MS / 2;
    const { outputs, store } = foldBuilds(log, [versionOf("old"), versionOf("new")]);
    assert.deepEqual(
      outputs.map(({ data }) => data),
      [
        [own, null, T0 + 24 * HOUR_MS, own],
        [own, null, null, own],
      ],
    );
    assertRowsHold(store, versionOf("new"));
  });
});
