/** Category switches: the third category of a session, once. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { HOUR_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { at, NOON, openTill } from "./till.ts";

type Till = Awaited<ReturnType<typeof openTill>>;

async function shop({ pay }: Till, ...visits: readonly (readonly [minutes: number, category: string])[]): Promise<void> {
  for (const [minutes, merchantCategory] of visits)
    await pay({ id: `${merchantCategory}@${minutes}`, at: NOON + minutes * MINUTE_MS, merchantCategory });
}

suite("a category switch", () => {
  test("is told of at the third distinct category, and once a session", async () => {
    const till = await openTill();
    await shop(till, [0, "grocery"], [1, "fuel"], [2, "grocery"]);
    assert.deepEqual(till.kit.outputs("categorySwitch"), []);
    await shop(till, [3, "jewellery"]);
    const [alert, ...more] = till.kit.takeOutputs("categorySwitch");
    assert.deepEqual(alert?.data, {
      sessionStart: at(0),
      transactionId: "jewellery@3",
      categories: ["grocery", "fuel", "jewellery"],
    });
    assert.deepEqual([alert?.time, alert?.causeId, more], [NOON + 3 * MINUTE_MS, "jewellery@3", []]);
    await shop(till, [4, "travel"], [5, "fuel"]);
    assert.deepEqual(till.told("categorySwitch"), []);
    assert.equal(till.kit.counts.alertsEmitted, 1);
  });

  test("spans transactions at most an hour from each other, the hour included", async () => {
    const till = await openTill();
    await shop(till, [0, "a"], [60, "b"], [120, "c"]);
    assert.equal(till.told("categorySwitch").length, 1);
    await till.pay({ at: NOON + 3 * HOUR_MS + 1, merchantCategory: "d" });
    await till.pay({ at: NOON + 4 * HOUR_MS + 1, merchantCategory: "e" });
    await till.pay({ at: NOON + 5 * HOUR_MS + 2, merchantCategory: "f" });
    assert.deepEqual(till.told("categorySwitch"), []);
  });

  test("comes again in another session", async () => {
    const till = await openTill();
    await shop(till, [0, "a"], [1, "b"], [2, "c"], [90, "a"], [91, "b"], [92, "c"]);
    assert.deepEqual(
      till.told("categorySwitch").map(({ sessionStart }) => sessionStart),
      [at(0), at(1, 30)],
    );
  });
});

suite("two sessions that one behind joins", () => {
  test("are told of when they have three categories together", async () => {
    const till = await openTill();
    await shop(till, [0, "a"], [62, "b"], [63, "b"]);
    await shop(till, [59, "c"]);
    assert.deepEqual(till.told("categorySwitch"), [{ sessionStart: at(0), transactionId: "c@59", categories: ["a", "c", "b"] }]);
  });

  test("are not told of again where the earlier was", async () => {
    const till = await openTill();
    await shop(till, [0, "a"], [1, "b"], [2, "c"], [63, "d"], [60, "e"], [64, "f"]);
    assert.equal(till.told("categorySwitch").length, 1);
  });

  test("are not told of again where the later was", async () => {
    const till = await openTill();
    await shop(till, [0, "x"], [62, "a"], [62, "b"], [62, "c"]);
    assert.equal(till.told("categorySwitch").length, 1);
    await shop(till, [59, "y"], [64, "z"]);
    assert.deepEqual(till.told("categorySwitch"), []);
  });
});
