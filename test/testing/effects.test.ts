import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import quotes, { fees, trader } from "./apps/quotes.ts";
import riskJob, { risk } from "./apps/risk.ts";

const QUOTES = new URL("./apps/quotes.ts", import.meta.url);
const rejected = (code: ErrorCode, detail: RegExp) => (error: unknown) => isTidemarkError(error, code) && detail.test(error.message);

suite("the sample of docs/effects.md", () => {
  /** Where things come from differs between a reader's project and this repository. */
  const body = (text: string) => text.slice(text.indexOf("const Payment"));

  test("is the file that is compiled here", () => {
    const page = readFileSync(new URL("../../docs/effects.md", import.meta.url), "utf8");
    const [, block = ""] = /^```ts\n(.*?)^```$/ms.exec(page) ?? [];
    assert.equal(body(block), body(readFileSync(new URL("./apps/risk.ts", import.meta.url), "utf8")));
  });

  test("alerts for a high score and for a call that failed, and not for a low score", async () => {
    const kit = await testJob(riskJob);
    for (const amount of [1, 2, 3]) await kit.send("paid", "ann", { amount, country: "NL" });
    const [low, high, failing] = kit.calls(risk, "ann");
    await kit.reply(low!, { score: 0.2 });
    await kit.reply(high!, { score: 0.95 });
    await kit.fail(failing!, { code: "TIMEOUT", message: "no answer within 2 s" });
    assert.deepEqual(
      kit.outputs("alert").map(({ data }) => data),
      [
        { amount: 2, why: "score 0.95" },
        { amount: 3, why: "TIMEOUT" },
      ],
    );
  });
});

suite("calls that wait", () => {
  test("have what was asked for, when and until when, and are gone when answered", async () => {
    const kit = await testJob(quotes);
    const position = await kit.send("wanted", "ann", { pair: "EURUSD" });
    const [call, ...others] = kit.calls();
    assert.deepEqual(others, []);
    assert.deepEqual(call, {
      id: `quotes.${position}.rate.1`,
      actor: "trader",
      effect: "rate",
      key: "ann",
      input: { pair: "EURUSD" },
      requestedAt: position,
      deadline: kit.now + 5_000,
    });
    const answered = await kit.reply(kit.calls(trader, "ann")[0]!, 101.5);
    assert.deepEqual(kit.actor(trader, "ann")?.state, { answers: 1, rates: { EURUSD: 101.5 } });
    const [mood, ...more] = kit.calls();
    assert.deepEqual([mood?.effect, mood?.input, mood?.requestedAt, more], ["mood", "EURUSD", answered, []]);
  });

  test("are listed over partitions, of one key and of one actor", async () => {
    const kit = await testJob(quotes, { partitions: 3 });
    for (const key of ["ann", "bob", "cid", "dan", "ann"]) await kit.send("wanted", key, { pair: key });
    assert.deepEqual(
      kit
        .calls()
        .map(({ key }) => key)
        .sort(),
      ["ann", "ann", "bob", "cid", "dan"],
    );
    assert.equal(kit.calls(trader).length, 5);
    assert.deepEqual(
      kit.calls(trader, "ann").map(({ input }) => input),
      [{ pair: "ann" }, { pair: "ann" }],
    );
    for (const call of kit.calls()) if (call.effect === "rate") await kit.reply(call, 1);
    assert.deepEqual(kit.calls(), []);
    assert.equal(kit.outputs("quote").length, 5);
    assert.throws(() => kit.calls(trader, ""), rejected("KEY_INVALID", /""/));
    assert.throws(() => kit.calls(risk as never), rejected("TEST_INPUT", /no actor "risk"/));
  });

  test("wait on behind their deadline: only a result closes one", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    await kit.advanceClock("1h");
    assert.equal(kit.calls().length, 1);
    await kit.reply(kit.calls(trader, "ann")[0]!, 1);
    assert.equal(kit.outputs("quote").length, 1);
  });
});

