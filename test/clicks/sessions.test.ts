/** Sessions of clicks: where they begin and end, what they say, and what becomes of one that grows behind its end. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { at, Shop, T0 } from "./shop.ts";

const MS = 1 / 60_000;

suite("a session", () => {
  test("is told of once it is over, with all that was done in it", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView", { category: "sale" });
    await shop.happens(1, "productView", { productId: "p2", category: "shoes" });
    await shop.happens(2, "productView", { productId: "p1", category: "books" });
    await shop.happens(3, "addToCart", { productId: "p2" });
    await shop.happens(5, "purchase", { productId: "p3" });
    await shop.passes(36);
    const [closed] = shop.kit.outputs("closed");
    assert.deepEqual(closed?.data, {
      sessionStart: at(0),
      sessionEnd: at(5),
      durationMs: 300_000,
      events: 5,
      clicks: 4,
      products: ["p2", "p1", "p3"],
      categories: ["sale", "shoes", "books"],
      purchased: true,
    });
    assert.deepEqual([closed.type, closed.key, closed.time, closed.causeId], ["session.closed", "ann", T0 + 300_000, "e5"]);
    assert.deepEqual(shop.told("cartAbandoned"), []);
    shop.assertQuiet();
  });

  test("goes on after exactly half an hour, and not a millisecond later", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.happens(30, "pageView");
    await shop.happens(60 + MS, "pageView");
    await shop.passes(100);
    assert.deepEqual(shop.sessions(), ["0-30 r0", `${60 + MS}-${60 + MS} r0`]);
  });

  test("is not over while an event on time can still join it", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.passes(30);
    assert.deepEqual(shop.sessions(), []);
    await shop.passes(30 + MS);
    assert.deepEqual(shop.sessions(), ["0-0 r0"]);
  });

  test("lists what it saw in the order of time, not of arrival, and each once", async () => {
    const shop = await Shop.open();
    await shop.happens(0.4, "productView", { productId: "b", category: "books" });
    await shop.happens(0.4, "productView", { productId: "c", category: "toys" });
    await shop.happens(0.2, "productView", { productId: "a", category: "home" });
    await shop.happens(0.3, "productView", { productId: "c", category: "toys" });
    await shop.happens(0.5, "productView", { productId: "a", category: "" });
    await shop.passes(40);
    const [closed] = shop.told("closed");
    assert.deepEqual(
      [closed?.products, closed?.categories],
      [
        ["a", "c", "b"],
        ["home", "toys", "books"],
      ],
    );
  });

  test("of one page lasts no time", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.passes(31);
    const [closed] = shop.told("closed");
    assert.deepEqual([closed?.durationMs, closed?.events, closed?.products], [0, 1, []]);
  });

  test("holds at most 500 products and 100 categories, and is told of however long their names are", async () => {
    const shop = await Shop.open();
    const name = (i: number) => `${"中".repeat(97)}${String(i).padStart(3, "0")}`;
    for (let i = 0; i < 520; i++) await shop.happens(i / 100, "productView", { productId: name(i), category: name(i) });
    await shop.passes(40);
    const [closed] = shop.told("closed") as { products: string[]; categories: string[]; events: number }[];
    assert.deepEqual([closed!.events, closed!.products.length, closed!.categories.length], [520, 500, 100]);
    assert.deepEqual([closed!.products.at(-1), closed!.categories.at(-1)], [name(499), name(99)]);
    shop.assertQuiet();
  });
});

suite("an event that comes behind the end", () => {
  test("makes the session longer, which is told of again when it is over again", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.passes(32);
    await shop.happens(29, "purchase", { productId: "p" });
    assert.deepEqual(shop.sessions(), ["0-0 r0"]);
    await shop.passes(59);
    assert.deepEqual(shop.sessions(), ["0-0 r0"]);
    await shop.passes(60);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-29 r1"]);
    await shop.happens(58, "pageView");
    await shop.passes(89);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-29 r1", "0-58 r2"]);
    assert.deepEqual(
      shop.told("closed").map(({ purchased }) => purchased),
      [false, true, true],
    );
  });

  test("joins it with the one that follows, which then is one session", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "productView", { productId: "a" });
    await shop.happens(31, "productView", { productId: "c" });
    await shop.passes(31);
    await shop.happens(29, "productView", { productId: "b" });
    await shop.passes(62);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-31 r1"]);
    const joined = shop.told("closed")[1]!;
    assert.deepEqual([joined.events, joined.products], [3, ["a", "b", "c"]]);
  });

  test("is late five minutes behind the watermark, and changes nothing", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.passes(34);
    await shop.happens(29 - MS, "pageView");
    assert.deepEqual(
      shop.kit.late().map(({ data }) => data.eventId),
      ["e3"],
    );
    await shop.happens(29, "pageView");
    await shop.passes(60);
    assert.deepEqual(shop.sessions(), ["0-0 r0", "0-29 r1"]);
  });

  test("and twice, counts once", async () => {
    const shop = await Shop.open();
    const page = { time: at(0), id: "same" };
    await shop.kit.send("pageView", "ann", { userId: "ann" }, page);
    await shop.passes(31);
    await shop.kit.send("pageView", "ann", { userId: "ann" }, page);
    await shop.passes(70);
    assert.deepEqual(shop.sessions(), ["0-0 r0"]);
  });
});

suite("an event", () => {
  test("of a session names the last to come as its cause, whichever session the alarm was set for", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "pageView");
    await shop.happens(31, "pageView");
    await shop.happens(33, "pageView");
    await shop.happens(32.8, "pageView");
    await shop.passes(64);
    assert.deepEqual(
      shop.kit.outputs("closed").map(({ causeId }) => causeId),
      ["e1", "e4"],
    );
  });

  test("with another user id than its key is the key's", async () => {
    const shop = await Shop.open();
    await shop.happens(0, "addToCart", { userId: "bob", category: "toys" });
    await shop.passes(31);
    assert.deepEqual(shop.sessions(), ["0-0 r0"]);
    assert.deepEqual([shop.told("affinity")[0]?.userId, shop.told("cartAbandoned")[0]?.userId], ["ann", "ann"]);
  });

  test("whose product or category is too long, no text, or holds control characters goes to quarantine", async () => {
    const shop = await Shop.open();
    const event = { specversion: "1.0", source: "/shop", type: "product_view", subject: "ann", time: at(0) };
    const bad = [
      { productId: "x".repeat(101) },
      { category: "x".repeat(101) },
      { productId: 7 },
      { category: "a\nb" },
      { userId: undefined },
    ];
    for (const [i, data] of bad.entries()) await shop.kit.sendRaw({ ...event, id: `bad-${i}`, data: { userId: "ann", ...data } });
    assert.deepEqual(
      shop.kit.quarantined().map(({ data }) => data.code),
      bad.map(() => "schema"),
    );
  });
});

test("crashes between all events change nothing", async () => {
  const [whole, crashed] = [await Shop.open(), await Shop.open({ crashBetweenEvents: true })];
  for (const shop of [whole, crashed]) {
    await shop.happens(0, "productView", { productId: "a", category: "electronics" });
    await shop.happens(31, "productView", { productId: "c", category: "accessories" });
    await shop.passes(31);
    await shop.happens(29, "addToCart", { productId: "a" });
    await shop.passes(62);
  }
  assert.deepEqual(crashed.kit.outputs(), whole.kit.outputs());
  assert.deepEqual(crashed.state(), whole.state());
  await crashed.kit.verifyReplay();
});
