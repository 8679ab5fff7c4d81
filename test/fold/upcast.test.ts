/** Events of older versions of their schema: what handlers get of them, and what becomes of those that cannot be brought on. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { writeOwner, writeRedrive } from "../../actors/fold/journal.ts";
import { actor } from "../../actors/model/actor.ts";
import { list } from "../../actors/model/cells/list.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, type Stream, stream } from "../../actors/model/stream.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { cloudEvent, type EventText, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED, outputsOf } from "../support/scripted.ts";

const V1 = Type.Object({ amount: Type.Number() }, { $id: "urn:order:1" });
const V2 = Type.Object({ cents: Type.Integer() }, { $id: "urn:order:2" });
const V3 = Type.Object({ cents: Type.Integer({ maximum: 1_000 }), currency: Type.String() }, { $id: "urn:order:3" });
const orders = stream("order", { schema: V3 })
  .upcast(V2, ({ cents }) => ({ cents, currency: cents === 13 ? "?".repeat(600_000) : "EUR" }))
  .upcast(V1, ({ amount }) => {
    if (amount < 0) throw new Error(`no order of ${amount}`);
    return { cents: amount * 100 };
  });
const said = output("said", { schema: Type.Object({ actor: Type.String(), data: Type.Unknown() }) });

function saying<T>(name: string, order: Stream<T>) {
  return actor(name, {
    in: { order },
    out: { said },
    state: { seen: list(Type.Unknown()) },
    on: {
      order(ctx, data) {
        ctx.state.seen.add(data as never);
        ctx.out.said({ actor: name, data });
        if ((data as { readonly currency?: string }).currency === "FAIL") throw new Error("failed");
      },
    },
  });
}

const jobOf = (...streams: Stream<unknown>[]): Job =>
  job("orders", {
    log: "orders",
    actors: streams.map((order, i) => saying(`a${i}`, order)),
    outOfOrderness: 0,
    allowedLateness: 0,
    idle: "hold",
  });

const one = jobOf(orders);
let count = 0;
const order = (data: unknown, more: EventText = {}): EventText => ({ id: `n${++count}`, type: "order", ...more, data });

function found(log: TestLog, of = one): unknown[] {
  return outputsOf(log, of).map(({ type, data }) => (type === "said" ? data.data : `${data.code}: ${data.reason}`));
}

const sent = (data: unknown, more?: EventText, of = one): unknown[] => found(new TestLog("orders").event(order(data, more)), of);

suite("an event of an older version", () => {
  test("is what the newest version makes of it, through every step between", () => {
    assert.deepEqual(sent({ cents: 5, currency: "CHF" }), [{ cents: 5, currency: "CHF" }]);
    assert.deepEqual(sent({ cents: 5 }), [{ cents: 5, currency: "EUR" }]);
    assert.deepEqual(sent({ amount: 2 }), [{ cents: 200, currency: "EUR" }]);
  });

  test("is known by its dataschema, also where its data would fit a newer one", () => {
    const both = { amount: 2, cents: 7 };
    assert.deepEqual(sent(both), [{ cents: 7, currency: "EUR" }]);
    assert.deepEqual(sent(both, { dataschema: "urn:order:1" }), [{ cents: 200, currency: "EUR" }]);
  });

  test("in binary mode says its version in a header", () => {
    const headers = new Map(
      Object.entries({ specversion: "1.0", id: "b", source: "/t", type: "order", time: "2026-01-15T12:00:00Z" }).map(([name, text]) => [
        `ce-${name}`,
        text,
      ]),
    );
    headers.set("ce-dataschema", "urn:order:1");
    const log = new TestLog("orders");
    assert.deepEqual(found(log.raw(log.subject("k"), '{"amount":1,"cents":7}', 0, headers)), [{ cents: 100, currency: "EUR" }]);
  });

  test("keeps the identity of what was sent: the same again is a duplicate, its equal in the newest version a conflict", () => {
    const log = new TestLog("orders");
    for (const data of [{ amount: 2 }, { amount: 2 }, { cents: 200, currency: "EUR" }]) log.event({ id: "same", type: "order", data });
    const { counts } = foldHistory(log.history(one)).meta;
    assert.deepEqual([counts.applied, counts.duplicate, counts.duplicateConflict], [1, 1, 1]);
  });

  test("gives the same bytes however the fold is interrupted, timers and resumption among them", () => {
    const log = new TestLog("orders");
    for (let i = 0; i < 8; i++) log.event(order(i % 2 === 0 ? { amount: i } : { cents: i }, { time: T0 + i * 1_000 }));
    const straight = bytesOf(foldHistory(log.history(one)));
    for (const [how, interruptions] of Object.entries(INTERRUPTED))
      assert.deepEqual(bytesOf(foldHistory(log.history(one), interruptions)), straight, how);
  });

  test("goes to each actor as that one declares it, from what was sent", () => {
    const mutating = stream("order", { schema: V2 }).upcast(V1, (old) => {
      (old as { amount: number }).amount *= 2;
      return { cents: old.amount * 100 };
    });
    const two = jobOf(stream("order", { schema: V1 }), orders);
    assert.deepEqual(sent({ amount: 2 }, {}, two), [{ amount: 2 }, { cents: 200, currency: "EUR" }]);
    assert.deepEqual(sent({ cents: 2 }, {}, two), ["schema: data / must have required properties amount"]);
    assert.match(String(sent({ amount: 2 }, {}, jobOf(mutating, orders))[0]), /^upcast: version 1 of the data: Cannot assign to read only/);
  });

  test("that an activated schema refuses as it was sent is refused", () => {
    const record = (data: unknown) => ({ id: "order", version: 1, from: T0, data });
    const told = (schema: unknown) => found(new TestLog("orders").reference("_schemas", record(schema)).event(order({ amount: 2 })));
    assert.deepEqual(told({ required: ["amount"] }), [{ cents: 200, currency: "EUR" }]);
    assert.match(String(told({ required: ["cents"] })[0]), /^schema: data .*cents.*schema version 1 of order/);
  });

  test("that is a dead letter comes to its handler in the newest version when it is put back", () => {
    const failing = jobOf(stream("order", { schema: V3 }).upcast(V1, () => ({ cents: 1, currency: "FAIL" })));
    const event = cloudEvent(order({ amount: 2 }, { id: "bad" }));
    const redrive = writeRedrive({ deadLetter: "orders.0.1", who: "ann", reason: undefined, handler: "a0.order", of: { event } });
    const log = new TestLog("orders").raw("orders.p0.j.orders", writeOwner("t", "n"));
    log.raw(log.subject("d1"), JSON.stringify(event)).raw("orders.p0.j.orders", redrive);
    const types = outputsOf(log, failing).map(({ type, data }) =>
      type === "tidemark.audit" ? (data.detail as { outcome: string }).outcome : type,
    );
    assert.deepEqual(types, ["tidemark.dead-letter", "tidemark.dead-letter", "dead-lettered"]);
  });
});

suite("an event that cannot be brought on goes to quarantine", () => {
  const CASES: Readonly<Record<string, readonly [data: unknown, dataschema: string | undefined, found: RegExp]>> = {
    "when no version takes it": [{ sum: 1 }, undefined, /^schema: data .*, and fits none of the 2 older versions$/],
    "when its dataschema names none that is known": [{ amount: 1 }, "urn:order:4", /^schema-version: dataschema names no version/],
    "when it is not what its dataschema says": [{ amount: 1 }, "urn:order:2", /^schema: data .*cents, version 2$/],
    "when its upcaster throws": [{ amount: -1 }, undefined, /^upcast: version 1 of the data: no order of -1$/],
    "when a step makes what the next version refuses": [
      { amount: 0.001 },
      undefined,
      /^upcast: version 1 .*does not fit the next version: \/cents/,
    ],
    "when the last step makes what the newest refuses": [{ cents: 1_001 }, undefined, /^upcast: version 2 .*\/cents must be <= 1000/],
    "when it would be larger than an event may be": [{ cents: 13 }, undefined, /^upcast: version 2 of the data: made data of \d+ bytes/],
  };
  for (const [when, [data, dataschema, expected]] of Object.entries(CASES)) {
    test(when, () => {
      const log = new TestLog("orders").event(order(data, { time: T0 + 1_000, ...(dataschema === undefined ? {} : { dataschema }) }));
      const [refused, ...rest] = found(log.event(order({ cents: 1 })));
      assert.match(String(refused), expected);
      assert.deepEqual(rest, [{ cents: 1, currency: "EUR" }], "it has lifted no watermark");
    });
  }

  const WRONG: Readonly<Record<string, readonly [up: () => unknown, found: RegExp]>> = {
    "when its upcaster gives a promise": [async () => ({}), /only plain objects/],
    "when its upcaster gives what JSON has not": [() => ({ at: new Map() }), /only plain objects/],
    "when its upcaster gives no number": [() => ({ at: Number.NaN }), /NaN/],
  };
  for (const [when, [up, expected]] of Object.entries(WRONG)) {
    test(when, () => {
      const any = jobOf(stream("order", { schema: Type.Any({ $id: "new" }) }).upcast(Type.Any({ $id: "old" }), up));
      const [refused] = sent({}, { dataschema: "old" }, any);
      assert.match(String(refused), /^upcast: version 1/);
      assert.match(String(refused), expected);
    });
  }

  test("and is not remembered: mended, it may come again", () => {
    const log = new TestLog("orders").event({ id: "same", type: "order", data: { amount: -1 } });
    assert.deepEqual(found(log.event({ id: "same", type: "order", data: { amount: 1 } })).at(-1), { cents: 100, currency: "EUR" });
  });
});

test("an upcaster that asks the clock is caught as a handler is", async () => {
  const clocked = stream("order", { schema: V3 }).upcast(V1, () => ({ cents: Date.now() % 10, currency: "EUR" }));
  await using kit = await testJob(job("orders", { log: "orders", actors: [saying("a0", clocked)] }));
  await kit.sendRaw(cloudEvent(order({ amount: 1 }, { time: kit.now })));
  const [refused] = kit.outputs("tidemark.quarantine");
  assert.equal(refused?.data.code, "upcast");
  assert.match(refused.data.reason, /Date\.now/);
});

test("a stream of one version takes its events whatever their dataschema says", () => {
  const plain = jobOf(stream("order", { schema: V3 }));
  assert.deepEqual(sent({ cents: 1, currency: "EUR" }, { dataschema: "urn:other" }, plain), [{ cents: 1, currency: "EUR" }]);
});

test("a stream whose schemas have no ids goes by what fits, whatever dataschema says", () => {
  const text = jobOf(stream("order", { schema: Type.Object({ text: Type.String() }) }).upcast(Type.String(), (old) => ({ text: old })));
  assert.deepEqual(sent("old", { dataschema: "urn:other" }, text), [{ text: "old" }]);
});

test("an event that is late comes to the late handler in the newest version", () => {
  const lately = actor("lately", {
    in: { orders },
    out: { said },
    on: { orders: () => {} },
    late: (ctx, data) => ctx.out.said({ actor: "lately", data }),
  });
  const of = job("orders", { log: "orders", actors: [lately], outOfOrderness: 0, allowedLateness: 0, idle: "hold" });
  const log = new TestLog("orders").event(order({ amount: 1 })).event(order({ amount: 2 }, { time: T0 - DAY_MS / 2 }));
  assert.deepEqual(found(log, of), [{ cents: 200, currency: "EUR" }]);
});

test("two versions with one $id are refused where they are declared", () => {
  assert.throws(
    () => stream("order", { schema: V2 }).upcast(Type.Object({ amount: Type.Number() }, { $id: "urn:order:2" }), () => ({ cents: 1 })),
    /two versions have the \$id/,
  );
});
