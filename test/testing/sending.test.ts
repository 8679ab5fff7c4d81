import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { controlSubject } from "../../actors/fold/subject.ts";
import { stream } from "../../actors/model/stream.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import job, { account, paid, total } from "./apps/accounts.ts";

const START = Date.UTC(2026, 4, 1);
const tea = { amount: 3, shop: "tea" };

function withCode(code: "TEST_INPUT" | "TEST_STATE" | "KEY_INVALID" | "EVENT_TOO_LARGE", detail: RegExp) {
  return (error: unknown): boolean => isTidemarkError(error, code) && detail.test(error.message);
}

suite("an event", () => {
  test("has the test's clock as its time, an id of its own, and answers its position", async () => {
    const kit = await testJob(job, { start: "2026-05-01T00:00:00Z" });
    assert.equal(kit.now, START);
    const first = await kit.send("paid", "ann", tea);
    await kit.advanceClock("2s");
    const second = await kit.send("paid", "ann", tea);
    assert.match(first, /^0:\d+\.0$/);
    assert.notEqual(first, second);
    assert.equal(kit.actor(account, "ann")?.state.lastId, "e2");
    assert.equal(kit.watermark, START + 2_000 - 1_000);
    assert.equal(kit.counts.applied, 2);
  });

  test("may be sent by the stream itself", async () => {
    const kit = await testJob(job);
    await kit.send(paid, "ann", tea);
    assert.equal(kit.actor(account, "ann")?.state.total, 3);
  });

  test("sent twice under one id is one event, with other content a conflict", async () => {
    const kit = await testJob(job);
    const position = await kit.send("paid", "ann", tea, { id: "x" });
    await kit.send("paid", "ann", tea, { id: "x" });
    assert.deepEqual(kit.duplicateConflicts(), []);
    await kit.send("paid", "ann", { ...tea, amount: 4 }, { id: "x" });
    await kit.send("paid", "ann", tea, { id: "x", source: "/other" });
    assert.deepEqual([kit.counts.applied, kit.counts.duplicate, kit.counts.duplicateConflict], [2, 1, 1]);
    assert.equal(kit.duplicateConflicts()[0]?.data.firstPosition, position);
  });

  test("out of order is applied behind the watermark, and late behind the allowed lateness", async () => {
    const kit = await testJob(job, { start: START });
    await kit.send("paid", "ann", tea, { time: START + 1_200_000 });
    await kit.send("paid", "ann", tea, { time: START + 1_199_000 });
    await kit.send("paid", "ann", tea, { time: START + 600_000, sequence: "7", effectiveTime: "2026-05-01T00:00:01Z" });
    await kit.send("paid", "ann", tea, { time: START, id: "old" });
    assert.deepEqual([kit.counts.applied, kit.counts.behind, kit.counts.late], [3, 1, 1]);
    assert.deepEqual(
      kit.late().map(({ data }) => [data.eventId, data.reason]),
      [["old", "late"]],
    );
  });

  test("that a handler quarantines is quarantined", async () => {
    const kit = await testJob(job);
    await kit.send("paid", "ann", { amount: -1, shop: "tea" });
    assert.equal(kit.quarantined()[0]?.data.code, "negative-amount");
    assert.equal(kit.actor(account, "ann"), undefined);
  });
});

