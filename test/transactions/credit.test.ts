/** Credit utilisation, and the transaction with what is known of who pays and who is paid. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { transactionTables } from "../../actors/transactions/tables.ts";
import { NOON, openTill } from "./till.ts";

const OPENED = { tier: "gold", accountOpenedAt: "2026-01-01" };

suite("credit utilisation", () => {
  test("counts what was spent in the window of thirty days that ends next, this transaction included", async () => {
    const { kit, pay, told } = await openTill();
    await kit.putReference(transactionTables.customer, "ann", { version: 1, effectiveFrom: 0, data: { ...OPENED, creditLimit: 200 } });
    const paid = [
      [0, 20],
      [HOUR_MS, 30],
      [29 * DAY_MS + 11 * HOUR_MS, 10],
      [29 * DAY_MS + 12 * HOUR_MS, 5],
    ] as const;
    for (const [behind, amount] of paid) await pay({ at: NOON + behind, amount });
    assert.deepEqual(
      told("creditUtilisation").map(({ spent30d, utilisation }) => [spent30d, utilisation]),
      [
        [20, 0.1],
        [50, 0.25],
        [60, 0.3],
        [15, 0.075],
      ],
    );
  });

  test("counts each currency against the limit by itself", async () => {
    const { kit, pay, told } = await openTill();
    await kit.putReference(transactionTables.customer, "ann", { version: 1, effectiveFrom: 0, data: { ...OPENED, creditLimit: 100 } });
    await pay({ amount: 20 });
    await pay({ amount: 1, currency: "USD" });
    assert.deepEqual(told("creditUtilisation"), [
      { currency: "EUR", spent30d: 20, creditLimit: 100, utilisation: 0.2 },
      { currency: "USD", spent30d: 1, creditLimit: 100, utilisation: 0.01 },
    ]);
  });

  test("takes the limit in force at the transaction's time, and what was spent so far, for one that comes behind", async () => {
    const { kit, pay, told } = await openTill();
    for (const [version, effectiveFrom, creditLimit] of [
      [1, 0, 100],
      [2, NOON, 1_000],
    ] as const)
      await kit.putReference(transactionTables.customer, "ann", { version, effectiveFrom, data: { ...OPENED, creditLimit } });
    await pay({ at: NOON + MINUTE_MS, amount: 50 });
    await pay({ at: NOON - MINUTE_MS, amount: 10 });
    assert.deepEqual(
      told("creditUtilisation").map(({ spent30d, creditLimit }) => [spent30d, creditLimit]),
      [
        [50, 1_000],
        [60, 100],
      ],
    );
  });

  test("is a finding where there is no limit", async () => {
    const { kit, pay } = await openTill();
    const limits = [undefined, { creditLimit: null }, { creditLimit: 0 }, {}];
    for (const [version, limit] of limits.entries()) {
      if (limit !== undefined)
        await kit.putReference(transactionTables.customer, "ann", { version, effectiveFrom: 0, data: { ...OPENED, ...limit } });
      await pay({ id: `t${version}` });
    }
    assert.deepEqual(kit.outputs("creditUtilisation"), []);
    assert.deepEqual(
      kit.outputs("tidemark.quality").map(({ data }) => data),
      ["unknown-customer", "no-limit", "limit-of-zero", "no-limit"].map((reason, i) => ({
        rule: "no-credit-limit",
        detail: { customerId: "ann", currency: "EUR", reason },
        eventId: `t${i}`,
      })),
    );
  });
});

suite("the enriched transaction", () => {
  test("has who pays and who is paid as they were in force at its time", async () => {
    const { kit, pay, told } = await openTill();
    const { customer, merchant } = transactionTables;
    await kit.putReference(customer, "ann", { version: 1, effectiveFrom: 0, data: { ...OPENED, creditLimit: 5 } });
    await kit.putReference(customer, "ann", { version: 2, effectiveFrom: NOON, data: { ...OPENED, tier: "platinum" } });
    await kit.putReference(merchant, "m1", { version: 1, effectiveFrom: 0, data: { category: "food", riskScore: 0.25 } });
    await pay({ at: NOON - 1, country: "FR" });
    await pay({ at: NOON, amount: -3, channel: "pos" });
    const paid = { customerId: "ann", currency: "EUR", merchantId: "m1", merchantCategory: "grocery" };
    const own = { accountOpenedAt: "2026-01-01", accountAgeDays: 33 };
    assert.deepEqual(told("enriched"), [
      {
        ...paid,
        amount: 10,
        country: "FR",
        customer: { ...own, tier: "gold", creditLimit: 5 },
        merchant: { category: "food", riskScore: 0.25 },
      },
      {
        ...paid,
        amount: -3,
        channel: "pos",
        customer: { ...own, tier: "platinum", creditLimit: null },
        merchant: { category: "food", riskScore: 0.25 },
      },
    ]);
  });

  test("has null for who is unknown, or was removed", async () => {
    const { kit, pay, told } = await openTill();
    const { customer } = transactionTables;
    await pay();
    await kit.putReference(customer, "ann", { version: 1, effectiveFrom: 0, data: { ...OPENED, creditLimit: 5 } });
    await kit.putReference(customer, "ann", { version: 2, effectiveFrom: NOON, data: null });
    await pay();
    assert.deepEqual(
      told("enriched").map((enriched) => [enriched.customer, enriched.merchant]),
      [
        [null, null],
        [null, null],
      ],
    );
  });
});

test("what a transaction must not look like goes to quarantine, changes nothing, and may come again under its id", async () => {
  const { kit, pay, payRaw } = await openTill();
  const bad = [
    { lat: 10 },
    { lon: 10 },
    { amount: "10" },
    { amount: 1e12 + 1 },
    { amount: undefined },
    { currency: "eur" },
    { currency: "EURO" },
    { lat: 90.01, lon: 0 },
    { lat: 0, lon: -180.5 },
    { merchantId: "" },
    { country: null },
    { customerId: "bob" },
  ];
  for (const fault of bad) await payRaw("t1", fault);
  assert.deepEqual(
    kit.quarantined().map(({ data }) => data.code),
    [...bad.slice(1).map(() => "schema"), "customer-mismatch"],
  );
  for (const { data } of kit.quarantined().slice(0, 2)) assert.match(data.reason, /one of lat and lon/);
  await payRaw("t1", { lat: -90, lon: 180 });
  await pay({ id: "t2", amount: 0 });
  await kit.advanceWatermark(NOON + DAY_MS);
  assert.deepEqual(
    kit.outputs("transactions5m").map(({ data }) => [data.count, data.sum]),
    [[2, 10]],
  );
  assert.deepEqual(kit.deadLetters(), []);
});
