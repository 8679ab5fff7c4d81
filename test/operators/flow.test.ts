/** Flows: each step does what its name says, and a flow gives the bytes of the actor that one would have written. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { type Flow, flow } from "../../actors/model/flow/flow.ts";
import type { At } from "../../actors/model/flow/steps.ts";
import { intervalJoin } from "../../actors/model/operators/joins/interval-join.ts";
import { tableJoin } from "../../actors/model/operators/joins/table-join.ts";
import { temporalJoin } from "../../actors/model/operators/joins/temporal-join.ts";
import { count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { MINUTE_MS } from "../../actors/model/time.ts";
import { topologyOf } from "../../actors/model/topology/topology.ts";
import { testJob } from "../../runtime/testing/testing.ts";

const NOON = Date.UTC(2026, 0, 15, 12);
const Sale = Type.Object({ shop: Type.String(), amount: Type.Number() });
type Sale = { shop: string; amount: number };
const sale = stream("sale", { schema: Sale });
const refund = stream("refund", { schema: Sale });
const told = output("told", { schema: Type.Unknown() });
const OPTIONS = { log: "shop", outOfOrderness: 0, allowedLateness: 0 };

type Build = (from: Parameters<Parameters<typeof flow>[2]>[0]["from"]) => void;

/** What a flow tells of sales `[minute, amount]`, or refunds. */
async function toldBy(
  build: Build,
  ...events: readonly (readonly [minute: number, amount: number, stream?: "refund"])[]
): Promise<unknown[]> {
  await using kit = await testJob(
    flow("tested", OPTIONS, ({ from }) => build(from)),
    { start: NOON },
  );
  for (const [minute, amount, which = "sale"] of events)
    await kit.send(which as never, "k", { shop: "s", amount } as never, { time: NOON + minute * MINUTE_MS });
  await kit.advanceWatermark(NOON + 24 * 60 * MINUTE_MS);
  return kit.outputs(told).map(({ data }) => data);
}

