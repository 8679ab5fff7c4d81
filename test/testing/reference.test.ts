import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { reference } from "../../actors/model/reference.ts";
import { type ErrorCode, isTidemarkError } from "../../runtime/errors.ts";
import { type JobTest, testJob } from "../../runtime/testing/testing.ts";
import job, { fees } from "./apps/quotes.ts";

const QUOTES = new URL("./apps/quotes.ts", import.meta.url);
const FROM = "2026-01-01T00:00:00Z";
const HOUR = 3_600_000;
const rejected = (code: ErrorCode, detail: RegExp) => (error: unknown) => isTidemarkError(error, code) && detail.test(error.message);

/** Fees of the quotes that the keys get now, each for the pair x. */
async function quoted(kit: JobTest<typeof job>, keys: readonly string[]): Promise<(number | null | undefined)[]> {
  for (const key of keys) await kit.send("wanted", key, { pair: "x" });
  for (const call of kit.calls()) if (call.effect === "rate") await kit.reply(call, 1);
  const quotes = kit.takeOutputs("quote");
  return keys.map((wanted) => quotes.find(({ key }) => key === wanted)?.data.fee);
}

const KEYS = ["ann", "bob", "cid", "dan"];

suite("a record that is put", () => {
  test("is seen by all that is sent afterwards, in every partition, from its time on", async () => {
    const kit = await testJob(job, { partitions: 3 });
    assert.deepEqual(await quoted(kit, KEYS), [null, null, null, null]);
    assert.deepEqual(await kit.putReference(fees, "x", { version: 1, effectiveFrom: FROM, data: { fee: 1 } }), {
      sequence: 1,
      written: true,
    });
    await kit.putReference(fees, "x", { version: 2, effectiveFrom: kit.now + HOUR, data: { fee: 2 } });
    assert.deepEqual(await quoted(kit, KEYS), [1, 1, 1, 1]);
    await kit.advanceClock("1h");
    assert.deepEqual(await quoted(kit, KEYS), [2, 2, 2, 2]);
    await kit.putReference(fees, "x", { version: 3, effectiveFrom: kit.now, data: null });
    assert.deepEqual(await quoted(kit, KEYS), [null, null, null, null]);
    assert.deepEqual(kit.quarantined(), []);
  });

  test("again is found, and each version stands in the partition once", async () => {
    const kit = await testJob(job);
    const sequence = async () => Number(/^0:(\d+)\./.exec(await kit.send("wanted", "ann", { pair: "x" }))?.[1]);
    const before = await sequence();
    const one = { version: 1, effectiveFrom: FROM, data: { fee: 1 } };
    await kit.putReference(fees, "x", one);
    assert.deepEqual(await kit.putReference(fees, "x", one), { sequence: 1, written: false });
    await kit.putReference(fees, "y", one);
    assert.equal(await sequence(), before + 3);
  });

  test("while the shards are crashed reaches them when they recover", async () => {
    const kit = await testJob(job, { partitions: 2 });
    await kit.putReference(fees, "x", { version: 1, effectiveFrom: FROM, data: { fee: 1 } });
    await kit.crash();
    await kit.putReference(fees, "x", { version: 2, effectiveFrom: FROM, data: { fee: 2 } });
    await kit.recover();
    assert.deepEqual(await quoted(kit, KEYS), [2, 2, 2, 2]);
    await kit.crash();
    await kit.recover();
    assert.deepEqual(await quoted(kit, ["ann"]), [2]);
    assert.equal((await kit.verifyReplay(QUOTES)).moduleState, "checked");
  });

  for (const crashBetweenEvents of [false, true]) {
    test(`is folded again to the same, more than a copier takes at once, crashes between events: ${crashBetweenEvents}`, async () => {
      const kit = await testJob(job, { crashBetweenEvents });
      for (let version = 1; version <= 130; version++) {
        await kit.putReference(fees, `p${version % 7}`, { version, effectiveFrom: FROM, data: { fee: version } });
      }
      await kit.send("wanted", "ann", { pair: "p3" });
      for (const call of kit.calls()) if (call.effect === "rate") await kit.reply(call, 1);
      assert.equal(kit.outputs("quote")[0]?.data.fee, 129);
      assert.equal((await kit.verifyReplay()).outputs, 1);
    });
  }
});

