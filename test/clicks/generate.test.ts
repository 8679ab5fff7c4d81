/** The generator of clicks: the same lines each time, visits in order, and the disorder that the README counts. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type ClickLine, type ClickOptions, clickEvents } from "../../actors/clicks/generate.ts";
import { DISORDER_SHARES, VISIT_SHARES } from "../../actors/clicks/generator/disorder.ts";
import { MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";

interface ClickEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const SAMPLE: ClickOptions = { seed: 7, users: 90, evenings: 2, start: Date.UTC(2026, 2, 2, 18) };
const sample = [...clickEvents(SAMPLE)];
const plain = [...clickEvents({ ...SAMPLE, seed: 3, disorder: false })];
const eventOf = ({ text }: ClickLine) => JSON.parse(text) as ClickEvent;

suite("the lines", () => {
  test("are the same for the same options", () => {
    assert.deepEqual([...clickEvents(SAMPLE)], sample);
    assert.notDeepEqual([...clickEvents({ ...SAMPLE, seed: 8 })].slice(0, 5), sample.slice(0, 5));
  });

  test("of the sample that is checked in are those of its options", () => {
    const text = readFileSync(new URL("../../actors/clicks/sample.ndjson", import.meta.url), "utf8");
    assert.ok(text === sample.map((line) => `${line.text}\n`).join(""), "made by other options, or by another generator");
  });

  test("go wrong as often as the README says", () => {
    const page = readFileSync(new URL("../../actors/clicks/README.md", import.meta.url), "utf8");
    const [, table] = page.split("### What goes wrong") as [string, string];
    const rows = [...table.matchAll(/^\| `([a-z-]+)` \| (\d+) \|/gm)].map(([, kind, count]) => [kind, Number(count)] as const);
    const kinds = [...Object.keys(DISORDER_SHARES), ...Object.keys(VISIT_SHARES)];
    const counted = kinds.map((kind) => [kind, sample.filter(({ disorder }) => disorder === kind).length] as const);
    assert.deepEqual(rows, counted);
    assert.ok(counted.every(([, count]) => count > 0));
    assert.match(page, new RegExp(`^${sample.length.toLocaleString("en")} lines`, "m"));
  });

  test("that are duplicates came before, and those with other content under an id that came before", () => {
    for (const [i, line] of sample.entries()) {
      const before = sample.slice(0, i);
      if (line.disorder === "duplicate") assert.ok(before.some(({ text }) => text === line.text));
      if (line.disorder !== "other-content") continue;
      const { id } = eventOf(line);
      assert.ok(before.some(({ text }) => text.includes(`"id":"${id}"`) && text !== line.text));
    }
  });
});

suite("without disorder", () => {
  test("every line is an event of the shop, and comes less than the jitter out of order", () => {
    let latest = 0;
    for (const line of plain) {
      const { subject, time, data } = eventOf(line);
      assert.deepEqual([line.key, line.time, data.userId, line.disorder], [subject, Date.parse(time), subject, undefined]);
      assert.ok(latest - line.time < 20 * SECOND_MS);
      latest = Math.max(latest, line.time);
    }
    assert.equal(new Set(plain.map((line) => eventOf(line).id)).size, plain.length);
  });

  test("all types are there, exact gaps, and carts with and without a purchase", () => {
    const types = Map.groupBy(plain.map(eventOf), ({ type }) => type);
    for (const type of ["page_view", "product_view", "add_to_cart", "purchase"]) assert.ok(types.get(type)!.length > 20, type);
    const times = Map.groupBy(plain, ({ key }) => key);
    let exact = 0;
    for (const own of times.values()) {
      const sorted = own.map(({ time }) => time).sort((a, b) => a - b);
      exact += sorted.filter((time, i) => i > 0 && time - sorted[i - 1]! === 30 * MINUTE_MS).length;
    }
    assert.ok(exact >= 5, `${exact}`);
    const carts = [...Map.groupBy(plain.map(eventOf), ({ subject }) => subject).values()].map((own) => own.map(({ type }) => type));
    const abandoned = carts.filter((own) => own.includes("add_to_cart") && !own.includes("purchase"));
    assert.ok(abandoned.length > 5);
  });
});