suite("an answer", () => {
  test("that the effect does not declare is refused, and the call waits on", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    const [call] = kit.calls();
    for (const output of ["1", undefined, Number.NaN, 1n, { rate: 1 }]) {
      await assert.rejects(kit.reply(call!, output as never), rejected("TEST_INPUT", /reply to rate/));
    }
    for (const failure of [{ code: "", message: "no" }, { code: "X".repeat(65), message: "no" }, { code: "X" }]) {
      await assert.rejects(kit.fail(call!, failure as never), rejected("TEST_INPUT", /fail: /));
    }
    assert.equal(kit.calls().length, 1);
    assert.deepEqual(kit.outputs(), []);
  });

  test("that is over the bound is refused, and the call waits on", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    for (const call of kit.calls()) if (call.effect === "rate") await kit.reply(call, 101);
    const [mood] = kit.calls();
    assert(mood?.effect === "mood");
    await assert.rejects(
      kit.reply(mood, { mood: "x".repeat(2 ** 22) }),
      rejected("TEST_INPUT", /reply to mood: the output has 4194315 bytes/),
    );
    assert.equal(kit.calls().length, 1);
  });

  test("that its handler throws at rejects with what it threw, and the call is used up", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    await assert.rejects(kit.reply(kit.calls(trader, "ann")[0]!, -1), /^RangeError: x below zero$/);
    assert.deepEqual(kit.calls(), []);
    assert.equal(kit.deadLetters()[0]?.data.handler, "trader.rate.done");
  });

  test("to a call that has one, or that is none of this test's, is refused", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    const [call] = kit.calls(trader, "ann");
    for (const id of ["", "quotes.0:1.0.rate.1", call!.id.replace("rate", "mood"), call!.id.replace("0:", "7:")]) {
      await assert.rejects(kit.fail({ ...call!, id }, { code: "X", message: "" }), rejected("TEST_INPUT", /does not wait/));
    }
    await kit.fail(call!, { code: "TIMEOUT", message: "m".repeat(2_000) });
    assert.equal(kit.outputs("failure")[0]?.data.message.length, 1_024);
    await assert.rejects(kit.reply(call!, 1), rejected("TEST_INPUT", /does not wait/));
  });

  test("waits until a crashed shard has an owner again, and is that owner's", async () => {
    const kit = await testJob(quotes);
    await kit.send("wanted", "ann", { pair: "x" });
    await kit.send("wanted", "ann", { pair: "y" });
    const [first, second] = kit.calls();
    await kit.crash();
    await assert.rejects(kit.fail(first!, { code: "X", message: "" }), rejected("TEST_STATE", /recover/));
    await kit.recover();
    await kit.fail(first!, { code: "X", message: "" });
    await kit.crash();
    await kit.recover();
    await kit.fail(second!, { code: "Y", message: "" });
    assert.deepEqual(
      kit.outputs("failure").map(({ data }) => data.code),
      ["X", "Y"],
    );
    assert.deepEqual(kit.calls(), []);
  });
});

suite("the dead letter of a result's handler", () => {
  test("is put back with the result as a whole, and again when that fails too", async () => {
    const kit = await testJob(quotes, { onFailure: "dead-letter" });
    await kit.send("wanted", "ann", { pair: "x" });
    await kit.reply(kit.calls(trader, "ann")[0]!, -1);
    const [letter] = kit.takeOutputs("tidemark.dead-letter");
    assert.equal(letter?.data.handler, "trader.rate.done");
    assert.deepEqual(letter?.data.call?.input, { pair: "x" });
    await kit.redrive(letter!);
    const [again] = kit.takeOutputs("tidemark.dead-letter");
    assert.deepEqual([again?.data.handler, again?.data.call?.id], ["trader.rate.done", letter?.data.call?.id]);
    await kit.redrive(again!);
    assert.equal(kit.deadLetters().length, 1);
    assert.equal(kit.counts.redriven, 2);
  });

  test("of a failure calls failed once more", async () => {
    const kit = await testJob(quotes, { onFailure: "dead-letter" });
    await kit.send("wanted", "ann", { pair: "x" });
    await kit.fail(kit.calls(trader, "ann")[0]!, { code: "FATAL", message: "boom" });
    const [letter] = kit.takeOutputs("tidemark.dead-letter");
    await kit.redrive(letter!);
    assert.equal(kit.deadLetters()[0]?.data.handler, "trader.rate.failed");
  });

  test("whose position holds no result of its call is refused", async () => {
    const kit = await testJob(quotes, { onFailure: "dead-letter" });
    const asked = await kit.send("wanted", "ann", { pair: "x" });
    await kit.reply(kit.calls(trader, "ann")[0]!, -1);
    const [letter] = kit.deadLetters();
    for (const position of [asked, letter!.position.replace(".0", ".1"), "0:999.0"]) {
      await assert.rejects(kit.redrive({ ...letter!, position }), rejected("TEST_INPUT", /no result of the call/));
    }
  });
});

suite("effects and reference data together", () => {
  for (const crashBetweenEvents of [false, true]) {
    test(`come out the same when folded again, crashes between events: ${crashBetweenEvents}`, async () => {
      const kit = await testJob(quotes, { partitions: 2, onFailure: "dead-letter", crashBetweenEvents });
      for (let i = 0; i < 12; i++) {
        const pair = `p${i % 4}`;
        await kit.putReference(fees, pair, { version: i + 1, effectiveFrom: kit.now, data: i % 5 === 4 ? null : { fee: i } });
        await kit.send("wanted", `k${i % 3}`, { pair });
        if (i % 2 === 0) continue;
        for (const call of kit.calls()) {
          if (call.effect === "mood") await kit.reply(call, { mood: "fine" });
          else if (i % 3 === 0) await kit.fail(call, { code: i % 4 === 1 ? "FATAL" : "TIMEOUT", message: "no" });
          else await kit.reply(call, i === 5 ? -1 : i * 20);
        }
        if (i === 7) await kit.crash();
        if (i === 7) await kit.recover();
        await kit.advanceClock("10s");
      }
      for (const letter of kit.deadLetters()) await kit.redrive(letter);
      const types = new Set(kit.outputs().map(({ name }) => name));
      for (const name of ["quote", "failure", "tidemark.dead-letter", "tidemark.audit"] as const) assert.ok(types.has(name), name);
      const { outputs, moduleState } = await kit.verifyReplay(QUOTES);
      assert.equal(outputs, kit.outputs().length);
      assert.equal(moduleState, "checked");
    });
  }
});
