/** Aggregates give what their plain definition gives, in whatever parts and order the elements of a part were gathered. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import type { Aggregate } from "../../actors/model/operators/windows/aggregates/aggregate.ts";
import { collect, distinct, first, last } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { avg, count, max, min, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { quantile } from "../../actors/model/operators/windows/aggregates/quantile.ts";
import { reducer } from "../../actors/model/operators/windows/aggregates/reducer.ts";
import { topK } from "../../actors/model/operators/windows/aggregates/top-k.ts";
import { schemaOf } from "../../actors/model/schema.ts";
import { mulberry32 } from "../../actors/random.ts";
import { RUNS, SEED } from "./runs.ts";

interface Item {
  readonly time: number;
  readonly value: number | undefined;
  readonly word: string;
}

type Defined<R> = { readonly aggregate: Aggregate<Item, never, R>; readonly is: (sorted: readonly Item[]) => unknown };

const valuesOf = (items: readonly Item[]): number[] => items.flatMap(({ value }) => (value === undefined ? [] : [value]));
/** Cents, so that plain arithmetic is exact. */
const cents = (items: readonly Item[]): number => valuesOf(items).reduce((total, value) => total + Math.round(value * 100), 0);
const words = (items: readonly Item[]): string[] => items.map(({ word }) => word);

const DEFINED: Readonly<Record<string, Defined<unknown>>> = {
  count: { aggregate: count() as never, is: (items) => items.length },
  "count of some": {
    aggregate: count((i: Item) => i.word === "b") as never,
    is: (items) => words(items).filter((word) => word === "b").length,
  },
  sum: { aggregate: sum((i: Item) => i.value) as never, is: (items) => cents(items) / 100 },
  avg: {
    aggregate: avg((i: Item) => i.value) as never,
    is: (items) => (valuesOf(items).length === 0 ? undefined : cents(items) / (100 * valuesOf(items).length)),
  },
  min: {
    aggregate: min((i: Item) => i.value) as never,
    is: (items) => (valuesOf(items).length === 0 ? undefined : Math.min(...valuesOf(items))),
  },
  max: {
    aggregate: max((i: Item) => i.value) as never,
    is: (items) => (valuesOf(items).length === 0 ? undefined : Math.max(...valuesOf(items))),
  },
  first: { aggregate: first((i: Item) => i.value) as never, is: (items) => valuesOf(items)[0] },
  last: { aggregate: last((i: Item) => i.value) as never, is: (items) => valuesOf(items).at(-1) },
  distinct: { aggregate: distinct((i: Item) => i.word) as never, is: (items) => [...new Set(words(items))] },
  "distinct, three at most": {
    aggregate: distinct((i: Item) => i.word, { max: 3 }) as never,
    is: (items) => [...new Set(words(items))].slice(0, 3),
  },
  collect: { aggregate: collect((i: Item) => i.word) as never, is: words },
  "collect, five at most": { aggregate: collect((i: Item) => i.word, { max: 5 }) as never, is: (items) => words(items).slice(0, 5) },
  topK: { aggregate: topK(3, (i: Item) => i.word) as never, is: (items) => mostFrequent(words(items)).slice(0, 3) },
  reducer: {
    aggregate: reducer({
      schema: Type.String(),
      add: (text = "", item: Item, time) => sortedText(`${text}${item.word}${time} `),
      merge: (a, b) => sortedText(a + b),
      result: (text) => text.trim(),
    }) as never,
    is: (items) =>
      items
        .map(({ word, time }) => `${word}${time}`)
        .sort()
        .join(" "),
  },
};

function sortedText(text: string): string {
  return `${text.trim().split(" ").sort().join(" ")} `;
}

