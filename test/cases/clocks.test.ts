/** SLA clocks (rules 9 to 14). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { HOUR_MS } from "../../actors/model/time.ts";
import { day, iso, Office, T0 } from "./office.ts";

const pause = (office: Office, at: number, time = at) => office.send("SlaClockPaused", { slaId: "s", pausedAt: iso(at) }, { time });
const resume = (office: Office, at: number, time = at) => office.send("SlaClockResumed", { slaId: "s", resumedAt: iso(at) }, { time });
const complete = (office: Office, at: number, time = at) =>
  office.send("SlaClockCompleted", { slaId: "s", completedAt: iso(at) }, { time });
const breaches = (office: Office) => office.told("case.sla-breached").map(({ dueAt, detectedAt }) => [dueAt, detectedAt]);
const nears = (office: Office) => office.told("case.sla-near-breach").map(({ dueAt, detectedAt }) => [dueAt, detectedAt]);
const due = (office: Office) => office.told("case.current-state").at(-1)?.currentSlaDueAt;

suite("a clock that starts", () => {
  test("is due behind the policy's duration, and says by which version", async () => {
    const office = await Office.open();
    await office.withClock();
    assert.deepEqual(office.told("case.sla-started"), [
      {
        caseId: "c1",
        slaId: "s",
        policyId: "decide",
        policyVersion: 1,
        clockStart: iso(T0),
        dueAt: iso(day(5)),
        nearBreachAt: iso(day(4)),
        calendar: null,
        calendarVersion: null,
        inputEventIds: ["e2"],
      },
    ]);
  });

  test("with a due time of its own is due then", async () => {
    const office = await Office.open();
    await office.withClock("strict", { dueAt: iso(day(9) + HOUR_MS) });
    assert.equal(due(office), iso(day(9) + HOUR_MS));
  });

  test("of a policy with a calendar counts its working days at the local time of the start", async () => {
    const office = await Office.open();
    const rome = { timeZone: "Europe/Rome", weekend: [6, 7], holidays: ["2026-01-06"], from: "2026-01-01", until: "2026-12-31" };
    await office.put("calendar", "it", rome);
    await office.put("slaPolicy", "work", { duration: "P5D", timeZone: "UTC", calendar: "it", pauseExtends: false });
    await office.opened();
    await office.send("SlaClockStarted", { slaId: "s", policyId: "work", clockStart: "2026-01-02T17:00:00+01:00" });
    // Behind Friday the 2nd: 5, 7, 8, 9, 12 January; the 6th is a holiday.
    assert.equal(due(office), "2026-01-12T16:00:00.000Z");
    assert.deepEqual(
      office.told("case.sla-started").map(({ calendar, calendarVersion }) => [calendar, calendarVersion]),
      [["it", 1]],
    );
  });

  test("beyond the end of its calendar goes to quarantine", async () => {
    const office = await Office.open();
    await office.put("calendar", "short", { timeZone: "UTC", weekend: [], holidays: [], from: "2026-01-01", until: "2026-01-08" });
    await office.put("slaPolicy", "work", { duration: "P5D", timeZone: "UTC", calendar: "short", pauseExtends: false });
    await office.opened();
    await office.send("SlaClockStarted", { slaId: "s", policyId: "work", clockStart: iso(T0) });
    assert.match(String(office.kit.quarantined()[0]?.data.reason), /does not reach/);
  });

  test("a second time is sla-already-started and ignored", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.send("SlaClockStarted", { slaId: "s", policyId: "strict", clockStart: iso(day(1)) });
    assert.deepEqual(office.codes(), ["sla-already-started"]);
    assert.equal(office.told("case.sla-started").length, 1);
  });

  test("beside others each has its own due time and breach, also at the same instant", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await office.send("SlaClockStarted", { slaId: "t", policyId: "strict", clockStart: iso(T0) });
    await office.send("SlaClockStarted", { slaId: "u", policyId: "strict", clockStart: iso(day(1)) });
    assert.equal(due(office), iso(day(5)));
    await office.passed(day(6));
    assert.deepEqual(
      office.told("case.sla-breached").map(({ slaId, dueAt }) => [slaId, dueAt]),
      [
        ["s", iso(day(5))],
        ["t", iso(day(5))],
        ["u", iso(day(6))],
      ],
    );
    assert.equal(office.alerts("sla-breached").length, 3);
  });
});

suite("a breach", () => {
  test("comes when the watermark has passed the due time, and not before", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await office.kit.advanceWatermark(day(5));
    assert.deepEqual(breaches(office), []);
    await office.kit.advanceWatermark(day(5) + 1);
    assert.deepEqual(breaches(office), [[iso(day(5)), iso(day(5))]]);
  });

  test("does not come when the clock was completed at the due time", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await complete(office, day(5));
    await office.passed(day(9));
    assert.deepEqual(breaches(office), []);
  });

  test("comes at once with a completion behind the due time, before the watermark gets there", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await complete(office, day(5) + 1);
    assert.deepEqual(breaches(office), [[iso(day(5)), iso(day(5))]]);
    await office.passed(day(9));
    assert.equal(breaches(office).length, 1);
    assert.deepEqual(office.told("case.correction-required"), []);
  });

  test("comes at once with a pause, or a closing, behind the due time", async () => {
    for (const late of [pause, (office: Office, at: number) => office.send("CaseClosed", {}, { time: at })]) {
      const office = await Office.open();
      await office.withClock("strict");
      await late(office, day(5) + 1);
      assert.deepEqual(breaches(office), [[iso(day(5)), iso(day(5))]]);
    }
  });

  test("does not come while the clock is paused at its due time", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await pause(office, day(5));
    await office.passed(day(20));
    assert.deepEqual(breaches(office), []);
  });

  test("says when the log revealed it, apart from when it happened", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await office.kit.advanceClock("2h");
    await office.passed(day(5));
    const [breach] = office.told("case.sla-breached");
    assert.deepEqual([breach?.detectedAt, breach?.processingDetectedAt], [iso(day(5)), iso(office.kit.now)]);
  });

  test("comes once for a clock", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.passed(day(5));
    await pause(office, day(6));
    await resume(office, day(7));
    await office.passed(day(20));
    assert.equal(breaches(office).length, 1);
  });
});

suite("a pause", () => {
  test("extends the due time by exactly its length, when the policy says so", async () => {
    const office = await Office.open();
    await office.withClock();
    await pause(office, day(2));
    await resume(office, day(3) + 1);
    assert.equal(due(office), iso(day(6) + 1));
    await office.passed(day(6));
    assert.deepEqual(breaches(office), []);
    await office.passed(day(6) + 1);
    assert.deepEqual(breaches(office), [[iso(day(6) + 1), iso(day(6) + 1)]]);
  });

  test("that does not extend, and ends before the due time, leaves it", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await pause(office, day(2));
    await resume(office, day(5));
    await office.passed(day(5));
    assert.deepEqual(breaches(office), [[iso(day(5)), iso(day(5))]]);
  });

  test("that does not extend, and ends behind the due time, is breached at its end, at once", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await pause(office, day(4));
    await resume(office, day(7));
    assert.deepEqual(breaches(office), [[iso(day(5)), iso(day(7))]]);
    assert.equal(office.alerts("sla-breached")[0]?.effectiveTime, iso(day(7)));
    await office.passed(day(20));
    assert.equal(breaches(office).length, 1);
  });

  test("of a paused clock is already-paused; the end of none, or of one before its begin, is not-paused", async () => {
    const office = await Office.open();
    await office.withClock();
    await resume(office, day(1));
    await pause(office, day(2));
    await pause(office, day(2));
    await resume(office, day(1));
    assert.deepEqual(office.codes(), ["not-paused", "already-paused", "not-paused"]);
  });

  test("of an unknown clock is sla-unknown, of a completed one already-completed", async () => {
    const office = await Office.open();
    await office.opened();
    await pause(office, day(1));
    await resume(office, day(1));
    await complete(office, day(1));
    await office.send("SlaClockStarted", { slaId: "s", policyId: "decide", clockStart: iso(day(1)) });
    await complete(office, day(2));
    await pause(office, day(3));
    await resume(office, day(3));
    await complete(office, day(3));
    const unknown = Array.from({ length: 3 }, () => "sla-unknown");
    assert.deepEqual(office.codes(), [...unknown, "already-completed", "already-completed", "already-completed"]);
  });

  test("may be ended by the completion of its clock", async () => {
    const office = await Office.open();
    await office.withClock("strict");
    await pause(office, day(4));
    await complete(office, day(8));
    await office.passed(day(9));
    assert.deepEqual([breaches(office), office.codes()], [[], []]);
  });
});

suite("a near breach", () => {
  test("comes its time before the due time, with its own alert", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.passed(day(4));
    assert.deepEqual(nears(office), [[iso(day(5)), iso(day(4))]]);
    const [alert] = office.alerts("sla-near-breach");
    assert.deepEqual([alert?.alertType, alert?.severity, alert?.effectiveTime], ["sla-near-breach", "medium", iso(day(4))]);
  });

  test("comes at once with a completion behind its instant, and before the breach", async () => {
    const office = await Office.open();
    await office.withClock();
    await complete(office, day(6));
    assert.deepEqual([nears(office).length, breaches(office).length], [1, 1]);
    assert.deepEqual(
      office.outputs("case.sla-near-breach", "case.sla-breached").map(({ type }) => type),
      ["case.sla-near-breach", "case.sla-breached"],
    );
  });

  test("does not come when the clock was completed or paused by then", async () => {
    for (const stop of [complete, pause]) {
      const office = await Office.open();
      await office.withClock();
      await stop(office, day(4));
      await office.passed(day(5));
      assert.deepEqual(nears(office), []);
    }
  });

  test("comes again for a due time that a pause has moved", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.passed(day(4));
    await pause(office, day(4) + HOUR_MS);
    await resume(office, day(8) + HOUR_MS);
    await office.passed(day(9));
    assert.deepEqual(nears(office), [
      [iso(day(5)), iso(day(4))],
      [iso(day(9)), iso(day(8) + HOUR_MS)],
    ]);
  });

  test("is not told of when the clock is completed at the very resume that moved it", async () => {
    const office = await Office.open();
    await office.withClock();
    await pause(office, day(4) + 2 * HOUR_MS);
    assert.equal(nears(office).length, 1, "the pause lies behind the near breach of the first due time");
    await resume(office, day(9));
    await complete(office, day(9));
    await office.passed(day(20));
    assert.deepEqual([nears(office).length, office.told("case.correction-required")], [1, []]);
  });

  test("is not before the start of a clock that is shorter", async () => {
    const office = await Office.open();
    await office.withClock("decide", { dueAt: iso(T0 + HOUR_MS) });
    assert.equal(office.told("case.sla-started")[0]?.nearBreachAt, iso(T0));
  });
});

suite("bounds of a clock", () => {
  test("a hundred and one clocks: the last is a finding about its event, and is not started", async () => {
    const office = await Office.open();
    await office.opened();
    const start = (n: number) => office.send("SlaClockStarted", { slaId: `s${n}`, policyId: "decide" }, { id: `start-${n}` });
    for (let n = 1; n <= 101; n++) await start(n);
    const findings = office.told("tidemark.quality").filter(({ rule }) => rule === "too-many-clocks");
    assert.deepEqual(
      findings.map(({ eventId }) => eventId),
      ["start-101"],
    );
    assert.equal(office.told("case.sla-started").length, 100);
    await office.passed(day(5));
    assert.equal(breaches(office).length, 100);
    office.assertQuiet();
  });

  test("a due time at the end of all time is not moved beyond it", async () => {
    const office = await Office.open();
    const end = "9999-12-31T23:59:59.999Z";
    await office.withClock("decide", { dueAt: end });
    await pause(office, day(1));
    await resume(office, day(2));
    assert.equal(due(office), end);
    office.assertQuiet();
  });

  test("a due time at or before its start has no near breach", async () => {
    const office = await Office.open();
    await office.withClock("decide", { dueAt: iso(T0) });
    assert.deepEqual(
      office.told("case.sla-started").map(({ nearBreachAt }) => nearBreachAt),
      [null],
    );
    await office.passed(day(1));
    assert.deepEqual([nears(office), breaches(office)], [[], [[iso(T0), iso(T0)]]]);
  });
});
