/** The windows of a customer: which transactions lie in them, when they are told of, and what they say. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, formatInstant, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { customer } from "../../actors/transactions/transactions.ts";
import { at, NOON, openTill } from "./till.ts";

suite("transactions in five minutes", () => {
  test("are told of once the watermark reaches the window's end, with its start and without its end", async () => {
    const { kit, pay } = await openTill();
    await pay({ at: NOON, amount: 1 });
    await pay({ at: NOON + 5 * MINUTE_MS - 1, amount: 2 });
    await pay({ at: NOON + 5 * MINUTE_MS, amount: 4 });
    await kit.advanceWatermark(at(0, 5, -1));
    assert.deepEqual(kit.outputs("transactions5m"), []);
    await kit.advanceWatermark(at(0, 5));
    const [window, ...more] = kit.takeOutputs("transactions5m");
    assert.deepEqual(window?.data, { windowStart: at(0), windowEnd: at(0, 5), currency: "EUR", count: 2, sum: 3 });
    assert.equal(window?.time, NOON + 5 * MINUTE_MS - 1);
    assert.deepEqual(more, []);
    await kit.advanceWatermark(at(0, 20));
    assert.deepEqual(
      kit.outputs("transactions5m").map(({ data }) => [data.windowStart, data.sum]),
      [[at(0, 5), 4]],
    );
  });

  test("of two currencies are two outputs, and no two currencies are added up", async () => {
    const { kit, pay, told } = await openTill();
    await pay({ amount: 10, currency: "USD" });
    await pay({ amount: 1, currency: "EUR" });
    await pay({ amount: 2, currency: "EUR" });
    await kit.advanceWatermark(at(0, 5));
    const window = { windowStart: at(0), windowEnd: at(0, 5) };
    assert.deepEqual(told("transactions5m"), [
      { ...window, currency: "EUR", count: 2, sum: 3 },
      { ...window, currency: "USD", count: 1, sum: 10 },
    ]);
  });

  test("are summed as decimals, and what is paid back is taken off", async () => {
    const { kit, pay, told } = await openTill();
    for (const amount of [0.1, 0.2, 1e11, -1e11, 4.35, -0.05]) await pay({ amount });
    await kit.advanceWatermark(at(0, 5));
    assert.deepEqual(
      told("transactions5m").map(({ count, sum }) => [count, sum]),
      [[6, 4.6]],
    );
  });

  test("that come behind a window tell of it again with its next revision, those of an empty one without", async () => {
    const { kit, pay, told } = await openTill();
    await pay({ at: NOON });
    await kit.advanceWatermark(at(0, 8));
    told("transactions5m");
    await pay({ at: NOON + 4 * MINUTE_MS });
    await pay({ at: NOON + 3 * MINUTE_MS });
    await pay({ at: NOON + 3 * MINUTE_MS, currency: "USD" });
    assert.deepEqual(
      told("transactions5m").map(({ currency, count, revision }) => [currency, count, revision]),
      [
        ["EUR", 2, 1],
        ["EUR", 3, 2],
        ["USD", 1, undefined],
      ],
    );
    await pay({ at: NOON + 3 * MINUTE_MS - 1 });
    assert.deepEqual(told("transactions5m"), []);
    assert.deepEqual(
      kit.late().map(({ data }) => data.behindMs),
      [5 * MINUTE_MS + 1],
    );
  });
});

test("a lone transaction lies in each of the twelve hours that end every five minutes behind it", async () => {
  const { kit, pay, told } = await openTill();
  await pay({ at: NOON + MINUTE_MS, amount: 8 });
  await kit.advanceWatermark(at(24));
  const windows = told("spend1h");
  assert.deepEqual(
    windows.map(({ windowEnd }) => windowEnd),
    Array.from({ length: 12 }, (_, i) => at(0, 5 * (i + 1))),
  );
  assert.deepEqual(windows[0], { windowStart: at(-1, 5), windowEnd: at(0, 5), currency: "EUR", count: 1, avg: 8 });
});

test("thirty and seven days are told of at each midnight, the whole of them behind", async () => {
  const { kit, pay, told } = await openTill();
  await pay({ at: NOON, amount: 30 });
  await pay({ at: NOON + 3 * DAY_MS, amount: 10 });
  await kit.advanceWatermark(NOON + 40 * DAY_MS);
  const spent = told("spend30d");
  const midnight = NOON + 12 * HOUR_MS;
  assert.deepEqual(
    spent.map(({ windowEnd, count, sum }) => [windowEnd, count, sum]),
    Array.from({ length: 33 }, (_, day) => [formatInstant(midnight + day * DAY_MS), ...(day < 3 ? [1, 30] : day < 30 ? [2, 40] : [1, 10])]),
  );
  assert.equal(spent[0]?.windowStart, formatInstant(midnight - 30 * DAY_MS));
  const averages = told("average7d");
  assert.deepEqual(
    averages.map(({ avg }) => avg),
    [30, 30, 30, 20, 20, 20, 20, 10, 10, 10],
  );
  assert.deepEqual(averages[3], {
    windowStart: formatInstant(midnight - 4 * DAY_MS),
    windowEnd: formatInstant(midnight + 3 * DAY_MS),
    currency: "EUR",
    count: 2,
    avg: 20,
  });
});

test("each feature is kept by currency, for the length of its window", () => {
  const kept = customer.outputs.flatMap(({ feature }) => (feature === undefined ? [] : [feature]));
  assert.deepEqual(
    kept.map(({ name, ttlMs, by }) => [name, ttlMs, by]),
    [
      ["transactions-5m", 5 * MINUTE_MS, "currency"],
      ["spend-1h", HOUR_MS, "currency"],
      ["spend-30d", 30 * DAY_MS, "currency"],
      ["average-7d", 7 * DAY_MS, "currency"],
      ["credit-utilisation", 30 * DAY_MS, "currency"],
    ],
  );
});
