/** What models are told: pure, bounded, and what it says it is. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { SENTIMENT_BUCKETS, SENTIMENT_TOKENS, sentimentTokens } from "../../../actors/conversations/sentiment-features.ts";
import { HOUR_MS } from "../../../actors/model/time.ts";
import { forecastInput, WINDOW_HOURS, withHourMean } from "../../../actors/sensors/hour-window.ts";
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";
import { cardholder } from "../../../inference/training/fraud/cardholder.ts";
import { replayed } from "../../../inference/training/fraud/replayed-customer.ts";
import { Noise } from "../../../inference/training/noise.ts";

const START = Date.UTC(2026, 0, 5);

suite("features of a transaction", () => {
  const place = fc.record({ lat: fc.double({ min: -90, max: 90, noNaN: true }), lon: fc.double({ min: -180, max: 180, noNaN: true }) });
  const amount = fc.oneof(fc.double({ min: -1e12, max: 1e12, noNaN: true }), fc.constantFrom(0, 0.01, 1e12, -1e12));
  const payment = fc
    .record({
      afterMs: fc.oneof(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 40 * 24 * HOUR_MS })),
      data: fc.record({ amount, currency: fc.constantFrom("EUR", "JPY"), merchantId: fc.constantFrom("web-0", "web-1", "nobody") }),
      place: fc.option(place, { nil: undefined }),
    })
    .map(({ afterMs, data, place }) => ({ afterMs, data: { customerId: "c", merchantCategory: "x", ...data, ...place } }));

  function featuresOf(payments: readonly { readonly afterMs: number; readonly data: object }[]): number[][] {
    let time = START;
    const purchases = payments.map(({ afterMs, data }) => {
      time += afterMs;
      return { time, data, isFraud: false } as Parameters<typeof replayed>[1][number];
    });
    return [...replayed(cardholder(1, START, new Noise(1)), purchases)];
  }

  test("whatever is paid, wherever and when: as many finite numbers within a hundred thousand, the same again", () => {
    fc.assert(
      fc.property(fc.array(payment, { minLength: 1, maxLength: 12 }), (payments) => {
        const features = featuresOf(payments);
        for (const row of features) {
          assert.equal(row.length, FRAUD_FEATURES.length);
          assert.ok(
            row.every((value) => Number.isFinite(value) && Math.abs(value) <= 100_000 && !Object.is(value, -0)),
            row.join(" "),
          );
        }
        assert.deepEqual(featuresOf(payments), features);
      }),
      { numRuns: 150 },
    );
  });

  test("other amounts by one factor: the same ratios, whatever the currency is worth", () => {
    const times = [0, 60_000, 3 * HOUR_MS, 26 * HOUR_MS, 100_000];
    const paid = (unit: number) =>
      times.map((afterMs, i) => ({
        afterMs,
        data: { amount: (i + 2) * unit, currency: "EUR", merchantId: "web-0", merchantCategory: "x" },
      }));
    const ofLimit = new Set<string>(["utilisation", "amountToLimit"]);
    const ratios = (rows: number[][]) => rows.map((row) => row.filter((_, j) => !ofLimit.has(FRAUD_FEATURES[j]!)));
    assert.deepEqual(ratios(featuresOf(paid(1))), ratios(featuresOf(paid(150))));
  });

  test("three days of one payment each and three within a minute: counts, means and the pace by hand", () => {
    const paid = (afterMs: number, amount: number) => ({
      afterMs,
      data: { amount, currency: "EUR", merchantId: "nobody", merchantCategory: "x" },
    });
    const day = 24 * HOUR_MS;
    const rows = featuresOf([paid(0, 10), paid(day, 20), paid(day, 30), paid(day, 40), paid(20_000, 40), paid(20_000, 120)]);
    const last = Object.fromEntries(FRAUD_FEATURES.map((name, j) => [name, rows.at(-1)![j]]));
    const { amountToMean7d, amountToMean30d, mean1hToMean30d, spent5mToMean30d, spent1hToMean30d, ...rest } = last;
    // The others' mean is 140 by 5, that of the days before 60 by 3, that of the hour 200 by 3.
    assert.deepEqual([amountToMean7d, amountToMean30d], [4.286, 4.286]);
    assert.deepEqual([mean1hToMean30d, spent5mToMean30d, spent1hToMean30d], [3.333, 10, 10]);
    const { count5m, count1h, count7d, count30d, hourToUsualDay, sessionTransactions, sessionMinutes, merchantRisk, isRemote } = rest;
    assert.deepEqual([count5m, count1h, count7d, count30d, hourToUsualDay], [3, 3, 6, 6, 3]);
    assert.deepEqual([sessionTransactions, sessionMinutes, merchantRisk, isRemote], [3, 0.667, -1, 1]);
  });

  test("a far city an hour later: the distance and the speed between them", () => {
    const at = (afterMs: number, lat: number, lon: number) => ({
      afterMs,
      data: { amount: 10, currency: "EUR", merchantId: "m", merchantCategory: "x", lat, lon },
    });
    const [first, second] = featuresOf([at(0, 51.5072, -0.1276), at(HOUR_MS, 48.8566, 2.3522)]);
    const of = (row: readonly number[] | undefined, name: (typeof FRAUD_FEATURES)[number]) => row![FRAUD_FEATURES.indexOf(name)];
    assert.equal(of(first, "speedKmh"), -1);
    assert.ok(Math.abs(of(second, "distanceKm")! - 343.6) < 0.5);
    assert.equal(of(second, "speedKmh"), of(second, "distanceKm"));
    assert.equal(of(second, "minutesSincePlace"), 60);
  });
});

suite("tokens of a conversation", () => {
  const said = (text: string, role = "user") => ({ role, text });
  const tokens = (...texts: readonly string[]) => sentimentTokens(texts.map((text) => said(text))).filter((token) => token !== 0);
  const role = fc.constantFrom("user", "customer", "assistant", "System", "tool");

  test("whatever was said: exactly as many buckets, all of them in range", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ role, text: fc.string({ unit: "grapheme", maxLength: 400 }) }), { maxLength: 30 }), (messages) => {
        const buckets = sentimentTokens(messages);
        assert.equal(buckets.length, SENTIMENT_TOKENS);
        assert.ok(buckets.every((bucket) => Number.isInteger(bucket) && bucket >= 0 && bucket < SENTIMENT_BUCKETS));
        assert.deepEqual(sentimentTokens(messages), buckets);
      }),
    );
  });

  test("a hostile text of 8,192 characters is cut off, and other messages still count", () => {
    const long = sentimentTokens([said("good"), said("a ".repeat(4_096))]);
    assert.ok(long.includes(sentimentTokens([said("good"), said("")])[0]!));
    assert.equal(sentimentTokens([said("x".repeat(8_192))]).filter((token) => token !== 0).length > 0, true);
  });

  test("assistants and tools have no mood: what they say changes nothing", () => {
    assert.deepEqual(
      sentimentTokens([said("it works")]),
      sentimentTokens([said("terrible", "assistant"), said("it works"), said("awful", "Tool")]),
    );
  });

  test("capitals, curly apostrophes and long-drawn letters are written plainly", () => {
    assert.deepEqual(tokens("I don't like it, sooooo bad"), tokens("i DON’T like it, soo bad"));
  });

  test("a negation reaches the next words, and not beyond the end of its clause", () => {
    const bad = tokens("bad");
    assert.equal(
      tokens("not bad").some((token) => bad.includes(token)),
      false,
    );
    assert.equal(
      tokens("it is not, bad").some((token) => bad.includes(token)),
      true,
    );
    assert.equal(
      tokens("not a b c bad").some((token) => bad.includes(token)),
      true,
    );
  });

  test("the last message counts by itself too: turned around, the conversation is another one", () => {
    assert.notDeepEqual(tokens("great", "awful").toSorted(), tokens("awful", "great").toSorted());
  });
});

suite("hours of a device", () => {
  const windowOf = (hours: readonly (readonly [hour: number, mean: number])[]) => {
    let window: ReturnType<typeof withHourMean> | undefined;
    for (const [hour, mean] of hours) window = withHourMean(window, hour * HOUR_MS, mean);
    return window;
  };

  test("47 hours are too few, 48 are given as they are, and of more the last 48", () => {
    const hours = Array.from({ length: 60 }, (_, hour) => [hour, hour * 2] as const);
    assert.equal(forecastInput(windowOf(hours.slice(0, WINDOW_HOURS - 1))), undefined);
    assert.deepEqual(
      forecastInput(windowOf(hours.slice(0, WINDOW_HOURS))),
      hours.slice(0, WINDOW_HOURS).map(([, mean]) => mean),
    );
    assert.deepEqual(
      forecastInput(windowOf(hours)),
      hours.slice(-WINDOW_HOURS).map(([, mean]) => mean),
    );
  });

  test("hours without readings are those of a day before, or the last known", () => {
    const day = Array.from({ length: 24 }, (_, hour) => [hour, 100 + hour] as const);
    assert.deepEqual(windowOf([...day, [26, 7]])!.means.slice(-3), [100, 101, 7]);
    assert.deepEqual(
      windowOf([
        [0, 5],
        [3, 6],
      ])!.means,
      [5, 5, 5, 6],
    );
  });

  test("behind a silence of more than twelve hours, or an hour that was there already, it begins anew", () => {
    assert.deepEqual(
      windowOf([
        [0, 5],
        [13, 6],
      ])!.means.length,
      14,
    );
    assert.deepEqual(
      windowOf([
        [0, 5],
        [14, 6],
      ])!.means,
      [6],
    );
    assert.deepEqual(
      windowOf([
        [3, 5],
        [3, 6],
      ])!.means,
      [6],
    );
  });
});
