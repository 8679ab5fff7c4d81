/** Features as training has them, against those of the actor's state in a real fold. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { job } from "../../../actors/model/job.ts";
import { output } from "../../../actors/model/stream.ts";
import { DAY_MS, HOUR_MS } from "../../../actors/model/time.ts";
import { noteCategory } from "../../../actors/transactions/categories.ts";
import { state } from "../../../actors/transactions/customer.ts";
import { gather } from "../../../actors/transactions/features.ts";
import { FRAUD_FEATURES, fraudFeatures } from "../../../actors/transactions/fraud-features.ts";
import { locate, placeReached } from "../../../actors/transactions/location.ts";
import { outputs } from "../../../actors/transactions/outputs.ts";
import { transactionTables } from "../../../actors/transactions/tables.ts";
import { transaction } from "../../../actors/transactions/transaction.ts";
import transactions from "../../../actors/transactions/transactions.ts";
import { cardholder, honestPurchases, staysOf } from "../../../inference/training/fraud/cardholder.ts";
import { FRAUD_PATTERNS, theft } from "../../../inference/training/fraud/fraud-patterns.ts";
import { riskOf } from "../../../inference/training/fraud/merchants.ts";
import { replayed } from "../../../inference/training/fraud/replayed-customer.ts";
import { Noise } from "../../../inference/training/noise.ts";
import { testJob } from "../../../runtime/testing/testing.ts";

const START = Date.UTC(2026, 0, 5);
const DAYS = 9;

/** The customer with its state and its handlers, telling the features and nothing else. */
const customer = actor("customer", {
  in: { transaction },
  out: { ...outputs, features: output("features", { schema: Type.Array(Type.Number()) }) },
  state,
  reference: transactionTables,
  on: {
    transaction(ctx, data, { id }) {
      gather(ctx, data);
      locate(ctx, data, id);
      noteCategory(ctx, data, id);
      ctx.out.features(fraudFeatures(ctx, data));
    },
    transactions5m: () => undefined,
    spend1h: () => undefined,
    spend30d: () => undefined,
    average7d: () => undefined,
    located: (ctx, reached) => placeReached(ctx, reached, transactions.settings.allowedLatenessMs),
  },
});
const told = job("features", { log: "features", actors: [customer], outOfOrderness: "10s", allowedLateness: "5m" });

for (const [index, { name }] of FRAUD_PATTERNS.entries()) {
  test(`a customer whose card meets ${name}: training sees the features that the actor would tell`, async () => {
    const noise = new Noise(900 + index);
    const holder = { ...cardholder(index, START, noise), outings: 3 };
    const stays = staysOf(holder, START, DAYS, noise);
    const honest = honestPurchases(holder, stays, START, DAYS, noise);
    const stolen = theft(name, { holder, stays, honest, at: START + 6 * DAY_MS + HOUR_MS, noise });
    const purchases = [...honest, ...stolen].map((one) => ({ ...one, time: Math.floor(one.time) })).sort((a, b) => a.time - b.time);
    const kit = await testJob(told, { start: START });
    const since = { version: 1, effectiveFrom: "2000-01-01T00:00:00Z" };
    if (holder.known !== undefined) await kit.putReference(transactionTables.customer, holder.id, { ...since, data: holder.known });
    for (const id of new Set(purchases.map(({ data }) => data.merchantId))) {
      const known = riskOf(id);
      if (known !== undefined) await kit.putReference(transactionTables.merchant, id, { ...since, data: known });
    }
    for (const { time, data } of purchases) {
      if (time > kit.now) await kit.advanceClockTo(time, { atOnce: true });
      await kit.send("transaction", holder.id, data, { time });
    }
    const features = kit.takeOutputs("features").map(({ data }) => data);
    assert.ok(features.length > 20, `${features.length}`);
    assert.deepEqual(features, [...replayed(holder, purchases)]);
    await kit.close();
  });
}

test("the sample with all that is wrong on its way: each transaction that is applied has its features, late ones and doubles have none", async () => {
  const text = readFileSync(new URL("../../../actors/transactions/sample.ndjson", import.meta.url), "utf8");
  const kit = await testJob(told, { start: "2026-03-10T00:00:00Z" });
  for (const line of text.trimEnd().split("\n")) await kit.sendRaw(line, { key: /"subject":"([^"]+)"/.exec(line)?.[1] ?? "cut-off" });
  const features = kit.outputs("features").map(({ data }) => data);
  assert.equal(features.length, kit.counts.applied);
  assert.ok(features.length > 1_000, `${features.length}`);
  assert.ok(features.every((row) => row.length === FRAUD_FEATURES.length && row.every(Number.isFinite)));
  await kit.close();
});
