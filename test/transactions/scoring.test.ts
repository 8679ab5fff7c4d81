/** The fraud score: what the model is told, what becomes of its answer, and what of a transaction that has none. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { DAY_MS, formatInstant, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { FRAUD_FEATURES } from "../../actors/transactions/fraud-features.ts";
import { transactionTables } from "../../actors/transactions/tables.ts";
import { customer } from "../../actors/transactions/transactions.ts";
import { NOON, openTill, PARIS } from "./till.ts";

type Till = Awaited<ReturnType<typeof openTill>>;

const { minConfidence } = JSON.parse(readFileSync(new URL("../../actors/transactions/models/fraud.json", import.meta.url), "utf8"));
const PAID = { customerId: "ann", amount: 10, currency: "EUR", merchantId: "m1", merchantCategory: "grocery" };
const NOBODY = {
  ai_result: null,
  ai_confidence: null,
  ai_actionable: false,
  ai_model: null,
  ai_model_version: null,
  ai_latency_ms: null,
  ai_cached: false,
  ai_slo_breach: false,
};
/** Of an actor; see docs/effects.md. */
const CALLS_MAX = 1_000;

async function openScoredTill(): Promise<Till> {
  const till = await openTill();
  const champion = { version: 3, sha256: "a".repeat(64), minConfidence };
  await till.kit.putReference("_models", "fraud", { version: 1, effectiveFrom: "0000-01-01T00:00:00Z", data: { champion } });
  return till;
}

const callsOf = ({ kit }: Till) => kit.calls(customer, "ann");

function toldOf(till: Till): Readonly<Record<string, number | undefined>>[] {
  return callsOf(till).map(({ input }) => Object.fromEntries(FRAUD_FEATURES.map((name, i) => [name, input.features[i]])));
}

async function answer({ kit }: Till, call: ReturnType<typeof callsOf>[number], fraud: number): Promise<void> {
  const confidence = Math.max(fraud, 1 - fraud);
  const output = { probability: fraud, verdict: fraud > 0.5 ? ("fraud" as const) : ("honest" as const), confidence };
  await kit.reply(call, output, { confidence, latencyMs: 4, units: 1 });
}

suite("the model is told", () => {
  test("of each transaction what the windows hold with it, where the card was, and who pays whom", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    const known = { tier: "gold", accountOpenedAt: "2026-01-01", creditLimit: 400 };
    await kit.putReference(transactionTables.customer, "ann", { version: 1, effectiveFrom: 0, data: known });
    await kit.putReference(transactionTables.merchant, "m1", { version: 1, effectiveFrom: 0, data: { category: "food", riskScore: 0.25 } });
    await pay({ at: NOON - DAY_MS, amount: 20, ...PARIS });
    await pay({ at: NOON, amount: 40, ...PARIS });
    await pay({ at: NOON + 20 * SECOND_MS, amount: 60, merchantCategory: "travel", lat: PARIS.lat + 1, lon: PARIS.lon });
    const [first, , third] = toldOf(till);
    assert.deepEqual(
      [first!.amountToMean30d, first!.count30d, first!.utilisation, first!.accountAgeDays, first!.speedKmh],
      [1, 1, 0.05, 32, -1],
    );
    const { count5m, count30d, amountToMean7d, spent5mToMean30d, utilisation, amountToLimit, merchantRisk, isRemote } = third!;
    // The others' mean is 30; without the hour it is 20.
    assert.deepEqual([count5m, count30d, amountToMean7d, spent5mToMean30d], [2, 3, 2, 5]);
    assert.deepEqual([utilisation, amountToLimit, merchantRisk, isRemote], [0.3, 0.15, 0.25, 0]);
    assert.deepEqual([third!.sessionCategories, third!.sessionTransactions, third!.sessionMinutes], [2, 2, 0.333]);
    assert.ok(Math.abs(third!.distanceKm! - 111.195) < 0.001 && Math.abs(third!.minutesSincePlace! - 0.333) < 0.001);
    await kit.verifyReplay();
  });

  test("of one that comes behind while it is not late, and of none that is late, doubled or refused", async () => {
    const till = await openScoredTill();
    const { kit, pay, payRaw } = till;
    await pay({ at: NOON + 2 * MINUTE_MS, id: "t1" });
    await kit.advanceWatermark(NOON + 4 * MINUTE_MS);
    await pay({ at: NOON + MINUTE_MS, id: "behind", amount: 30 });
    assert.deepEqual(
      toldOf(till).map(({ count1h, spent1hToMean30d }) => [count1h, spent1hToMean30d]),
      [
        [1, 1],
        [2, 1],
      ],
    );
    await pay({ at: NOON - 2 * MINUTE_MS, id: "late" });
    await pay({ at: NOON + 2 * MINUTE_MS, id: "t1" });
    await payRaw("t2", { amount: "10" });
    assert.deepEqual([kit.late().length, kit.quarantined().length, callsOf(till).length], [1, 1, 2]);
  });
});