suite("what cannot be sent is refused, and nothing is appended", () => {
  const other = stream("other", { schema: Type.Object({ amount: Type.Integer(), shop: Type.String() }) });
  const cases: readonly [
    string,
    (kit: Awaited<ReturnType<typeof testJob<typeof job>>>) => Promise<unknown>,
    (error: unknown) => boolean,
  ][] = [
    [
      "an unknown stream",
      (kit) => kit.send("payed" as "paid", "ann", tea),
      withCode("TEST_INPUT", /no stream "payed"; it has "paid", "closed"/),
    ],
    ["a stream of another job", (kit) => kit.send(other, "ann", tea), withCode("TEST_INPUT", /takes no events of type "other"/)],
    [
      "data against the schema",
      (kit) => kit.send("paid", "ann", { shop: "tea" } as never),
      withCode("TEST_INPUT", /account\.paid: data .*amount.*sendRaw/),
    ],
    ["data that is no JSON", (kit) => kit.send("paid", "ann", { amount: 1n } as never), withCode("TEST_INPUT", /JSON/)],
    [
      "a time of half a millisecond",
      (kit) => kit.send("paid", "ann", tea, { time: 0.5 }),
      withCode("TEST_INPUT", /time: 0\.5 is no instant/),
    ],
    ["a time that is no instant", (kit) => kit.send("paid", "ann", tea, { time: "today" }), withCode("TEST_INPUT", /today/)],
    [
      "a time far ahead of the clock",
      (kit) => kit.send("paid", "ann", tea, { time: "2027-01-01T00:00:00Z" }),
      withCode("TEST_INPUT", /maxAhead.*advanceClockTo/),
    ],
    ["an empty id", (kit) => kit.send("paid", "ann", tea, { id: "" }), withCode("TEST_INPUT", /id is missing/)],
    ["a malformed sequence", (kit) => kit.send("paid", "ann", tea, { sequence: -1 }), withCode("TEST_INPUT", /sequence/)],
    ["an empty key", (kit) => kit.send("paid", "", tea), withCode("KEY_INVALID", /""/)],
    [
      "too large an event",
      (kit) => kit.send("paid", "ann", { amount: 1, shop: "x".repeat(600_000) }),
      withCode("EVENT_TOO_LARGE", /account\.paid/),
    ],
    [
      "a batch with one bad event",
      (kit) =>
        kit.sendBatch([
          { stream: "paid", key: "ann", data: tea },
          { stream: "paid", key: "", data: tea },
        ]),
      withCode("KEY_INVALID", /""/),
    ],
    ["a raw message without a key", (kit) => kit.sendRaw("{}"), withCode("TEST_INPUT", /key/)],
    [
      "a raw message for no partition",
      (kit) => kit.sendRaw("{}", { subject: "accounts.p9.b.1", partition: 9 }),
      withCode("TEST_INPUT", /partition 9/),
    ],
    ["a duration that is none", (kit) => kit.advanceClock("soon"), withCode("TEST_INPUT", /soon/)],
    ["a clock that would go back", (kit) => kit.advanceClockTo(START - 1), withCode("TEST_INPUT", /before the test's clock/)],
    ["a watermark that is no time", (kit) => kit.advanceWatermark("x"), withCode("TEST_INPUT", /x is no instant/)],
  ];
  for (const [name, send, expected] of cases) {
    test(name, async () => {
      const kit = await testJob(job, { start: START });
      await assert.rejects(send(kit), expected);
      assert.equal(kit.counts.in, 0);
      await kit.send("paid", "ann", tea);
      assert.equal(kit.counts.in, 1);
    });
  }

  test("as are an actor, an output and options that are not there", async () => {
    const kit = await testJob(job);
    assert.throws(() => kit.actor({ ...account, name: "acount" }, "ann"), withCode("TEST_INPUT", /no actor "acount"/));
    assert.throws(() => kit.outputs("totals" as "total"), withCode("TEST_INPUT", /no output "totals"; it has "total", "quiet"/));
    assert.throws(() => kit.outputs({ ...total, type: "x" }), withCode("TEST_INPUT", /emits "x"/));
    await assert.rejects(testJob(job, { partitions: 0 }), withCode("TEST_INPUT", /partitions: 0/));
    await assert.rejects(testJob(job, { start: "now" }), withCode("TEST_INPUT", /start: now/));
  });
});

suite("a batch", () => {
  test("keeps its order and answers a position for each event", async () => {
    const kit = await testJob(job);
    const positions = await kit.sendBatch([
      { stream: "paid", key: "ann", data: { amount: 1, shop: "a" }, id: "one" },
      { stream: "paid", key: "bob", data: { amount: 2, shop: "b" } },
      { stream: "paid", key: "ann", data: { amount: 3, shop: "c" }, id: "three" },
    ]);
    assert.deepEqual(
      positions.map((position) => position.split(".")[1]),
      ["0", "1", "2"],
    );
    assert.equal(kit.actor(account, "ann")?.state.lastId, "three");
    assert.equal(kit.actor(account, "bob")?.state.total, 2);
  });

  test("over several partitions is one message for each, and every key is where production has it", async () => {
    const kit = await testJob(job, { partitions: 4 });
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    const positions = await kit.sendBatch(keys.map((key) => ({ stream: "paid", key, data: tea })));
    assert.ok(new Set(positions.map((position) => position.split(":")[0])).size > 1);
    await kit.advanceWatermark(kit.now + 60_000);
    assert.deepEqual(
      kit
        .outputs("total")
        .map(({ key }) => key)
        .sort(),
      [...keys].sort(),
    );
    assert.equal(kit.counts.applied, 20);
    for (const key of keys) assert.equal(kit.actor(account, key)?.state.total, 3);
  });
});

suite("a raw message", () => {
  const event = {
    specversion: "1.0",
    id: "r",
    source: "/raw",
    type: "account.paid",
    subject: "ann",
    time: "2026-05-01T00:00:00Z",
    data: tea,
  };

  test("of an object goes to its subject", async () => {
    const kit = await testJob(job, { start: START });
    await kit.sendRaw(event);
    assert.equal(kit.actor(account, "ann")?.state.total, 3);
  });

  test("may be binary, on a key of its own", async () => {
    const kit = await testJob(job, { start: START });
    const { data, specversion: _, ...attributes } = event;
    const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]));
    await kit.sendRaw(Buffer.from(JSON.stringify(data)), { key: "ann", headers: { ...headers, "ce-specversion": "1.0" } });
    assert.equal(kit.actor(account, "ann")?.state.total, 3);
  });

  test("that is bad goes to quarantine as in production", async () => {
    const kit = await testJob(job, { start: START });
    await kit.sendRaw("not json", { key: "ann" });
    await kit.sendRaw({ ...event, data: { amount: "3", shop: "tea" } });
    await kit.sendRaw({ ...event, time: "2026-06-01T00:00:00Z" });
    await kit.sendRaw(event, { subject: "accounts.nowhere" });
    await kit.sendRaw("{", { subject: controlSubject("accounts", 0) });
    assert.deepEqual(
      kit.quarantined().map(({ data }) => data.code),
      ["not-json", "schema", "too-far-ahead", "bad-subject", "bad-journal-entry"],
    );
  });
});

