import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { job as jobOf } from "../../actors/model/job.ts";
import { stream } from "../../actors/model/stream.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import job, { account } from "./apps/accounts.ts";

const nothing = { amount: 0, shop: "tea" };

/** Reaches for what a handler must not have, as the event says. */
const reaching = jobOf("reaching", {
  log: "reaching",
  actors: [
    actor("reaching", {
      in: { reach: stream("reach", { schema: Type.Object({ for: Type.String() }) }) },
      on: {
        reach(_ctx, event) {
          if (event.for === "clock") Date.now();
          if (event.for === "text") throw "only a text";
        },
      },
    }),
  ],
});

suite("a handler that throws", () => {
  test("rejects the call with its own error and stack, and leaves its dead letter", async () => {
    const kit = await testJob(job);
    await assert.rejects(kit.send("paid", "ann", nothing), (error: unknown) => {
      assert.ok(error instanceof RangeError);
      assert.equal(error.message, "nothing was paid");
      assert.match(error.stack ?? "", /accounts\.ts:\d+/);
      return true;
    });
    assert.deepEqual(
      kit.deadLetters().map(({ key, data }) => [key, data.handler, data.error.name, data.eventId]),
      [["ann", "account.account.paid", "RangeError", "e1"]],
    );
    assert.equal(kit.actor(account, "ann"), undefined);
  });

  test("is told once, and the test goes on", async () => {
    const kit = await testJob(job);
    await assert.rejects(kit.send("paid", "ann", nothing), RangeError);
    await kit.send("paid", "ann", { amount: 2, shop: "tea" });
    assert.equal(kit.actor(account, "ann")?.state.total, 2);
    await kit.crash();
    await kit.recover();
    assert.equal(kit.deadLetters().length, 1);
  });

  test("is only a dead letter when the test says so", async () => {
    const kit = await testJob(job, { onFailure: "dead-letter" });
    await kit.send("paid", "ann", nothing);
    assert.equal(kit.deadLetters().length, 1);
    assert.equal(kit.counts.deadLettered, 1);
  });

  test("for a timer rejects the call that let time pass", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", { amount: 13, shop: "tea" });
    await assert.rejects(kit.advanceWatermark(kit.now + 60_000), /^Error: thirteen$/);
    assert.equal(kit.deadLetters()[0]?.data.timer?.name, "report");
  });

  test("beside others in one call gives them all", async () => {
    const kit = await testJob(job);
    const bad = { stream: "paid", data: nothing } as const;
    await assert.rejects(
      kit.sendBatch([
        { ...bad, key: "ann" },
        { ...bad, key: "bob" },
      ]),
      (error: unknown) => error instanceof AggregateError && error.errors.length === 2 && /2 handlers threw/.test(error.message),
    );
  });

  test("something that is no error rejects with that", async () => {
    const kit = await testJob(reaching);
    await assert.rejects(kit.send("reach", "k", { for: "text" }), (thrown: unknown) => thrown === "only a text");
  });
});

test("a handler that reaches for the machine's clock is caught, with what to use instead", async () => {
  const kit = await testJob(reaching);
  await assert.rejects(kit.send("reach", "k", { for: "clock" }), /Date\.now\(\) is not allowed.*ctx\.now/);
  assert.equal(kit.deadLetters()[0]?.data.error.code, "NONDETERMINISTIC");
});

test("handlers run in UTC, as on a node, wherever the test runs", async () => {
  const app = new URL("./apps/hours.ts", import.meta.url).pathname;
  const { stdout } = await promisify(execFile)(process.execPath, [app], { env: { ...process.env, TZ: "Asia/Tokyo" } });
  assert.equal(stdout, "5\n");
});

suite("a redrive", () => {
  test("calls the handler that failed with its event once more, and says so", async () => {
    const kit = await testJob(job, { onFailure: "dead-letter" });
    await kit.send("paid", "ann", nothing, { id: "bad" });
    const [letter] = kit.takeOutputs("tidemark.dead-letter");
    await kit.redrive(letter!, { who: "ann", reason: "why not" });
    assert.equal(kit.outputs("tidemark.audit")[0]?.data.who, "ann");
    const [again] = kit.takeOutputs("tidemark.dead-letter");
    assert.equal(again?.data.eventId, "bad");
    await kit.redrive(again!);
    assert.equal(kit.deadLetters().length, 1);
    assert.equal(kit.counts.redriven, 2);
  });

  test("calls a timer's handler with its data once more", async () => {
    const kit = await testJob(job, { onFailure: "dead-letter" });
    await kit.send("paid", "ann", { amount: 13, shop: "tea" });
    await kit.advanceWatermark(kit.now + 60_000);
    const [letter] = kit.takeOutputs("tidemark.dead-letter");
    await kit.redrive(letter!);
    assert.equal(kit.deadLetters()[0]?.data.error.message, "thirteen");
  });

  test("of something that is no dead letter of this test is refused", async () => {
    const kit = await testJob(job, { onFailure: "dead-letter" });
    await kit.send("paid", "ann", nothing);
    const [letter] = kit.deadLetters();
    await assert.rejects(kit.redrive({ ...letter!, position: "7:1.0" }), /TEST_INPUT: redrive/);
    await assert.rejects(kit.redrive({ ...letter!, position: "0:99.0" }), /TEST_INPUT: redrive/);
  });
});
