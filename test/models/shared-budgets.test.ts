/** Budgets of tenants and models: what shards may take of them, together and each. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { allotmentOf, BUDGET_TABLE, type BudgetRecord } from "../../actors/fold/activated-budgets.ts";
import { generationOf, type Job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import { checkActivated } from "../../runtime/reference/activation.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { writer, writers } from "../support/budgeted.ts";

const START = Date.parse("2026-01-01T00:10:00Z");
const EVER = "0000-01-01T00:00:00Z";
const CHAMPION = { version: 1, sha256: "a".repeat(64) };
const CHALLENGER = { version: 2, sha256: "b".repeat(64), share: 1 };
type Kit = Awaited<ReturnType<typeof started>>;

async function started({ partitions = 1, crashBetweenEvents = false, challenged = false } = {}) {
  const kit = await testJob(writers, { start: START, onFailure: "dead-letter", partitions, crashBetweenEvents });
  for (const model of ["text", "sight"])
    await kit.putReference("_models", model, {
      version: 1,
      effectiveFrom: EVER,
      data: { champion: CHAMPION, ...(challenged ? { challenger: CHALLENGER } : {}) },
    });
  return kit;
}

const budget = (kit: Kit, id: string, data: BudgetRecord | null, version = 1, effectiveFrom: string | number = EVER) =>
  kit.putReference("_budgets", id, { version, effectiveFrom, data });
const toldBy = (kit: Kit) => kit.takeOutputs("told").map(({ data: { what, left } }) => `${what} ${left}`);

suite("a budget of a model", () => {
  test("is taken by asking, settled by answers, and whole by a failure; effects that say more take more", async () => {
    const kit = await started();
    await budget(kit, "model:text", { units: 20, per: "1d", reserve: 4 });
    await kit.send("asked", "ann", { n: 1, by: "mail" });
    await kit.send("asked", "bob", { n: 2, by: "chat" });
    await kit.send("asked", "bob", { n: 3, by: "look" });
    await kit.send("asked", "eve", { n: 4, by: "chat" });
    await kit.send("asked", "ann", { n: 5, by: "chat" });
    assert.deepEqual(toldBy(kit), ["asked 16", "asked 10", "asked Infinity", "asked 4", "BUDGET_EXCEEDED model 4"]);
    const [mail, chat] = kit.calls(writer).filter(({ effect }) => effect !== "look");
    await kit.reply(mail!, { n: 1 }, { units: 1.5 });
    await kit.fail(chat!, { code: "TIMEOUT", message: "no answer" });
    assert.deepEqual(toldBy(kit), ["done 6.5", "failed 12.5"]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("stands beside that of the key and that of the tenant: all of them are taken, or none", async () => {
    const kit = await started();
    await budget(kit, "model:text", { units: 100, per: "1d", reserve: 4 });
    await budget(kit, "tenant:retail", { units: 18, per: "1d", reserve: 4 });
    await kit.send("asked", "ann", { n: 1, by: "chat", times: 4 });
    await kit.send("asked", "ann", { n: 2, by: "mail" });
    assert.deepEqual(toldBy(kit), ["BUDGET_EXCEEDED tenant 0", "BUDGET_EXCEEDED tenant 0"]);
    assert.deepEqual(
      kit.timers(writer, "ann").map(({ data }) => data),
      [{ used: 0, reserved: 18 }],
    );
    for (const call of kit.calls(writer)) await kit.fail(call, { code: "DOWN", message: "no" });
    toldBy(kit);
    await kit.send("asked", "ann", { n: 3, by: "chat", times: 3, fails: true });
    await kit.send("asked", "ann", { n: 4, by: "mail" });
    assert.deepEqual(toldBy(kit), ["asked 14"]);
    await kit.close();
  });

  test("names itself in the dead letter of what nobody catches", async () => {
    const kit = await started({ partitions: 2 });
    await budget(kit, "model:sight", { units: 9, per: "1d", reserve: 4 });
    const key = ["a", "b", "c", "d"].find((name) => slotOf(name) % 2 === 0)!;
    await kit.send("asked", key, { n: 1, by: "look", times: 2, fails: true });
    await kit.send("asked", key, { n: 1, by: "look", times: 1 });
    await kit.send("asked", key, { n: 1, by: "look", times: 1 });
    assert.deepEqual(toldBy(kit), ["asked 1", "BUDGET_EXCEEDED model 1"]);
    await kit.close();
  });

  test("begins anew with each window and each record, and a late answer settles nothing", async () => {
    const kit = await started();
    await budget(kit, "model:sight", { units: 10, per: "1h", reserve: 5 });
    await kit.send("asked", "ann", { n: 1, by: "look", times: 2 });
    await kit.advanceClockTo("2026-01-01T01:00:00Z");
    await kit.reply(kit.calls(writer)[0]!, { n: 1 }, { units: 5 });
    await kit.send("asked", "ann", { n: 2, by: "look" });
    assert.deepEqual(toldBy(kit), ["asked 0", "done 10", "asked 5"]);
    await budget(kit, "model:sight", { units: 30, per: "1d", reserve: 7 }, 2, "2026-01-01T01:30:00Z");
    await kit.send("asked", "ann", { n: 3, by: "look" });
    await kit.advanceClockTo("2026-01-01T01:30:00Z");
    await kit.reply(kit.calls(writer)[0]!, { n: 1 }, { units: 5 });
    await kit.send("asked", "ann", { n: 4, by: "look" });
    assert.deepEqual(toldBy(kit), ["asked 0", "done 30", "asked 23"]);
    await budget(kit, "model:sight", null, 3, "2026-01-01T02:00:00Z");
    await kit.advanceClockTo("2026-01-01T02:00:00Z");
    await kit.send("asked", "ann", { n: 5, by: "look" });
    assert.deepEqual(toldBy(kit), ["asked Infinity"]);
    await kit.verifyReplay();
    await kit.close();
  });

  test("that is put late counts from the next window on, where the shard has asked in this one", async () => {
    const kit = await started();
    await budget(kit, "model:sight", { units: 10, per: "1h", reserve: 5 });
    await kit.send("asked", "ann", { n: 1, by: "look" });
    await budget(kit, "model:sight", { units: 20, per: "1h", reserve: 5 }, 2);
    await kit.send("asked", "ann", { n: 2, by: "look" });
    await kit.advanceClockTo("2026-01-01T01:00:00Z");
    await kit.send("asked", "ann", { n: 3, by: "look" });
    assert.deepEqual(toldBy(kit), ["asked 5", "asked 0", "asked 15"]);
    await kit.close();
  });

  test("of a challenger is as much again: handlers notice nothing of what it costs, and it is not asked beyond", async () => {
    const kit = await started({ challenged: true });
    await budget(kit, "model:sight", { units: 10, per: "1h", reserve: 5 });
    const roles = () => kit.calls(writer).map(({ model }) => model?.role);
    await kit.send("asked", "ann", { n: 1, by: "look" });
    const [champion, challenger] = kit.calls(writer);
    await kit.reply(champion!, { n: 1 }, { units: 0 });
    await kit.reply(challenger!, { n: 1 }, { units: 5 });
    await kit.send("asked", "ann", { n: 2, by: "look" });
    assert.deepEqual(roles(), ["champion", "challenger"]);
    await kit.send("asked", "ann", { n: 3, by: "look" });
    assert.deepEqual(roles(), ["champion", "challenger", "champion"]);
    assert.deepEqual(toldBy(kit), ["asked 5", "done 10", "asked 5", "asked 0"]);
    await kit.verifyReplay();
    await kit.close();
  });
});

suite("a record of a budget", () => {
  const good: BudgetRecord = { units: 20, per: "1d", reserve: 4 };
  const refusals: readonly [string, string, unknown, RegExp][] = [
    ["names no budget", "text", good, /an id is model:<name> or tenant:<name>/],
    ["is of a model that nobody calls", "model:txt", good, /asks for calls that count in it; they do in "model:text", "tenant:retail"/],
    ["has no units", "model:text", { ...good, units: 0 }, /\/units must be >= 1/],
    ["has no window", "model:text", { ...good, per: "1y" }, /per/],
    ["has too long a window", "model:text", { ...good, per: "32d" }, /\/per is 1 s to 31 d/],
    ["says nothing of what a call may cost", "model:text", { units: 20, per: "1d" }, /reserve/],
    ["gives less than one call costs", "model:text", { ...good, reserve: 21 }, /\/reserve is more than the 20 of \/units/],
    ["cannot be divided", "model:text", { ...good, units: 11 }, /11 units in 2 equal parts are less than the 6 of one call in each/],
    [
      "shares more than there is",
      "model:text",
      { ...good, shares: { "writers/0": 15, "writers/1": 6 } },
      /\/shares come to 21 units, more/,
    ],
    ["shares with what is no shard", "model:text", { ...good, shares: { "0": 5 } }, /"0" names no shard/],
    ["shares with a shard that is not there", "model:text", { ...good, shares: { "writers/2": 5 } }, /there is no shard writers\/2/],
    ["shares with another job", "model:text", { ...good, shares: { "readers/0": 5 } }, /there is no shard readers\/0/],
  ];
  for (const [why, id, data, told] of refusals) {
    test(`is refused when it ${why}`, async () => {
      const kit = await started({ partitions: 2 });
      await assert.rejects(budget(kit, id, data as BudgetRecord), (error: Error & { code?: string }) => {
        assert.equal(error.code, "REFERENCE_INVALID");
        assert.match(error.message, told);
        return true;
      });
      await kit.close();
    });
  }

  test("is refused when several jobs would each have the whole of it, but for generations, which have it again", () => {
    const others = { ...writers, name: "readers" };
    const check = (jobs: readonly Job[], data: unknown) => checkActivated({ table: "_budgets", id: "model:text", data }, jobs, 2);
    assert.throws(() => check([writers, others], good), /the jobs writers, readers all ask for such calls: give shares of each/);
    check([writers, others], { ...good, shares: { "writers/0": 10, "readers/1": 10 } });
    check([writers, generationOf(writers, "gen2")], good);
    check([writers], null);
  });

  test("divides its units into parts that come to exactly these", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.integer({ min: 1, max: 64 }), (units, partitions) => {
        const parts = Array.from({ length: partitions }, (_, partition) =>
          allotmentOf({ units, per: "1d", reserve: 1 }, "writers", { partition, partitions }),
        );
        assert.equal(
          parts.reduce((sum, part) => sum + part, 0),
          units,
        );
        assert.ok(parts[0]! - parts.at(-1)! <= 1 && parts.every((part, i) => i === 0 || part <= parts[i - 1]!));
      }),
    );
    const shares = { "writers/1": 7, "readers/0": 5 };
    assert.equal(allotmentOf({ units: 20, per: "1d", reserve: 1, shares }, "writers", { partition: 1, partitions: 2 }), 7);
    assert.equal(allotmentOf({ units: 20, per: "1d", reserve: 1, shares }, "writers", { partition: 0, partitions: 2 }), 0);
    assert.ok(BUDGET_TABLE.schema.check({ units: 20, per: "1d", reserve: 1, shares }));
  });
});
