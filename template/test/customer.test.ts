/** The actor under the test kit: the same shard as in production, in memory, on a clock that only the test moves. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { testJob } from "tidemark/testing";
import { customer, LIMIT } from "../actors/customer.ts";
import orders from "../app.ts";

test("a customer is told of once, when the orders reach the limit", async () => {
  const kit = await testJob(orders);
  for (const amount of [LIMIT - 1, 1, 500]) await kit.send("placed", "alice", { amount });
  await kit.send("placed", "bob", { amount: LIMIT - 1 });
  assert.deepEqual(
    kit.outputs("bigSpender").map(({ key, data }) => [key, data]),
    [["alice", { orders: 2, total: LIMIT }]],
  );
  // One cell at a time: a cell that is added later is none of this test's business.
  const alice = kit.actor(customer, "alice");
  assert.equal(alice?.state.orders, 3);
  assert.equal(alice?.state.total, LIMIT + 500);
});

test("after a day without an order a customer starts over", async () => {
  const kit = await testJob(orders, { start: "2026-03-03T00:00:00Z" });
  await kit.send("placed", "alice", { amount: LIMIT - 1 }, { time: "2026-03-01T09:00:00Z" });
  await kit.advanceWatermark("2026-03-02T09:00:00.001Z");
  await kit.send("placed", "alice", { amount: 1 }, { time: "2026-03-02T10:00:00Z" });
  assert.deepEqual(kit.outputs("bigSpender"), []);
  assert.equal(kit.actor(customer, "alice")?.state.total, 1);
});

test("an order without an amount goes to quarantine, and the next one is applied", async () => {
  const kit = await testJob(orders, { start: "2026-03-01T09:00:00Z" });
  const broken = { specversion: "1.0", id: "o-1", source: "/shop", type: "order.placed", subject: "alice", time: "2026-03-01T09:00:00Z" };
  await kit.sendRaw({ ...broken, data: {} });
  await kit.send("placed", "alice", { amount: 1 });
  assert.deepEqual(
    kit.quarantined().map(({ data }) => data.code),
    ["schema"],
  );
  assert.equal(kit.actor(customer, "alice")?.state.orders, 1);
});
