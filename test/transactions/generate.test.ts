/** The generator of transactions: the same lines each time, and the disorder that it says it makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { MINUTE_MS, parseInstant, SECOND_MS } from "../../actors/model/time.ts";
import { type TransactionOptions, transactionEvents } from "../../actors/transactions/generate.ts";
import { DISORDER_SHARES, type Disorder } from "../../actors/transactions/generator/disorder.ts";
import { transactionTables } from "../../actors/transactions/tables.ts";
import { type TransactionData, transaction } from "../../actors/transactions/transaction.ts";
import { sampleLines, TABLES } from "./folded.ts";

interface Event {
  readonly id: string;
  readonly subject: string;
  readonly time: string;
  readonly type?: string;
  readonly data: TransactionData;
}

/** As the README says it. */
const SAMPLE: TransactionOptions = { seed: 7, customers: 10, events: 1_600, start: Date.UTC(2026, 1, 1, 23, 45), everyMs: 3_600_000 };
const KINDS = Object.keys(DISORDER_SHARES) as Disorder[];
const README = readFileSync(new URL("../../actors/transactions/README.md", import.meta.url), "utf8");

const sample = [...transactionEvents(SAMPLE)];
const plain = [...transactionEvents({ ...SAMPLE, seed: 3, customers: 30, events: 4_000, disorder: false })];
const events = plain.map(({ text }) => JSON.parse(text) as Event);

suite("the lines", () => {
  test("are the same for the same options", () => {
    assert.deepEqual([...transactionEvents(SAMPLE)], sample);
    assert.notDeepEqual([...transactionEvents({ ...SAMPLE, seed: 8, events: 5 })], sample.slice(0, 5));
  });

  test("of the sample that is checked in are those of the options in the README", () => {
    const texts = sampleLines().map(({ text }) => text);
    assert.ok(
      texts.length === sample.length && texts.every((text, i) => text === sample[i]!.text),
      "made by other options, or by another generator",
    );
    assert.match(README, /seed: 7, customers: 10, events: 1_600, start: Date\.UTC\(2026, 1, 1, 23, 45\), everyMs: 3_600_000/);
  });

  test("end behind as many as were asked for", () => {
    assert.equal([...transactionEvents({ ...SAMPLE, events: 10 })].length, 10);
    assert.deepEqual([...transactionEvents({ ...SAMPLE, events: 0 })], []);
  });
});

suite("without disorder", () => {
  test("every line is a transaction of its customer, with an id of its own", () => {
    for (const [i, { key, time, disorder }] of plain.entries()) {
      const { data, subject, time: text, type } = events[i]!;
      assert.ok(transaction.schema.check(data), JSON.stringify(data));
      assert.deepEqual([subject, data.customerId, type, parseInstant(text), disorder], [key, key, "transaction", time, undefined]);
    }
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
  });

  test("lines come out of order by less than the bound, and do", () => {
    let latest = Number.NEGATIVE_INFINITY;
    let behind = 0;
    for (const { time } of plain) {
      assert.ok(latest - time < 8 * SECOND_MS);
      if (time < latest) behind++;
      latest = Math.max(latest, time);
    }
    assert.ok(behind > 50, `${behind} lines out of order`);
  });

  test("there are edges of windows, money paid back, transactions at one instant, and every kind of merchant", () => {
    const share = (is: (event: Event) => boolean): number => events.filter(is).length;
    assert.ok(share(({ time }) => Date.parse(time) % (5 * MINUTE_MS) === 0) > 10);
    assert.ok(share(({ time }) => (Date.parse(time) + 1) % (5 * MINUTE_MS) === 0) > 10);
    assert.ok(share(({ data }) => data.amount < 0) > 20);
    assert.ok(share(({ data }) => data.lat === undefined) > 100);
    assert.ok(new Set(events.map(({ subject, time }) => subject + time)).size < events.length);
    assert.deepEqual(new Set(events.map(({ data }) => data.currency)), new Set(["GBP", "EUR", "USD", "JPY", "NZD"]));
  });

  test("merchants are those of the reference data, but for one that nobody knows", () => {
    const known = new Map(TABLES.merchant.map(({ id, data }) => [id, (data as { category: string }).category]));
    const paid = new Map(events.map(({ data }) => [data.merchantId, data.merchantCategory]));
    const unknown = [...paid].filter(([id, category]) => known.get(id) !== category).map(([id]) => id);
    assert.deepEqual(unknown, ["tokyo-jewellery"]);
  });
});

suite("the disorder of the sample", () => {
  const byKind = Map.groupBy(sample, ({ disorder }) => disorder);

  test("has every kind, as often as the README says", () => {
    const rows = [...README.matchAll(/^\| `([a-z-]+)` \| (\d+) \|/gm)].map(([, kind, count]) => [kind, Number(count)]);
    assert.deepEqual(
      rows,
      KINDS.map((kind) => [kind, byKind.get(kind)?.length ?? 0]),
    );
    assert.ok(rows.every(([, count]) => (count as number) > 0));
  });

  test("is on the lines that say so", () => {
    const read = (kind: Disorder): Event[] => byKind.get(kind)!.map(({ text }) => JSON.parse(text) as Event);
    for (const { text } of byKind.get("poison")!) assert.throws(() => JSON.parse(text));
    for (const kind of ["wrong-type", "bad-currency", "bad-place"] as const)
      for (const { data } of read(kind)) assert.ok(!transaction.schema.check(data), kind);
    for (const { type } of read("untyped")) assert.equal(type, undefined);
    for (const { subject, data } of read("other-customer")) assert.notEqual(subject, data.customerId);
    for (const line of byKind.get("duplicate")!) assert.ok(sample.slice(0, sample.indexOf(line)).some(({ text }) => text === line.text));
    for (const { id, data } of read("other-content"))
      assert.ok(sample.some(({ text }) => text.includes(`"id":"${id}"`) && !text.includes(`"amount":${data.amount},`)));
  });

  test("is what the shares say", () => {
    const only = { ...Object.fromEntries(KINDS.map((kind) => [kind, 0])), late: 1 };
    const late = [...transactionEvents({ ...SAMPLE, disorder: only })];
    assert.ok(late.every(({ disorder }) => disorder === "late"));
  });
});

test("the records that ship are what their tables take", () => {
  for (const table of [transactionTables.customer, transactionTables.merchant]) {
    const records = TABLES[table.name as "customer" | "merchant"];
    assert.ok(records.length > 10);
    for (const { id, version, effectiveFrom, data } of records) {
      assert.ok(data === null || table.schema.check(data), id);
      assert.ok(version >= 1 && parseInstant(effectiveFrom) !== undefined, id);
    }
  }
});
