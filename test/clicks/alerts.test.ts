/** Alerts of clicks: carts that were left behind, and pairs of categories, each told of once a session. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { at, Shop } from "./shop.ts";

suite("a cart", () => {
  test("that is not bought by the end of the session is abandoned", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "productView", { productId: "a" });
    await shop.happens(1, "addToCart", { productId: "b" });
    await shop.happens(2, "addToCart");
    await shop.happens(3, "addToCart", { productId: "a" });
    await shop.happens(4, "addToCart", { productId: "b" });
    await shop.happens(5, "pageView");
    await shop.passes(36);
    const expected = { userId: "ann", sessionStart: at(0), sessionEnd: at(5), products: ["b", "a"] };
    assert.deepEqual(shop.told("cartAbandoned"), [expected]);
    assert.equal(shop.kit.counts.alertsEmitted, 1);
  });

  test("is not abandoned before the session is over", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "addToCart", { productId: "a" });
    await shop.passes(30);
    assert.deepEqual(shop.told("cartAbandoned"), []);
  });

  test("is not abandoned when anything is bought in the session, before or behind it", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "purchase", { productId: "z" });
    await shop.happens(1, "addToCart", { productId: "a" });
    await shop.passes(32);
    assert.equal(shop.told("closed").length, 1);
    assert.deepEqual(shop.told("cartAbandoned"), []);
  });

  test("is told of again neither with a revision that says the same, nor taken back by one with a purchase", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "addToCart", { productId: "a" });
    await shop.passes(32);
    await shop.happens(29, "addToCart", { productId: "b" });
    await shop.passes(61);
    await shop.happens(58, "purchase", { productId: "a" });
    await shop.passes(89);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-29 r1", "0-58 r2"]);
    assert.deepEqual(
      shop.told("cartAbandoned").map(({ sessionEnd }) => sessionEnd),
      [at(0)],
    );
    assert.equal(shop.told("closed")[2]?.purchased, true);
    const { alertsEmitted, alertsSuppressed } = shop.kit.counts;
    assert.deepEqual([alertsEmitted, alertsSuppressed], [1, 1]);
  });

  test("that only a revision shows is told of with it", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.passes(32);
    await shop.happens(29, "addToCart", { productId: "a" });
    await shop.passes(60);
    assert.deepEqual(
      shop.told("cartAbandoned").map(({ sessionStart, sessionEnd }) => [sessionStart, sessionEnd]),
      [[at(0), at(29)]],
    );
  });

  test("that was told of keeps the session that it is joined to from being told of", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "addToCart", { productId: "a" });
    await shop.happens(31, "addToCart", { productId: "b" });
    await shop.passes(31);
    await shop.happens(29, "pageView");
    await shop.passes(62);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-31 r1"]);
    assert.equal(shop.told("cartAbandoned").length, 1);
  });

  test("is told of in each session that has one", async () => {
    const shop = await Shop.open();
    for (const minute of [0, 40, 80]) await shop.happens(minute, "addToCart", { productId: "a" });
    await shop.passes(120);
    assert.equal(shop.told("cartAbandoned").length, 3);
    assert.equal(shop.state().told.length, 1, "what was told of sessions that are gone is let go");
  });
});

suite("two categories of a pair", () => {
  const view = async (shop: Shop, minutes: number, category: string) => await shop.happens(minutes, "productView", { category });

  test("are told of at the view that makes them two, once a session", async () => {
    const shop = await Shop.open();
    await view(shop, 0, "electronics");
    await view(shop, 1, "books");
    assert.deepEqual(shop.told("crossSell"), []);
    await view(shop, 2, "accessories");
    await view(shop, 3, "electronics");
    await shop.happens(4, "pageView");
    assert.deepEqual(shop.told("crossSell"), [{ userId: "ann", sessionStart: at(0), categories: ["electronics", "accessories"] }]);
    await view(shop, 40, "accessories");
    await view(shop, 41, "electronics");
    assert.equal(shop.told("crossSell").length, 2);
    assert.equal(shop.kit.outputs("crossSell")[0]?.causeId, "e3");
    assert.equal(shop.kit.counts.alertsEmitted, 2);
  });

  test("are not told of when they lie in two sessions", async () => {
    const shop = await Shop.open();
    await view(shop, 0, "electronics");
    await view(shop, 31, "accessories");
    assert.deepEqual(shop.told("crossSell"), []);
  });

  test("are told of when a page behind both joins their sessions", async () => {
    const shop = await Shop.open();
    await view(shop, 0, "electronics");
    await view(shop, 31, "accessories");
    await shop.happens(30.9, "pageView", {}, "somebody-else");
    await shop.happens(29, "pageView");
    assert.deepEqual(shop.told("crossSell"), [{ userId: "ann", sessionStart: at(0), categories: ["electronics", "accessories"] }]);
    assert.equal(shop.kit.outputs("crossSell")[0]?.causeId, "e4");
  });

  test("were told of in both sessions that are joined: not again", async () => {
    const shop = await Shop.open();
    for (const minute of [0, 31]) {
      await view(shop, minute, "electronics");
      await view(shop, minute, "accessories");
    }
    await shop.happens(29, "pageView");
    await view(shop, 32, "electronics");
    assert.equal(shop.told("crossSell").length, 2);
  });

  test("are not told of again when the session turns out to have begun earlier", async () => {
    const shop = await Shop.open();
    await view(shop, 0.4, "electronics");
    await view(shop, 0.4, "accessories");
    await view(shop, 0, "electronics");
    await view(shop, 1, "accessories");
    assert.deepEqual(
      shop.told("crossSell").map(({ sessionStart }) => sessionStart),
      [at(0.4)],
    );
  });

  test("that are only carted or bought are not viewed", async () => {
    const shop = await Shop.open();
    await view(shop, 0, "electronics");
    await shop.happens(1, "addToCart", { category: "accessories" });
    await shop.happens(2, "pageView", { category: "accessories" });
    assert.deepEqual(shop.told("crossSell"), []);
  });

  test("are those of the record in force at the event's time, and the same pair the other way round", async () => {
    const shop = await Shop.open();
    await shop.pairs([["home", "garden"]]);
    await shop.pairs(
      [
        ["garden", "home"],
        ["books", "toys"],
      ],
      2,
      at(10),
    );
    await view(shop, 0, "toys");
    await view(shop, 1, "books");
    await view(shop, 2, "home");
    await view(shop, 3, "garden");
    await view(shop, 4, "shoes");
    await view(shop, 5, "clothing");
    await shop.happens(10, "pageView");
    assert.deepEqual(
      shop.told("crossSell").map(({ categories }) => categories),
      [
        ["home", "garden"],
        ["books", "toys"],
      ],
    );
  });

  test("are none where the record has none, and the built-in ones where there is no record", async () => {
    for (const [record, expected] of [
      [false, 1],
      [true, 0],
    ] as const) {
      const shop = await Shop.open();
      if (record) await shop.pairs([]);
      await view(shop, 0, "shoes");
      await view(shop, 1, "clothing");
      assert.equal(shop.told("crossSell").length, expected);
    }
  });

  test("of one name, or of three, are refused when they are put", async () => {
    const shop = await Shop.open();
    for (const pairs of [[["a", "a"]], [["a", "b", "c"]], [["a"]], [["a", ""]]])
      await assert.rejects(shop.pairs(pairs as unknown as [string, string][]), { code: "REFERENCE_INVALID" });
  });
});