suite("a flow's step", () => {
  test("filter lets through what passes", async () => {
    assert.deepEqual(
      await toldBy(
        (from) =>
          from(sale)
            .filter(({ amount }) => amount > 1)
            .map(({ amount }) => amount)
            .to(told),
        [0, 1],
        [0, 2],
      ),
      [2],
    );
  });

  test("flatMap gives each part by itself", async () => {
    assert.deepEqual(
      await toldBy(
        (from) =>
          from(sale)
            .flatMap(({ amount }) => [amount, -amount])
            .to(told),
        [0, 1],
      ),
      [1, -1],
    );
  });

  test("branch sends each to the first that takes it, and the rest to the last", async () => {
    const build: Build = (from) => {
      const { big, middle, rest } = from(sale).branch({ big: ({ amount }) => amount > 10, middle: ({ amount }) => amount > 1 });
      big.map(({ amount }) => `big ${amount}`).to(told);
      middle.map(({ amount }) => `middle ${amount}`).to(told);
      rest.map(({ amount }) => `rest ${amount}`).to(told);
    };
    assert.deepEqual(await toldBy(build, [0, 1], [0, 5], [0, 50]), ["rest 1", "middle 5", "big 50"]);
  });

  test("merge takes from both", async () => {
    assert.deepEqual(
      await toldBy(
        (from) =>
          from(sale)
            .merge(from(refund))
            .map(({ amount }) => amount)
            .to(told),
        [0, 1],
        [1, 2, "refund"],
      ),
      [1, 2],
    );
  });

  test("aggregate gives the running value with each", async () => {
    const build: Build = (from) =>
      from(sale)
        .aggregate("all", { n: count(), sum: sum((s: Sale) => s.amount) })
        .map(({ n, sum: total }) => [n, total])
        .to(told);
    assert.deepEqual(await toldBy(build, [0, 0.1], [1, 0.2]), [
      [1, 0.1],
      [2, 0.3],
    ]);
  });

  test("window gives what it fires", async () => {
    const build: Build = (from) =>
      from(sale)
        .window("minutes", tumbling("5m", { n: count() }))
        .map(({ start, n }) => [(start - NOON) / MINUTE_MS, n])
        .to(told);
    assert.deepEqual(await toldBy(build, [0, 1], [4, 1], [5, 1]), [
      [0, 2],
      [5, 1],
    ]);
  });

  test("inOrder gives them by their times", async () => {
    const build: Build = (from) =>
      from(sale)
        .inOrder("sorted", Sale)
        .map(({ amount }, at: At<unknown>) => [amount, (at.now - NOON) / MINUTE_MS])
        .to(told);
    await using kit = await testJob(
      flow("tested", { ...OPTIONS, outOfOrderness: "10m" }, ({ from }) => build(from)),
      { start: NOON },
    );
    for (const minute of [5, 3, 4])
      await kit.send("sale" as never, "k", { shop: "s", amount: minute } as never, { time: NOON + minute * MINUTE_MS });
    await kit.advanceWatermark(NOON + 60 * MINUTE_MS);
    assert.deepEqual(
      kit.outputs(told).map(({ data }) => data),
      [
        [3, 3],
        [4, 4],
        [5, 5],
      ],
    );
  });

  test("joins take from both sides", async () => {
    const within = intervalJoin({ left: Sale, right: Sale, before: 0, after: "5m", type: "left" });
    const joined: Build = (from) =>
      from(sale)
        .join("back", from(refund), within)
        .map(({ left, right }) => [left?.amount, right?.amount ?? null])
        .to(told);
    assert.deepEqual(await toldBy(joined, [0, 1], [3, 2, "refund"], [9, 4]), [
      [1, 2],
      [4, null],
    ]);
    const asOf: Build = (from) =>
      from(sale)
        .joinAsOf("last", from(refund), temporalJoin({ stream: Sale, table: Sale }))
        .map(({ element, row }) => [element.amount, row?.amount])
        .to(told);
    assert.deepEqual(await toldBy(asOf, [0, 1, "refund"], [1, 2], [2, 3, "refund"]), [[2, 1]]);
    const tables: Build = (from) =>
      from(sale)
        .joinTable("both", from(refund), tableJoin({ left: Sale, right: Sale, keep: "1h" }))
        .map(({ left, right }) => [left?.amount, right?.amount])
        .to(told);
    assert.deepEqual(await toldBy(tables, [0, 1], [1, 2, "refund"], [2, 3]), [
      [1, 2],
      [3, 2],
    ]);
  });

  test("looks up what is in force at the element's time", async () => {
    const tariffs = reference("tariffs", { schema: Type.Object({ rate: Type.Number() }) });
    const of = flow("tested", { ...OPTIONS, reference: { tariffs } }, ({ from }) => {
      from(sale)
        .map(({ shop, amount }, { reference: { tariffs: rates } }) => amount * (rates.get(shop)?.data.rate ?? 1))
        .to(told);
    });
    await using kit = await testJob(of, { start: NOON });
    await kit.putReference(tariffs, "s", { version: 1, effectiveFrom: NOON + 1, data: { rate: 2 } });
    await kit.send("sale" as never, "k", { shop: "s", amount: 4 } as never, { time: NOON });
    await kit.send("sale" as never, "k", { shop: "s", amount: 4 } as never, { time: NOON + 1 });
    assert.deepEqual(
      kit.outputs(told).map(({ data }) => data),
      [4, 8],
    );
    await kit.verifyReplay();
  });
});