function mostFrequent(all: readonly string[]): { value: string; count: number; error: number }[] {
  const counts = new Map<string, number>();
  for (const word of all) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts]
    .map(([value, counted]) => ({ value, count: counted, error: 0 }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}

suite("an aggregate", () => {
  for (const [name, { aggregate, is }] of Object.entries(DEFINED)) {
    test(`"${name}" gives what its definition gives (OPERATOR_SEED=${SEED})`, () => {
      for (let run = 0; run < RUNS; run++) {
        const seed = SEED + run;
        const arrived = items(seed);
        const sorted = arrived.toSorted((a, b) => a.time - b.time);
        assert.deepEqual(gathered(aggregate, arrived, seed), is(sorted), `OPERATOR_SEED=${seed}`);
      }
    });
  }

  test("of a quantile lies within its accuracy of the value at that rank", () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const arrived = items(seed);
      const values = valuesOf(arrived).sort((a, b) => a - b);
      for (const q of [0, 0.1, 0.5, 0.9, 1]) {
        const told = gathered(quantile(q, (i: Item) => i.value) as never, arrived, seed) as number | undefined;
        const exact = values[Math.floor(q * (values.length - 1))];
        if (exact === undefined) assert.equal(told, undefined);
        else assert(Math.abs(told! - exact) <= Math.abs(exact) * 0.01 + 1e-9, `OPERATOR_SEED=${seed}: ${told} for ${exact} at ${q}`);
      }
    }
  });

  test("of the most frequent values, beyond its bound, is too high by no more than it says", () => {
    const all = Array.from({ length: 500 }, (_, i) => `w${Math.floor((i * 7919) % 97) % (1 + (i % 40))}`);
    const aggregate = topK(5, (word: string) => word, { max: 10 });
    const told = resultOf(aggregate, all);
    const exact = new Map(mostFrequent(all).map(({ value, count: counted }) => [value, counted]));
    for (const { value, count: counted, error } of told) {
      assert(counted >= exact.get(value)!, value);
      assert(counted - error <= exact.get(value)!, value);
    }
    assert.equal(told.length, 5);
  });
});

test("a mean is the number nearest to what decimals give", () => {
  assert.equal(
    resultOf(
      avg((value: number) => value),
      [2.3, 0, 0, 0, 0],
    ),
    0.46,
  );
  assert.equal(
    resultOf(
      avg((value: number) => value),
      [0.1, 0.2],
    ),
    0.15,
  );
});

suite("a sum", () => {
  const total = (...values: number[]): number => {
    return resultOf(
      sum((value: number) => value),
      values,
    );
  };

  test("is exact as decimals have it", () => {
    assert.equal(total(0.1, 0.2), 0.3);
    assert.equal(total(0.1, 0.2, -0.3), 0);
    assert.equal(total(1e15, 0.01, -1e15), 0.01);
    assert.equal(total(9007199254740991, 1, -1), 9007199254740991);
    assert.equal(total(1e300, 1e-7, -1e300), 1e-7);
    assert.equal(total(5e-324, 5e-324), 1e-323);
    assert.equal(total(-0), 0);
    assert(!Object.is(total(-0), -0));
  });

  test("of what is no finite number is refused", () => {
    assert.throws(() => total(Number.NaN), { code: "NOT_A_NUMBER" });
    assert.throws(() => total(Number.POSITIVE_INFINITY), { code: "NOT_A_NUMBER" });
  });
});

function resultOf<T, A, R>(aggregate: Aggregate<T, A, R>, elements: readonly T[]): R {
  let known: A | undefined;
  elements.forEach((element, i) => {
    known = aggregate.add(known, element, i);
  });
  return aggregate.result(known!);
}

/** In parts that follow each other in time, each in the order of arrival, put together from the left or from the right. */
function gathered(aggregate: Aggregate<Item, never, unknown>, arrived: readonly Item[], seed: number): unknown {
  const random = mulberry32(seed ^ 0x9e3779b9);
  const cuts = [1 + Math.floor(random() * 50), 1 + Math.floor(random() * 50)].sort((a, b) => a - b);
  const parts = [0, ...cuts].map((from, i) => arrived.filter(({ time }) => time >= from && time < (cuts[i] ?? 1e9)));
  const { layout } = schemaOf(aggregate.schema);
  const made = parts
    .filter((part) => part.length > 0)
    // As a row keeps it in between.
    .map((part) =>
      part.reduce(
        (known, item) => layout.normalize(aggregate.add(known as never, item, item.time), "", { bytes: 0 }),
        undefined as unknown,
      ),
    );
  const merge = (a: unknown, b: unknown): unknown => layout.normalize(aggregate.merge(a as never, b as never), "", { bytes: 0 });
  const whole = random() < 0.5 ? made.reduce(merge) : made.reduceRight((b, a) => merge(a, b));
  return aggregate.result(whole as never);
}

function items(seed: number): Item[] {
  const random = mulberry32(seed);
  return Array.from({ length: 1 + Math.floor(random() * 40) }, () => ({
    time: Math.floor(random() * 60),
    value: random() < 0.1 ? undefined : Math.round((random() - 0.5) * 100_000) / 100 + 0, // no state keeps a zero below zero
    word: "abcdefgh"[Math.floor(random() * random() * 8)]!,
  }));
}
