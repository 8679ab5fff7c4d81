/** Order within a case: sequences, gaps, conflicts (rules 1 to 4). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { EventType } from "../../actors/cases/events.ts";
import { DAY_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { iso, Office, T0 } from "./office.ts";

const minute = (n: number): number => T0 + n * MINUTE_MS;
const evidence = (n: number) => ({ evidenceId: `ev${n}` });
/** Ids of the events whose turn has come, in their order. */
const applied = (office: Office) => office.told("case.current-state").map(({ lastEventId }) => lastEventId);
const ask = (office: Office, n: number, time = minute(n)) =>
  office.send("EvidenceRequested", evidence(n), { id: `s${n}`, sequence: String(n), time });

suite("events with a sequence", () => {
  test("are applied in its order, whatever the order in which they came", async () => {
    const office = await Office.open();
    await ask(office, 3);
    await ask(office, 2);
    assert.deepEqual(applied(office), []);
    await office.opened({}, { id: "s1", sequence: "1" });
    assert.deepEqual(applied(office), ["s1", "s2", "s3"]);
    assert.deepEqual(office.codes(), []);
  });

  test("may begin at 0", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s0", sequence: "0" });
    await ask(office, 1);
    assert.deepEqual(applied(office), ["s0", "s1"]);
  });

  test("behind a gap wait until the watermark has passed their time, and then say so", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await ask(office, 3);
    await ask(office, 4);
    await office.kit.advanceWatermark(minute(3));
    assert.deepEqual(applied(office), ["s1"]);
    await office.kit.advanceWatermark(minute(3) + 1);
    assert.deepEqual(applied(office), ["s1", "s3", "s4"]);
    assert.deepEqual(
      office.told("case.inconsistency").map(({ code, applied: was, eventId }) => [code, was, eventId]),
      [["sequence-gap", true, "s3"]],
    );
    assert.equal(office.alerts("inconsistent-state").length, 1);
  });

  test("of which a later one is due first take the earlier ones along, in their order", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await ask(office, 3, minute(9));
    await ask(office, 5, minute(5));
    await office.passed(minute(5));
    assert.deepEqual(applied(office), ["s1", "s3", "s5"]);
    assert.deepEqual(office.codes(), ["sequence-gap", "sequence-gap"]);
  });

  test("are not held when their time has passed already", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await office.passed(minute(10));
    await ask(office, 3);
    assert.deepEqual(applied(office), ["s1", "s3"]);
    assert.deepEqual(office.codes(), ["sequence-gap"]);
  });

  test("at or below the last one are conflicts and not applied", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await ask(office, 2);
    await office.send("EvidenceRequested", evidence(7), { id: "again", sequence: "2" });
    await office.send("EvidenceRequested", evidence(8), { id: "old", sequence: "1" });
    assert.deepEqual(applied(office), ["s1", "s2"]);
    assert.deepEqual(
      office.told("case.inconsistency").map(({ code, eventId, applied: was }) => [code, eventId, was]),
      [
        ["sequence-conflict", "again", false],
        ["sequence-conflict", "old", false],
      ],
    );
  });

  test("equal to one that is held are conflicts too", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await ask(office, 3);
    await office.send("EvidenceRequested", evidence(9), { id: "other", sequence: "3" });
    assert.deepEqual(office.codes(), ["sequence-conflict"]);
    await ask(office, 2);
    assert.deepEqual(applied(office), ["s1", "s2", "s3"]);
  });

  test("that were refused count in the order all the same", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await office.send("SlaClockPaused", { slaId: "none" }, { id: "s2", sequence: "2" });
    await ask(office, 3);
    assert.deepEqual(applied(office), ["s1", "s3"]);
    assert.deepEqual(office.codes(), ["sla-unknown"]);
  });

  test("of a case that nobody has opened leave no gap, and do not stand in the way of its opening", async () => {
    const office = await Office.open();
    await office.passed(minute(10));
    await ask(office, 3);
    await ask(office, 2);
    assert.deepEqual(office.codes(), ["case-unknown", "case-unknown"]);
    await office.opened({}, { id: "s1", sequence: "1", time: minute(5) });
    assert.deepEqual(applied(office), ["s1"]);
  });

  test("behind a gap say whether they were applied all the same", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await office.passed(minute(10));
    await office.send("SlaClockPaused", { slaId: "none" }, { sequence: "3", time: minute(3) });
    assert.deepEqual(
      office.told("case.inconsistency").map(({ code, applied: was }) => [code, was]),
      [
        ["sla-unknown", false],
        ["sequence-gap", false],
      ],
    );
  });

  test("beyond what a number holds are quarantined", async () => {
    const office = await Office.open();
    await office.send("EvidenceRequested", evidence(1), { sequence: "9007199254740993" });
    assert.equal(office.kit.quarantined()[0]?.data.code, "sequence-range");
  });
});

test("an event without a sequence is applied when it comes", async () => {
  const office = await Office.open();
  await office.opened({}, { id: "s1", sequence: "1" });
  await ask(office, 3);
  await office.send("EvidenceRequested", evidence(0), { id: "none" });
  assert.deepEqual(applied(office), ["s1", "none"]);
  assert.deepEqual(office.outputs("case.current-state")[1]?.data.lastAggregateSequence, 1);
});

