/** Changes of policies and calendars: what they would touch, and what they do touch. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { enforcementCase } from "../../actors/cases/cases.ts";
import { day, iso, Office, T0 } from "./office.ts";

const LONGER = { duration: "P7D", timeZone: "UTC", pauseExtends: true };
const ROME = { timeZone: "Europe/Rome", weekend: [6, 7], holidays: [], from: "2026-01-01", until: "2026-12-31" };
const WORK = { duration: "P3D", timeZone: "Europe/Rome", calendar: "it", pauseExtends: false };

suite("the dry run of a policy", () => {
  const ask = (office: Office, input: unknown, key = "c1") => office.kit.query(enforcementCase, key, "policyChange", input);

  test("lists the open clocks that would be due at another time, with their pauses", async () => {
    const office = await Office.open();
    await office.withClock();
    await office.send("SlaClockPaused", { slaId: "s", pausedAt: iso(day(1)) }, { time: day(1) });
    await office.send("SlaClockResumed", { slaId: "s", resumedAt: iso(day(3)) }, { time: day(3) });
    assert.deepEqual(ask(office, { id: "decide", data: LONGER }), [
      {
        slaId: "s",
        policyVersion: 1,
        clockStart: iso(T0),
        dueAt: iso(day(7)),
        wouldBeDueAt: iso(day(9)),
        breached: false,
        paused: false,
      },
    ]);
    assert.equal(office.told("case.current-state").at(-1)?.currentSlaDueAt, iso(day(7)), "nothing has changed");
  });

  test("leaves out clocks of other policies, completed ones, those with a due time of their own, and those that stay", async () => {
    const office = await Office.open();
    await office.withClock();
    const start = (slaId: string, more: object) =>
      office.send("SlaClockStarted", { slaId, policyId: "decide", clockStart: iso(T0), ...more });
    await start("own", { dueAt: iso(day(2)) });
    await start("done", {});
    await office.send("SlaClockCompleted", { slaId: "done", completedAt: iso(T0) });
    const touched = ask(office, { id: "decide", data: LONGER }) as { slaId: string }[];
    assert.deepEqual(
      touched.map(({ slaId }) => slaId),
      ["s"],
    );
    assert.equal(ask(office, { id: "strict", data: LONGER }), null);
    assert.equal(ask(office, { id: "decide", data: { ...LONGER, duration: "P5D" } }), null);
  });

  test("goes by the calendar that it is given, and says what it misses", async () => {
    const office = await Office.open();
    await office.withClock();
    const [touched] = ask(office, { id: "decide", data: WORK, calendar: ROME }) as { wouldBeDueAt: string }[];
    assert.equal(touched?.wouldBeDueAt, iso(day(3)));
    const [beyond] = ask(office, { id: "decide", data: WORK, calendar: { ...ROME, until: "2026-01-06" } }) as { wouldBeDueAt: null }[];
    assert.equal(beyond?.wouldBeDueAt, null);
    assert.throws(() => ask(office, { id: "decide", data: WORK }), /goes by calendar "it"/);
    assert.throws(() => ask(office, { id: "decide", data: { ...LONGER, duration: "60 days" } }), /no ISO 8601 duration/);
  });
});

test("a calendar that is corrected later changes only the clocks that ask for the new version", async () => {
  const office = await Office.open();
  await office.put("calendar", "it", ROME);
  await office.put("slaPolicy", "pinned", { ...WORK, calendarVersion: 1 });
  await office.put("slaPolicy", "latest", WORK);
  await office.opened();
  const start = async (slaId: string, policyId: string, more: object = {}): Promise<unknown> => {
    await office.send("SlaClockStarted", { slaId, policyId, clockStart: iso(T0), ...more });
    const { dueAt, calendarVersion } = office.told("case.sla-started").at(-1)!;
    return [dueAt, calendarVersion];
  };
  assert.deepEqual(await start("before", "latest"), [iso(day(3)), 1]);
  await office.put("calendar", "it", { ...ROME, holidays: ["2026-01-06"] }, 2);
  await office.put("slaPolicy", "pinned", { ...WORK, calendarVersion: 2 }, 2);
  assert.deepEqual(await start("pinned", "pinned", { policyVersion: 1 }), [iso(day(3)), 1]);
  assert.deepEqual(await start("asked", "pinned", { policyVersion: 2 }), [iso(day(4)), 2]);
  assert.deepEqual(await start("behind", "latest"), [iso(day(4)), 2]);
  await office.passed(day(3));
  assert.deepEqual(
    office.told("case.sla-breached").map(({ slaId, dueAt }) => [slaId, dueAt]),
    [
      ["before", iso(day(3))],
      ["pinned", iso(day(3))],
    ],
  );
});
