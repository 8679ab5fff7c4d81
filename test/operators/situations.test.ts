/** Windows in situations: triggers, clocks, what is read of them, what becomes of them when a handler fails. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import { avg, count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { globalWindow } from "../../actors/model/operators/windows/global-window.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { sliding, type TimeWindowOptions, tumbling } from "../../actors/model/operators/windows/time-window.ts";
import type { Fired } from "../../actors/model/operators/windows/window-options.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { formatInstant, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const NOON = Date.UTC(2026, 0, 15, 12);
const Sale = Type.Object({ amount: Type.Number(), currency: Type.String() });
type Sale = { amount: number; currency: string };
const Told = Type.Object({
  start: Type.Integer(),
  end: Type.Integer(),
  by: Type.String(),
  count: Type.Integer(),
  sum: Type.Number(),
  revision: Type.Integer(),
  early: Type.Boolean(),
});

const sale = stream("sale", { schema: Sale });
const told = output("told", { schema: Told });

function shop(options: TimeWindowOptions<Sale>, fail: (fired: Fired<{ count: number }>) => boolean = () => false) {
  const till = actor("till", {
    in: { sale },
    out: { told },
    state: { sales: tumbling("5m", { count: count(), sum: sum((s: Sale) => s.amount) }, options) },
    on: {
      sale: (ctx, data) => ctx.state.sales.add(data),
      sales(ctx, { start, end, by, count: counted, sum: total, revision, early, ...window }) {
        if (fail({ start, end, by, count: counted, revision, early, ...window })) throw new Error("cannot tell it");
        ctx.out.told({ start: start - NOON, end: end - NOON, by, count: counted, sum: total, revision, early });
      },
    },
    queries: { now: ({ state }) => state.sales.current({ time: NOON }) },
  });
  return { till, of: job("shop", { log: "shop", actors: [till], outOfOrderness: 0, allowedLateness: "5m" }) };
}

const euros = (amount: number): Sale => ({ amount, currency: "EUR" });
const brief = ({
  data,
  time,
}: {
  data: { count: number; sum: number; revision: number; early: boolean; end: number };
  time: number | string;
}) =>
  `${data.early ? "early" : "told"} ${data.end / MINUTE_MS}m: ${data.count} of ${data.sum}, revision ${data.revision}, at ${formatInstant(Number(time)).slice(14, 23)}`;

suite("a tumbling window", () => {
  test("is told when the watermark reaches its end, about its last millisecond, for the event that armed it", async () => {
    const { till, of } = shop({});
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1.1));
    await kit.send("sale", "t1", euros(2.2), { time: NOON + 1 });
    assert.deepEqual(
      kit.timers(till, "t1").map(({ name, at, clock }) => [name, at - NOON, clock]),
      [["sales", 5 * MINUTE_MS - 1, "event"]],
    );
    await kit.advanceWatermark(NOON + 5 * MINUTE_MS - 1);
    assert.deepEqual(kit.outputs("told"), []);
    await kit.advanceWatermark(NOON + 5 * MINUTE_MS);
    assert.deepEqual(kit.outputs("told").map(brief), ["told 5m: 2 of 3.3, revision 0, at 04:59.999"]);
    assert.equal(kit.outputs("told")[0]!.causeId, "e1");
  });

  test("is told again when a sale comes behind its end, about the same time, for that sale", async () => {
    const { of } = shop({});
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + 6 * MINUTE_MS);
    await kit.send("sale", "t1", euros(2), { time: NOON + 2 * MINUTE_MS });
    await kit.send("sale", "t2", euros(4), { time: NOON + 2 * MINUTE_MS });
    assert.deepEqual(
      kit.outputs("told").map((one) => `${one.key} ${brief(one)} ${one.causeId}`),
      [
        "t1 told 5m: 1 of 1, revision 0, at 04:59.999 e1",
        "t1 told 5m: 2 of 3, revision 1, at 04:59.999 e2",
        "t2 told 5m: 1 of 4, revision 0, at 04:59.999 e3",
      ],
    );
  });

  test("leaves nothing behind once nothing can change it any more", async () => {
    const { till, of } = shop({});
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + 10 * MINUTE_MS - 1);
    assert.equal((kit.actor(till, "t1")!.state.sales as unknown as unknown[]).length, 1);
    await kit.advanceWatermark(NOON + 10 * MINUTE_MS);
    assert.equal(kit.actor(till, "t1"), undefined);
  });

  test("with groups is told for each of them", async () => {
    const { of } = shop({ by: ({ currency }) => currency });
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", { amount: 2, currency: "USD" });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + HOUR_MS);
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => [data.by, data.sum]),
      [
        ["EUR", 1],
        ["USD", 2],
      ],
    );
  });

  test("whose late sales go to a side output is told once", async () => {
    const { of } = shop({ late: "side-output" });
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + 6 * MINUTE_MS);
    await kit.send("sale", "t1", euros(2), { time: NOON + 2 * MINUTE_MS });
    assert.deepEqual(kit.outputs("told").length, 1);
    const [late] = kit.late();
    const { excerpt, ...rest } = late!.data as { excerpt: string };
    assert.deepEqual(rest, {
      eventId: "e2",
      type: "sale",
      time: "2026-01-15T12:02:00.000Z",
      watermark: "2026-01-15T12:06:00.000Z",
      behindMs: 4 * MINUTE_MS,
      reason: "window",
    });
    assert(excerpt.includes('"amount":2'));
    assert.equal(kit.counts.applied, 2);
  });

  test("that drops late sales counts them", async () => {
    const { of } = shop({ late: "drop" });
    await using kit = await testJob(of, { start: NOON });
    await kit.advanceWatermark(NOON + 6 * MINUTE_MS);
    await kit.send("sale", "t1", euros(2), { time: NOON + 2 * MINUTE_MS });
    assert.deepEqual([kit.outputs("told").length, kit.late().length, kit.counts.lateDropped], [0, 0, 1]);
  });

  test("of its own allowed lateness is told again within it, and then no more", async () => {
    const { of } = shop({ allowedLateness: "1m" });
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + 6 * MINUTE_MS - 1);
    await kit.send("sale", "t1", euros(2), { time: NOON + 2 * MINUTE_MS });
    await kit.advanceWatermark(NOON + 6 * MINUTE_MS);
    await kit.send("sale", "t1", euros(3), { time: NOON + 2 * MINUTE_MS });
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data.revision),
      [0, 1],
    );
    assert.equal(kit.late().length, 1);
  });

  test("tells early at every so many-th sale and at every so much time", async () => {
    const { of } = shop({ early: { everyEvents: 2, every: "2m" } });
    await using kit = await testJob(of, { start: NOON });
    for (const minute of [0, 0.5, 1, 3]) await kit.send("sale", "t1", euros(1), { time: NOON + minute * MINUTE_MS });
    await kit.advanceWatermark(NOON + HOUR_MS);
    assert.deepEqual(kit.outputs("told").map(brief), [
      "early 5m: 2 of 2, revision 0, at 00:30.000",
      "early 5m: 3 of 3, revision 0, at 01:59.999",
      "early 5m: 4 of 4, revision 0, at 03:00.000",
      "early 5m: 4 of 4, revision 0, at 03:59.999",
      "told 5m: 4 of 4, revision 0, at 04:59.999",
    ]);
  });

  test("by processing time goes by the log's clock, whatever the sales say", async () => {
    const { of } = shop({ clock: "processing" });
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1), { time: NOON - 3 * MINUTE_MS });
    await kit.advanceClock("4m");
    await kit.send("sale", "t1", euros(2), { time: NOON + 4 * MINUTE_MS });
    await kit.advanceClock("59s");
    assert.deepEqual(kit.outputs("told"), []);
    await kit.advanceClock("1s");
    assert.deepEqual(kit.outputs("told").map(brief), ["told 5m: 2 of 3, revision 0, at 04:59.999"]);
  });

  test("answers a query with what is in it so far", async () => {
    const { till, of } = shop({});
    await using kit = await testJob(of, { start: NOON });
    await kit.send("sale", "t1", euros(1));
    await kit.send("sale", "t1", euros(2));
    assert.deepEqual(kit.query(till, "t1", "now"), { start: NOON, end: NOON + 5 * MINUTE_MS, by: "", events: 2, count: 2, sum: 3 });
  });
});

suite("a window whose handler fails", () => {
  test("leaves a dead letter and a finding, and the next one is told", async () => {
    const { till, of } = shop({}, ({ end }) => end === NOON + 5 * MINUTE_MS);
    await using kit = await testJob(of, { start: NOON, onFailure: "dead-letter" });
    await kit.send("sale", "t1", euros(1));
    await kit.send("sale", "t1", euros(2), { time: NOON + 4 * MINUTE_MS });
    await kit.send("sale", "t1", euros(4), { time: NOON + 7 * MINUTE_MS });
    await kit.advanceWatermark(NOON + 20 * MINUTE_MS);
    assert.deepEqual(kit.outputs("told").map(brief), ["told 10m: 1 of 4, revision 0, at 09:59.999"]);
    const [letter, ...more] = kit.deadLetters();
    assert.deepEqual(more, []);
    assert.equal(letter!.data.handler, "till.sales");
    const [finding, ...others] = kit.outputs("tidemark.quality" as never) as unknown as {
      data: { rule: string; detail: Record<string, unknown> };
    }[];
    assert.deepEqual(others, []);
    assert.equal(finding!.data.rule, "passed-over");
    assert.equal(finding!.data.detail.state, "sales");
    assert.match(String(finding!.data.detail.excerpt), /"count":2,"sum":3/);
    assert.deepEqual(kit.timers(till, "t1"), []);
  });

  test("takes no other group with it, and cannot be put back", async () => {
    const { of } = shop({ by: ({ currency }) => currency }, ({ by }) => by === "USD");
    await using kit = await testJob(of, { start: NOON, onFailure: "dead-letter" });
    for (const currency of ["EUR", "USD", "YEN"]) await kit.send("sale", "t1", { amount: 1, currency });
    await kit.advanceWatermark(NOON + 5 * MINUTE_MS);
    assert.deepEqual(
      kit.outputs("told").map(({ data }) => data.by),
      ["EUR", "YEN"],
    );
    await kit.redrive(kit.deadLetters()[0]!);
    const [audit] = kit.outputs("tidemark.audit" as never) as unknown as { data: { detail: { outcome: string; reason: string } } }[];
    assert.equal(audit!.data.detail.outcome, "refused");
    assert.match(audit!.data.detail.reason, /is an operator, which has told one by one/);
    assert.equal(kit.outputs("told").length, 2);
  });

  test("behind its end rolls the sale back", async () => {
    const { of } = shop({}, ({ revision }) => revision === 1);
    await using kit = await testJob(of, { start: NOON, onFailure: "dead-letter" });
    await kit.send("sale", "t1", euros(1));
    await kit.advanceWatermark(NOON + 5 * MINUTE_MS);
    await kit.send("sale", "t1", euros(2), { time: NOON + 1 });
    assert.equal(kit.deadLetters()[0]!.data.handler, "till.sale");
    assert.equal(kit.outputs("told").length, 1);
  });
});

suite("a window that nobody hears", () => {
  const meter = actor("meter", {
    in: { sale },
    out: { now: output("now", { schema: Type.Object({ avg: Type.Number(), start: Type.Integer() }) }) },
    state: { hour: sliding("1h", "5m", { avg: avg((s: Sale) => s.amount) }) },
    on: {
      sale(ctx, data) {
        ctx.state.hour.add(data);
        const { avg: mean, start } = ctx.state.hour.current()!;
        ctx.out.now({ avg: mean, start: start - NOON });
      },
    },
  });
  const of = job("meter", { log: "meter", actors: [meter], outOfOrderness: 0, allowedLateness: 0 });

  test("is read with the event in hand, in the window that ends next, and forgets its panes one by one", async () => {
    await using kit = await testJob(of, { start: NOON });
    for (const [minute, amount] of [
      [0, 1],
      [3, 3],
      [58, 5],
      [64, 9],
    ] as const)
      await kit.send("sale", "m", euros(amount), { time: NOON + minute * MINUTE_MS });
    assert.deepEqual(
      kit.outputs("now").map(({ data }) => [data.avg, data.start / MINUTE_MS]),
      [
        [1, -55],
        [2, -55],
        [3, 0],
        [7, 5],
      ],
    );
    await kit.advanceWatermark(NOON + 60 * MINUTE_MS + 1);
    assert.equal((kit.actor(meter, "m")!.state.hour as unknown as unknown[]).length, 2);
    await kit.advanceWatermark(NOON + 3 * HOUR_MS);
    assert.equal(kit.actor(meter, "m"), undefined);
  });
});

suite("a session", () => {
  test("is told for the event that came to it last, also when the alarm was set for the one before", async () => {
    const till = actor("till", {
      in: { sale },
      out: { told: output("told", { schema: Type.Object({ count: Type.Integer() }) }) },
      state: { sales: session("5m", { count: count() }) },
      on: {
        sale: (ctx, data) => ctx.state.sales.add(data),
        sales: (ctx, { count: counted }) => void ctx.out.told({ count: counted }),
      },
    });
    const kit = await testJob(job("shop", { log: "shop", actors: [till], outOfOrderness: "2m", allowedLateness: "5m" }), { start: NOON });
    for (const [id, minutes] of [
      ["first", 0],
      ["second", 6],
      ["newest", 8],
      ["last", 7],
    ] as const)
      await kit.send("sale", "k1", euros(1), { id, time: NOON + minutes * MINUTE_MS });
    await kit.advanceWatermark(NOON + HOUR_MS);
    const sessions = kit.outputs("told").map(({ causeId, data }) => [causeId, data.count]);
    assert.deepEqual(sessions, [
      ["first", 1],
      ["last", 3],
    ]);
  });
});

suite("a global window", () => {
  test("by time is told at every multiple, if anything has come since", async () => {
    const total = actor("total", {
      in: { sale },
      out: { told: output("told", { schema: Type.Integer() }) },
      state: { all: globalWindow({ count: count() }, { every: "10m" }) },
      on: { sale: (ctx, data) => ctx.state.all.add(data), all: (ctx, { count: counted }) => ctx.out.told(counted) },
    });
    await using kit = await testJob(job("total", { log: "total", actors: [total], outOfOrderness: 0 }), { start: NOON });
    for (const minute of [1, 2, 25]) await kit.send("sale", "t", euros(1), { time: NOON + minute * MINUTE_MS });
    await kit.advanceWatermark(NOON + HOUR_MS);
    assert.deepEqual(
      kit.outputs("told").map(({ data, time }) => [data, Math.round((Number(time) - NOON) / MINUTE_MS)]),
      [
        [2, 10],
        [3, 30],
      ],
    );
  });
});

suite("declarations that cannot be", () => {
  const aggregates = { count: count() };
  for (const [what, declare, says] of [
    ["a slide over the size", () => sliding("5m", "10m", aggregates), /slide/],
    ["no size", () => tumbling(0, aggregates), /slide/],
    ["too many panes", () => sliding("30d", "1m", aggregates), /panes/],
    ["a word for a duration", () => session("soon", aggregates), /duration/],
    ["an aggregate named like a field of windows", () => tumbling("5m", { start: count() }), /start/],
    ["a time to live", () => tumbling("5m", aggregates).ttl("1h"), /ttl/],
    ["a policy that there is none of", () => tumbling("5m", aggregates, { late: "ignore" as never }), /late/],
  ] as const) {
    test(`are refused: ${what}`, () => {
      assert.throws(declare, says);
    });
  }

  test("are refused: a stream and a window of one name", () => {
    assert.throws(
      () => actor("a", { in: { sale }, state: { sale: tumbling("5m", { count: count() }) }, on: { sale() {} } as never }),
      /two share a name/,
    );
  });
});