test("a thousand and one held events let the lowest go, and a closed gap lets all go", async () => {
  const office = await Office.open();
  await office.opened({}, { id: "s1", sequence: "1" });
  const events = Array.from({ length: 1_000 }, (_, i) => ({
    stream: "EvidenceReceived" as const,
    key: "c1",
    data: { evidenceId: "x" },
    id: `s${i + 3}`,
    sequence: String(i + 3),
    time: minute(1),
  }));
  await office.kit.sendBatch(events);
  assert.deepEqual(applied(office), ["s1"]);
  await ask(office, 1_004, minute(1));
  assert.equal(applied(office).length, 1_001);
  assert.deepEqual(office.codes(), ["sequence-gap"]);
  await ask(office, 1_003, minute(1));
  assert.deepEqual(applied(office), ["s1", ...Array.from({ length: 1_002 }, (_, i) => `s${i + 3}`)]);
  assert.deepEqual(office.codes(), ["sequence-gap"]);
  office.assertQuiet();
});

suite("a reference that an event names", () => {
  test("and nobody knows sends it to quarantine, and it may come again", async () => {
    const office = await Office.open();
    await office.opened();
    const start = { slaId: "s", policyId: "new", clockStart: iso(T0) };
    await office.send("SlaClockStarted", start, { id: "start" });
    assert.deepEqual(
      office.kit.quarantined().map(({ data }) => data.code),
      ["unknown-reference"],
    );
    await office.put("slaPolicy", "new", { duration: "P1D", timeZone: "UTC", pauseExtends: false });
    await office.send("SlaClockStarted", start, { id: "start" });
    assert.equal(office.told("case.sla-started").length, 1);
  });

  test("in a version gets exactly that one, else the one in force at the effective time", async () => {
    const office = await Office.open();
    const policy = (days: number) => ({ duration: `P${days}D`, timeZone: "UTC", pauseExtends: false });
    await office.put("slaPolicy", "p", policy(1), 1, "2020-01-01T00:00:00Z");
    await office.put("slaPolicy", "p", policy(2), 2, iso(T0 + 1));
    await office.put("slaPolicy", "p", policy(3), 3, "2020-01-01T00:00:00Z");
    await office.opened();
    const start = (slaId: string, more: object) => office.send("SlaClockStarted", { slaId, policyId: "p", ...more });
    await start("named", { clockStart: iso(T0 + 5), policyVersion: 1 });
    await start("as text", { clockStart: iso(T0 + 5), policyVersion: "1" });
    await start("before", { clockStart: iso(T0) });
    await start("behind", { clockStart: iso(T0 + 1) });
    await start("unknown", { clockStart: iso(T0), policyVersion: 4 });
    assert.deepEqual(
      office.told("case.sla-started").map(({ slaId, policyVersion }) => [slaId, policyVersion]),
      [
        ["named", 1],
        ["as text", 1],
        ["before", 3],
        ["behind", 2],
      ],
    );
    assert.equal(office.kit.quarantined()[0]?.data.code, "unknown-reference");
  });

  test("is looked up when the event comes, not when its gap closes", async () => {
    const office = await Office.open();
    await office.opened({}, { sequence: "1" });
    await office.send("SlaClockStarted", { slaId: "s", policyId: "strict", clockStart: iso(T0) }, { sequence: "3" });
    await office.put("slaPolicy", "strict", { duration: "P9D", timeZone: "UTC", pauseExtends: false }, 2);
    await ask(office, 2);
    assert.equal(office.told("case.sla-started")[0]?.policyVersion, 1);
  });
});

suite("held events, once the gap closes", () => {
  test("are all applied before anything that fell due in between, however many they are", async () => {
    const office = await Office.open();
    const started = iso(T0 - 10 * DAY_MS);
    const hold = (n: number, type: EventType, data: object) =>
      office.send(type, data, { id: `s${n}`, sequence: String(n), time: minute(40) });
    await office.opened({}, { id: "s1", sequence: "1", time: minute(40) });
    await hold(3, "SlaClockStarted", { slaId: "s", policyId: "strict", clockStart: started });
    for (let n = 4; n < 50; n++) await hold(n, "EvidenceReceived", evidence(n));
    await hold(50, "SlaClockCompleted", { slaId: "s", completedAt: started });
    await ask(office, 2, minute(40));
    assert.equal(applied(office).at(-1), "s50");
    await office.passed(minute(50));
    assert.deepEqual([office.told("case.sla-breached"), office.codes()], [[], []]);
    office.assertQuiet();
  });

  test("and the clock that one starts is past its due time, its near breach and breach are told of in their order", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    const data = { slaId: "s", policyId: "decide", clockStart: iso(T0 - 10 * DAY_MS) };
    await office.send("SlaClockStarted", data, { id: "s3", sequence: "3", time: minute(3) });
    await office.passed(minute(4));
    assert.deepEqual(
      office.outputs("case.sla-near-breach", "case.sla-breached").map(({ type, data: told }) => [type, told.detectedAt]),
      [
        ["case.sla-near-breach", iso(T0 - 6 * DAY_MS)],
        ["case.sla-breached", iso(T0 - 5 * DAY_MS)],
      ],
    );
  });

  test("are what their findings are about, not the event that let them go", async () => {
    const office = await Office.open();
    await office.opened({}, { id: "s1", sequence: "1" });
    await office.assigned({ assigneeId: "nobody" }, { id: "s3", sequence: "3" });
    await ask(office, 2, minute(1));
    const findings = office.told("tidemark.quality").filter(({ rule }) => rule === "unknown-reference");
    assert.deepEqual(
      findings.map(({ eventId }) => eventId),
      ["s3"],
    );
  });
});
