import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { map } from "../../actors/model/cells/map.ts";
import { value } from "../../actors/model/cells/value.ts";
import { job } from "../../actors/model/job.ts";
import { stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const spent = actor("spent", {
  in: { spend: stream("spend", { schema: Type.Object({ at: Type.String(), cents: Type.Integer() }) }) },
  state: { shops: map(Type.Integer()).ttl("1h"), last: value(Type.String()) },
  on: {
    spend({ state }, { at, cents }) {
      state.shops.update(at, (sum) => (sum ?? 0) + cents);
      state.last.set(at);
    },
  },
  queries: {
    total: ({ state }) => [...state.shops.values()].reduce((sum, cents) => sum + cents, 0),
    at: ({ key, state }, input) => ({ key, cents: state.shops.get(String(input)) }),
    writes: ({ state }) => (state.last as unknown as { set(value: string): void }).set("x"),
    // @ts-expect-error a query's handles have no methods that change anything
    refused: ({ state }) => state.last.set("x"),
    fails() {
      throw new Error("no such period");
    },
  },
});
const of = job("spent", { log: "spent", actors: [spent], outOfOrderness: 0 });

suite("a query", () => {
  test("answers from the actor's state, with what it was asked", async () => {
    await using kit = await testJob(of);
    await kit.send("spend", "ann", { at: "baker", cents: 250 });
    await kit.send("spend", "ann", { at: "butcher", cents: 100 });
    assert.equal(kit.query(spent, "ann", "total"), 350);
    assert.deepEqual(kit.query(spent, "ann", "at", "baker"), { key: "ann", cents: 250 });
    assert.equal(kit.query(spent, "bob", "total"), undefined);
  });

  test("does not see what has expired", async () => {
    await using kit = await testJob(of);
    await kit.send("spend", "ann", { at: "baker", cents: 250 });
    await kit.advanceWatermark(kit.now + 3_600_000);
    assert.equal(kit.query(spent, "ann", "total"), 0);
  });

  test("changes nothing: a write is refused and leaves the state as it was", async () => {
    await using kit = await testJob(of);
    await kit.send("spend", "ann", { at: "baker", cents: 250 });
    assert.throws(() => kit.query(spent, "ann", "writes"), /A query changes nothing/);
    assert.equal(kit.actor(spent, "ann")?.state.last, "baker");
  });

  test("that throws says what it said, and one that is not there is named", async () => {
    await using kit = await testJob(of);
    await kit.send("spend", "ann", { at: "baker", cents: 250 });
    assert.throws(() => kit.query(spent, "ann", "fails"), /no such period/);
    assert.throws(() => kit.query(spent, "ann", "toString"), /has no query "toString"/);
  });
});