suite("a record that cannot be", () => {
  test("is refused as the writer refuses it, and changes nothing", async () => {
    const kit = await testJob(job);
    const one = { version: 1, effectiveFrom: FROM, data: { fee: 1 } };
    await kit.putReference(fees, "x", one);
    const put = (id: string, record: object) => kit.putReference(fees, id, { ...one, ...record });
    await assert.rejects(put("x", { data: { fee: -1 } }), rejected("REFERENCE_INVALID", /fee/));
    await assert.rejects(put("x", { data: { fee: "1" } }), rejected("REFERENCE_INVALID", /fee/));
    await assert.rejects(put("x", { version: 1.5 }), rejected("REFERENCE_INVALID", /version/));
    await assert.rejects(put("", {}), rejected("REFERENCE_INVALID", /id/));
    await assert.rejects(put("x", { data: { fee: 2 } }), rejected("REFERENCE_CONFLICT", /other content/));
    await put("x", { version: 5 });
    await assert.rejects(put("x", { version: 4 }), rejected("REFERENCE_CONFLICT", /does not follow version 5/));
    await assert.rejects(put("x", { version: 6, effectiveFrom: "today" }), rejected("TEST_INPUT", /effectiveFrom/));
    assert.deepEqual(await quoted(kit, ["ann"]), [1]);
    assert.deepEqual(kit.quarantined(), []);
  });

  test("because no actor reads its table is refused", async () => {
    const kit = await testJob(job);
    const limits = reference("limits", { schema: Type.Object({}) });
    const record = { version: 1, effectiveFrom: FROM, data: {} };
    await assert.rejects(kit.putReference(limits, "x", record), rejected("TEST_INPUT", /no.*"limits".*"fees"/i));
  });
});

suite("a schema that is activated", () => {
  const schema = { properties: { pair: { maxLength: 1 } } };

  for (const crashBetweenEvents of [false, true]) {
    test(`holds what is sent afterwards to it, from its time on, crashes between events: ${crashBetweenEvents}`, async () => {
      const kit = await testJob(job, { partitions: 2, crashBetweenEvents });
      const type = "rate.wanted";
      await kit.putReference("_schemas", type, { version: 1, effectiveFrom: kit.now + HOUR, data: schema });
      await kit.send("wanted", "ann", { pair: "eur" });
      await kit.advanceClock("1h");
      await kit.send("wanted", "ann", { pair: "eur" });
      await kit.send("wanted", "bob", { pair: "x" });
      assert.deepEqual(
        kit.quarantined().map(({ data }) => [data.code, data.reason]),
        [["schema", `data /pair must not have more than 1 characters (schema version 1 of ${type})`]],
      );
      await kit.putReference("_schemas", type, { version: 2, effectiveFrom: kit.now, data: null });
      await kit.send("wanted", "ann", { pair: "eur" });
      assert.equal(kit.quarantined().length, 1);
      await kit.verifyReplay();
    });
  }

  test("may be declared with Type, and is refused when it is not understood or nobody takes its type", async () => {
    const kit = await testJob(job);
    const put = (type: string, data: object) => kit.putReference("_schemas", type, { version: 1, effectiveFrom: FROM, data });
    await assert.rejects(put("rate.wanted", { minimun: 1 }), rejected("REFERENCE_INVALID", /"minimun", which is not understood/));
    await assert.rejects(put("rate.wnated", {}), rejected("REFERENCE_INVALID", /no job of the log takes.*"rate\.wanted"/));
    await put("rate.wanted", Type.Object({ pair: Type.String({ pattern: "^[a-z]$" }) }));
    await kit.send("wanted", "ann", { pair: "X" });
    assert.equal(kit.quarantined().length, 1);
  });
});