suite("outputs", () => {
  test("are typed, say where they come from, and can be taken", async () => {
    const kit = await testJob(job, { start: START });
    await kit.send("paid", "ann", tea, { id: "e" });
    const position = await kit.send("paid", "ann", tea, { time: START + 61_000 });
    assert.deepEqual(kit.outputs(), kit.outputs("total"));
    const [first] = kit.takeOutputs(total);
    assert.deepEqual(first, {
      name: "total",
      type: "account.total",
      key: "ann",
      time: START + 59_999,
      data: { total: 3, payments: 1 },
      causeId: "e",
      position,
      id: "accounts.0.1",
      idempotencyKey: `ann|account.total|account.report|e|report||${START + 59_999}|0`,
      jobVersion: 1,
    });
    assert.deepEqual(kit.takeOutputs(), []);
    await kit.advanceClock("5s");
    assert.deepEqual(
      kit.takeOutputs("quiet").map(({ data }) => data),
      [{ since: START + 5_000, at: START + 5_000 }],
    );
    assert.deepEqual(kit.outputs(), []);
  });
});

suite("the order of calls", () => {
  test("is kept when they are not awaited, and nothing is read in between", async () => {
    const kit = await testJob(job);
    const start = kit.now;
    const sent = Promise.all([
      kit.send("paid", "ann", tea),
      kit.advanceClock("1h"),
      kit.send("paid", "ann", tea),
      kit.crash(),
      kit.recover(),
    ]);
    assert.throws(() => kit.outputs(), withCode("TEST_STATE", /under way/));
    assert.throws(() => kit.actor(account, "ann"), withCode("TEST_STATE", /under way/));
    await sent;
    assert.equal(kit.actor(account, "ann")?.state.lastId, "e2");
    assert.equal(kit.watermark, start + 3_600_000 - 1_000);
  });

  test("ends with close", async () => {
    const kit = await testJob(job);
    await kit.close();
    await assert.rejects(kit.send("paid", "ann", tea), withCode("TEST_STATE", /closed/));
    assert.throws(() => kit.counts, withCode("TEST_STATE", /closed/));
  });

  test("ends with the block that uses it", async () => {
    let left: Awaited<ReturnType<typeof testJob<typeof job>>> | undefined;
    {
      await using kit = await testJob(job);
      left = kit;
    }
    await assert.rejects(left.advanceClock(1), withCode("TEST_STATE", /closed/));
  });
});