suite("a flow that leads to another key", () => {
  const byShop = stream("sale.by-shop", { schema: Sale });
  const two = flow("shops", OPTIONS, ({ from }) => {
    from(sale)
      .filter(({ amount }) => amount > 0)
      .keyBy("by-shop", byShop, ({ shop }) => shop)
      .aggregate("all", { sum: sum((s: Sale) => s.amount) })
      .map(({ sum: total }) => total)
      .to(told);
  });

  test("is a job for each key: the first gives outputs, and a pump feeds the second", async () => {
    const [second, ...more] = two.stages;
    assert.deepEqual([two.name, two.log, second!.name, second!.log, more.length], ["shops", "shop", "by-shop", "by-shop", 0]);
    await using first = await testJob(two, { start: NOON });
    await first.send("sale" as never, "till 1", { shop: "s", amount: 2 } as never);
    await first.send("sale" as never, "till 1", { shop: "s", amount: -2 } as never);
    assert.deepEqual(
      first.outputs().map(({ type, data }) => [type, data]),
      [["sale.by-shop", { shop: "s", amount: 2 }]],
    );
    await using kit = await testJob(second!, { start: NOON });
    for (const till of ["till 1", "till 2"]) await kit.from("shops-out").send(byShop, till, { shop: "s", amount: 2 });
    assert.deepEqual(
      kit.outputs(told).map(({ key, data }) => [key, data]),
      [
        ["s", 2],
        ["s", 4],
      ],
    );
  });

  test("straight from the log needs no job before it", async () => {
    const direct = flow("shops", OPTIONS, ({ from }) => {
      from(sale)
        .keyBy("by-shop", sale, ({ shop }) => shop)
        .aggregate("all", { n: count() })
        .map(({ n }) => n)
        .to(told);
    });
    assert.deepEqual([direct.name, direct.stages.length], ["by-shop", 0]);
    await using kit = await testJob(direct, { start: NOON });
    await kit.from("shop").send(sale, "till 1", { shop: "s", amount: 2 });
    assert.deepEqual(
      kit.outputs(told).map(({ key, data }) => [key, data]),
      [["s", 1]],
    );
  });

  test("cannot be joined with one of another key", () => {
    assert.throws(
      () =>
        flow("shops", OPTIONS, ({ from }) => {
          from(refund)
            .merge(from(sale).keyBy("by-shop", byShop, ({ shop }) => shop))
            .to(told);
        }),
      /merge takes from the stage "by-shop", which has another key/,
    );
  });

  test("is drawn with the pump between its stages", () => {
    const { nodes, edges } = topologyOf([two, ...two.stages]);
    const labels = new Map(nodes.map(({ id, label }) => [id, label]));
    const lines = edges.map(({ from, to }) => `${labels.get(from)} > ${labels.get(to)}`);
    assert(
      lines.some((line) => line.startsWith("sale.by-shop > ")),
      lines.join("; "),
    );
  });
});

suite("a flow", () => {
  test("types what its steps hand on", () => {
    const typed = (chain: Flow<Sale, unknown>): void => {
      // @ts-expect-error there is no such field
      chain.map(({ prize }) => prize);
      // @ts-expect-error the output wants something else
      chain.to(output("n", { schema: Type.Number() }));
      // @ts-expect-error the window takes other elements
      chain.window("w", tumbling("5m", { n: sum((other: { weight: number }) => other.weight) }));
      chain.window("w", tumbling("5m", { n: count() })).map(({ n }) => n satisfies number);
    };
    assert.equal(typeof typed, "function");
  });

  test("is drawn step by step, with what it looks up in", () => {
    const tariffs = reference("tariffs", { schema: Type.Object({ rate: Type.Number() }) });
    const drawn = topologyOf([
      flow("drawn", { ...OPTIONS, reference: { tariffs } }, ({ from }) => {
        const minutes = from(sale).filter(function large({ amount }) {
          return amount > 1;
        });
        minutes.window("minutes", tumbling("5m", { n: count() })).to(told);
      }),
    ]);
    const labels = new Map(drawn.nodes.map(({ id, label }) => [id, label]));
    assert.deepEqual(
      drawn.edges.map(({ from, to, lookup }) => `${labels.get(from)} ${lookup ? "." : ">"} ${labels.get(to)}`),
      [
        "log shop > sale",
        "sale > filter large",
        "filter large > tumbling minutes",
        "tumbling minutes > told",
        "table tariffs . filter large",
      ],
    );
  });

  test("refuses names that are taken, cells that fire nothing, and an end without output", () => {
    const build = (make: Build) => () => flow("tested", OPTIONS, ({ from }) => make(from));
    assert.throws(
      build((from) => void from(sale).filter(() => true)),
      /leads to no output/,
    );
    assert.throws(
      build((from) => {
        for (const _ of [1, 2])
          from(sale)
            .window("w", tumbling("5m", { n: count() }))
            .to(told);
      }),
      /operator w/,
    );
    assert.throws(
      build((from) =>
        from(sale)
          .window("sale", tumbling("5m", { n: count() }))
          .to(told),
      ),
      /stream and operator/,
    );
  });
});
