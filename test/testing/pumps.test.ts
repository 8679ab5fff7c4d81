import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { part, SPAN_MS, spans, visit, visitors } from "../support/pump-app.ts";

const APP = new URL("../support/pump-app.ts", import.meta.url);
const T0 = Date.UTC(2026, 0, 1);
const rejected = (code: ErrorCode, detail: RegExp) => (error: unknown) => isTidemarkError(error, code) && detail.test(error.message);

suite("an event sent to a source", () => {
  test("reaches the job under its new key, from whatever partition", async () => {
    const kit = await testJob(visitors, { partitions: 3 });
    for (const [i, page] of ["a", "b", "c", "d"].entries()) {
      await kit.from("visits").send(visit, page, { visitor: "ann", ordinal: i });
      assert.deepEqual(
        kit.takeOutputs("seen").map(({ key, data }) => [key, data.ordinal]),
        [["ann", i]],
      );
    }
    await kit.verifyReplay(APP);
  });

  test("moves the watermark as far as the source says", async () => {
    const kit = await testJob(visitors);
    await kit.from("visits").send(visit, "a", { visitor: "ann", ordinal: 1 }, { time: T0 });
    assert.equal(kit.watermark, T0 - 10_000);
    await kit.from("visits").advanceWatermark(T0 + SPAN_MS);
    assert.deepEqual([kit.watermark, kit.outputs("part").length], [T0 + SPAN_MS, 0]);
    await kit.from("visits").advanceWatermark(T0 + SPAN_MS + 1);
    assert.deepEqual(
      kit.outputs("part").map(({ data }) => data),
      [{ span: T0 / SPAN_MS, visits: 1 }],
    );
  });

  test("waits while the shards are crashed, and comes once when they recover", async () => {
    const kit = await testJob(visitors, { crashBetweenEvents: false });
    await kit.from("visits").send(visit, "a", { visitor: "ann", ordinal: 1 });
    await kit.crash();
    await kit.from("visits").send(visit, "a", { visitor: "ann", ordinal: 2 });
    await kit.recover();
    assert.deepEqual(
      kit.outputs("seen").map(({ data }) => data.ordinal),
      [1, 2],
    );
    assert.equal(kit.counts.repeated, 0);
  });

  test("gives the same when the shard crashes between every two units", async () => {
    const outputs = async (crashBetweenEvents: boolean) => {
      const kit = await testJob(visitors, { crashBetweenEvents, start: T0 });
      for (let i = 0; i < 6; i++)
        await kit.from("visits").send(visit, `p${i % 2}`, { visitor: `v${i % 3}`, ordinal: i }, { time: T0 + i * SPAN_MS });
      await kit.from("visits").advanceWatermark(T0 + 10 * SPAN_MS);
      return kit.outputs();
    };
    const straight = await outputs(false);
    assert.equal(straight.length, 12);
    assert.deepEqual(await outputs(true), straight);
  });

  test("of outputs comes as one of the job that makes them, and its watermark is what the test says", async () => {
    const kit = await testJob(spans);
    await kit.from("visitors-out").send(part, "ann", { span: 7, visits: 2 });
    await kit.from("visitors-out").send(part, "bob", { span: 7, visits: 3 });
    assert.equal(kit.watermark, undefined);
    await kit.from("visitors-out").advanceWatermark(8 * SPAN_MS + 1);
    assert.deepEqual(
      kit.outputs("total").map(({ key, data }) => [key, data]),
      [["7", { span: 7, visits: 5, parts: 2 }]],
    );
  });

  test("is refused for a pump that the job has not, a stream that it does not take, and data that it refuses", async () => {
    const kit = await testJob(visitors);
    assert.throws(() => kit.from("other"), rejected("TEST_INPUT", /has no pump "other"; it has "visits"/));
    await assert.rejects(
      kit.from("visits").send(part, "a", { span: 1, visits: 1 }),
      rejected("TEST_INPUT", /Pump "visits" takes no events/),
    );
    await assert.rejects(kit.from("visits").send(visit, "a", { visitor: 7 } as never), rejected("TEST_INPUT", /visit: data/));
  });
});
