/** What users like: weights, their decay in event time, whose category counts, and what is forgotten. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type Affinity, gained, HALF_LIFE_MS, remaining } from "../../actors/clicks/affinity.ts";
import { DAY_MS } from "../../actors/model/time.ts";
import { Shop } from "./shop.ts";

const WEEK = 7 * 24 * 60;
const scores = (shop: Shop) => shop.told("affinity").map((told) => told.scores);

suite("a score", () => {
  test("grows by 1 for a view, 3 for a cart and 5 for a purchase, and not for a page", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView", { category: "toys" });
    await shop.happens(0, "productView", { category: "toys" });
    await shop.happens(0, "addToCart", { category: "toys" });
    await shop.happens(0, "purchase", { category: "toys" });
    await shop.happens(0, "productView", { category: "books" });
    assert.deepEqual(scores(shop), [{ toys: 1 }, { toys: 4 }, { toys: 9 }, { books: 1, toys: 9 }]);
    assert.equal(shop.told("affinity")[0]?.userId, "ann");
  });

  test("is halved in seven days, and told of as of the newest event", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "purchase", { category: "toys" });
    await shop.happens(WEEK, "productView", { category: "books" });
    await shop.happens(2 * WEEK, "productView", { category: "toys" });
    assert.deepEqual(scores(shop), [{ toys: 5 }, { books: 1, toys: 2.5 }, { books: 0.5, toys: 2.25 }]);
    await shop.happens(2.5 * WEEK, "productView", { category: "home" });
    assert.deepEqual(scores(shop)[3], { books: 0.353553, home: 1, toys: 1.59099 });
  });

  test("gets of an event that comes behind what is left of its weight by then", async () => {
    const shop = await Shop.open();
    await shop.happens(4, "productView", { category: "books" });
    await shop.happens(0, "purchase", { category: "toys" });
    const [, behind] = shop.kit.outputs("affinity");
    assert.deepEqual(behind?.data.scores, { books: 1, toys: 4.998625 });
    assert.equal(behind.time, shop.kit.outputs("affinity")[0]?.time, "as of the newest event");
    await shop.passes(10);
    await shop.happens(1, "purchase", { category: "toys" });
    assert.equal(scores(shop).length, 2, "a late one gets nothing");
  });

  test("is forgotten once it rounds to nothing", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "productView", { category: "toys" });
    await shop.happens(20.9 * WEEK, "productView", { category: "books" });
    await shop.happens(21 * WEEK, "productView", { category: "home" });
    assert.deepEqual(scores(shop)[1], { books: 1, toys: 0.000001 });
    assert.deepEqual(Object.keys(scores(shop)[2] as object), ["books", "home"]);
    assert.equal((shop.state().affinity as Affinity).scores.length, 2);
  });

  test("is kept of a hundred categories: the lowest goes", async () => {
    const shop = await Shop.open();
    for (let i = 0; i < 100; i++) await shop.happens(0, i === 50 ? "productView" : "addToCart", { category: `c${i}` });
    await shop.happens(0, "purchase", { category: "new" });
    const last = scores(shop).at(-1) as object;
    assert.deepEqual([Object.keys(last).length, "c50" in last, "new" in last], [100, false, true]);
  });

  test("may have any name", async () => {
    const shop = await Shop.open();
    for (const category of ["__proto__", "constructor", "42"]) await shop.happens(0, "productView", { category });
    assert.deepEqual(Object.entries(scores(shop).at(-1) as object).sort(), [
      ["42", 1],
      ["__proto__", 1],
      ["constructor", 1],
    ]);
    shop.assertQuiet();
  });
});

suite("the category of an event that names a product alone", () => {
  test("is the one that the user's newest event named with it, whatever that was", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView", { productId: "p", category: "toys" });
    await shop.happens(1, "addToCart", { productId: "p" });
    await shop.happens(3, "productView", { productId: "p", category: "books" });
    await shop.happens(2.8, "productView", { productId: "p", category: "home" });
    await shop.happens(4, "purchase", { productId: "p" });
    const [cart, , , purchase] = scores(shop) as Record<string, number>[];
    assert.deepEqual(cart, { toys: 3 });
    assert.ok(purchase!.books! > 5.9);
  });

  test("is not known of a product that only somebody else saw, or of none: no score changes", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "productView", { productId: "p", category: "toys" }, "somebody-else");
    await shop.happens(1, "addToCart", { productId: "p" });
    await shop.happens(2, "purchase");
    await shop.happens(2, "purchase", { productId: "", category: "" });
    assert.deepEqual(scores(shop), []);
    await shop.passes(40);
    assert.equal(shop.told("closed")[0]?.purchased, true);
  });

  test("is known of the hundred products seen last", async () => {
    const shop = await Shop.open();
    for (let i = 0; i < 101; i++) await shop.happens(i / 1_000, "pageView", { productId: `p${i}`, category: `c${i}` });
    await shop.happens(1, "addToCart", { productId: "p0" });
    await shop.happens(1, "addToCart", { productId: "p1" });
    assert.deepEqual(scores(shop), [{ c1: 3 }]);
  });
});

suite("what is left of a weight", () => {
  test("is a half for each seven days, exactly, and for what is between within the last bits of a double", () => {
    for (let weeks = 0; weeks <= 60; weeks++) assert.equal(remaining(weeks * HALF_LIFE_MS), 0.5 ** weeks);
    for (let elapsed = 0; elapsed < 40 * DAY_MS; elapsed += 12_345_678) {
      const expected = 2 ** (-elapsed / HALF_LIFE_MS);
      assert.ok(Math.abs(remaining(elapsed) / expected - 1) < 1e-15, `${elapsed}`);
    }
    assert.equal(remaining(1_000 * HALF_LIFE_MS), 0);
  });

  test("is the same in whatever order events come", () => {
    const events = [0, 3, 40, 11, 25, 8].map((days) => days * DAY_MS + 17);
    const sum = (times: readonly number[]) =>
      times.reduce((known: Affinity | undefined, time) => gained(known, "c", 3, time), undefined)!.scores[0]!.score;
    const forward = sum(events.toSorted((a, b) => a - b));
    for (const times of [events, events.toReversed()]) assert.ok(Math.abs(sum(times) - forward) < 1e-12);
  });
});