suite("its answer", () => {
  test("comes out with the transaction, about its time and because of it, whatever came between", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    await pay({ at: NOON, id: "t1", channel: "pos" });
    await pay({ at: NOON + MINUTE_MS, id: "t2", amount: 900 });
    await kit.advanceWatermark(NOON + DAY_MS);
    const [first, second] = callsOf(till);
    await answer(till, second!, 0.9);
    await answer(till, first!, 0.1);
    const answered = { ai_model: "fraud", ai_model_version: 3, ai_confidence: 0.9, ai_actionable: true, ai_latency_ms: 4 };
    const how = { ...answered, ai_cached: false, ai_slo_breach: false };
    assert.deepEqual(
      kit.outputs("scored").map(({ data, time, causeId }) => [causeId, time, data]),
      [
        ["t2", NOON + MINUTE_MS, { ...PAID, amount: 900, ai_result: { probability: 0.9, verdict: "fraud" }, ...how }],
        ["t1", NOON, { ...PAID, channel: "pos", ai_result: { probability: 0.1, verdict: "honest" }, ...how }],
      ],
    );
    assert.deepEqual(kit.actor(customer, "ann")?.state.unscored, {});
    await kit.verifyReplay();
  });

  test("is not to be acted on below the least confidence, and one that comes late says so", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    await pay();
    await kit.advanceClock(201);
    await answer(till, callsOf(till)[0]!, 0.6);
    const { data } = kit.outputs("scored")[0]!;
    assert.deepEqual([data.ai_result?.verdict, data.ai_actionable, data.ai_slo_breach], ["fraud", false, true]);
  });

  test("changes nothing else: neither a window nor the score of another", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    const stateOf = () => kit.actor(customer, "ann")?.state;
    await pay({ ...PARIS });
    const before = stateOf();
    await answer(till, callsOf(till)[0]!, 0.9);
    assert.deepEqual({ ...stateOf(), unscored: before?.unscored }, before);
  });
});

suite("a transaction without an answer", () => {
  test("is put out all the same, with why", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    await pay({ id: "t1" });
    await kit.fail(callsOf(till)[0]!, { code: "TIMEOUT", message: "no answer" }, { latencyMs: 30_000 });
    const { data, time, causeId } = kit.outputs("scored")[0]!;
    assert.deepEqual([causeId, time], ["t1", NOON]);
    assert.deepEqual([data.ai_error, data.ai_result, data.ai_actionable, data.amount], ["TIMEOUT", null, false, 10]);
    assert.deepEqual(kit.actor(customer, "ann")?.state.unscored, {});
  });

  test("because no version of the model is in force says that nobody answered", async () => {
    const till = await openTill();
    const { kit, pay } = till;
    await pay();
    await kit.fail(callsOf(till)[0]!, { code: "MODEL_NOT_ACTIVE", message: "no version is in force" });
    assert.deepEqual(
      kit.outputs("scored").map(({ data }) => data),
      [{ ...PAID, ...NOBODY, ai_error: "MODEL_NOT_ACTIVE" }],
    );
  });

  test("of a flood beyond what may wait is put out at once, counted in every window, and no dead letter; the next one is asked for again", async () => {
    const till = await openScoredTill();
    const { kit, pay } = till;
    for (let i = 1; i <= CALLS_MAX + 2; i++) await pay({ at: NOON + i, id: `t${i}` });
    assert.equal(callsOf(till).length, CALLS_MAX);
    assert.deepEqual(
      kit.takeOutputs("scored").map(({ data, time, causeId }) => [causeId, time, data]),
      [1, 2].map((more) => [`t${CALLS_MAX + more}`, NOON + CALLS_MAX + more, { ...PAID, ...NOBODY, ai_error: "TOO_MANY_CALLS" }]),
    );
    await answer(till, callsOf(till)[0]!, 0.1);
    await pay({ at: NOON + 3 * SECOND_MS, id: "next" });
    assert.deepEqual(
      kit.takeOutputs("scored").map(({ causeId }) => causeId),
      ["t1"],
    );
    assert.equal(callsOf(till).at(-1)!.input.features[FRAUD_FEATURES.indexOf("count5m")], 1_000);
    await kit.advanceWatermark(formatInstant(NOON + 5 * MINUTE_MS));
    assert.deepEqual(
      kit.outputs("transactions5m").map(({ data }) => data.count),
      [CALLS_MAX + 3],
    );
    assert.deepEqual([kit.deadLetters(), kit.quarantined()], [[], []]);
  });
});
