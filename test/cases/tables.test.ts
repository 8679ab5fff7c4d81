import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { addDuration, addWorkingDays, wholeDays } from "../../actors/cases/deadline.ts";
import { caseTables } from "../../actors/cases/tables.ts";
import { actor } from "../../actors/model/actor.ts";
import { job } from "../../actors/model/job.ts";
import type { ReferenceTable } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import { recordsOf } from "./reference-files.ts";

/** Asks for the due time of a policy, as of the event's time. */
const clerk = actor("clerk", {
  in: { asked: stream("clerk.asked", { schema: Type.Object({ policyId: Type.String() }) }) },
  out: { due: output("clerk.due", { schema: Type.Object({ version: Type.Integer(), dueAt: Type.String() }) }) },
  reference: caseTables,
  on: {
    asked(ctx, { policyId }) {
      const policy = ctx.reference.slaPolicy.get(policyId);
      if (policy === undefined) return ctx.quarantine("unknown-reference", `there is no policy "${policyId}"`);
      const { duration, timeZone, calendar } = policy.data;
      const days = ctx.reference.calendar.get(calendar ?? "");
      const due = days === undefined ? addDuration(ctx.now, duration, timeZone) : addWorkingDays(ctx.now, wholeDays(duration)!, days.data);
      ctx.out.due({ version: policy.version, dueAt: due === undefined ? "beyond" : formatInstant(due) });
    },
  },
});
const clerks = job("clerks", { log: "clerks", actors: [clerk] });

type Table = keyof typeof caseTables;
const TABLE: Readonly<Record<Table, ReferenceTable<unknown>>> = caseTables;
const TABLES = Object.keys(caseTables) as Table[];
const FROM = "2026-01-01T00:00:00Z";

async function withFiles() {
  const kit = await testJob(clerks, { start: FROM });
  for (const { table, id, ...record } of TABLES.flatMap(recordsOf)) await kit.putReference(TABLE[table], id, record);
  return kit;
}

suite("the records that are checked in", () => {
  test("are taken by the job, each with its versions in order", async () => {
    const kit = await testJob(clerks);
    for (const { table, id, version, effectiveFrom, data } of TABLES.flatMap(recordsOf)) {
      const { written } = await kit.putReference(TABLE[table], id, { version, effectiveFrom, data });
      assert.ok(written, `${table} ${id} ${version}`);
    }
  });

  test("give due times: a policy of its day, in calendar days and in working days", async () => {
    const kit = await withFiles();
    const ask = async (policyId: string, time: string) => {
      await kit.send("asked", policyId, { policyId }, { time });
      const { version, dueAt } = kit.takeOutputs("due")[0]!.data;
      return `${version} ${dueAt}`;
    };
    assert.equal(await ask("fine-penalty", "2008-02-10T11:00:00Z"), "1 2008-04-10T10:00:00.000Z");
    assert.equal(await ask("permit-completeness", "2011-04-20T08:00:00Z"), "1 2011-05-09T08:00:00.000Z");
    assert.equal(await ask("fine-appeal-judge", "2011-10-05T21:59:59Z"), "1 2011-12-04T22:59:59.000Z");
    assert.equal(await ask("fine-appeal-judge", "2011-10-05T22:00:00Z"), "2 2011-11-04T23:00:00.000Z");
    assert.equal(await ask("incident-response-low", "2012-06-01T08:00:00Z"), "1 2012-06-06T08:00:00.000Z");
    await kit.verifyReplay();
  });

  test("name each other: calendars of policies, risks of rules, one lifecycle and one set of rules a process", () => {
    const idsOf = (table: Table) => new Set(recordsOf(table).map(({ id }) => id));
    const dataOf = <T>(table: Table) => recordsOf(table).map(({ data }) => data as T);
    for (const { calendar } of dataOf<{ calendar?: string }>("slaPolicy"))
      assert.ok(calendar === undefined || idsOf("calendar").has(calendar));
    for (const { highRisk } of dataOf<{ highRisk: string[] }>("rules"))
      for (const id of highRisk) assert.ok(idsOf("riskCategory").has(id), id);
    assert.deepEqual([...idsOf("rules")].sort(), ["enforcement", "it-incident", "permit", "traffic-fine"]);
    assert.deepEqual(idsOf("rules"), idsOf("lifecycle"));
  });

  test("are in force when old logs begin, calendars from 2005", () => {
    for (const { table, id, version, effectiveFrom } of TABLES.flatMap(recordsOf))
      assert.equal(effectiveFrom === `${table === "calendar" ? 2005 : 1990}-01-01T00:00:00Z`, version === 1, `${table} ${id}`);
  });
});

const POLICY = { duration: "P60D", timeZone: "Europe/Rome", pauseExtends: false };
const WORKING = { ...POLICY, duration: "P10D", calendar: "it" };
const LIFECYCLE = { statuses: ["open", "decided", "closed"], transitions: { open: ["decided"] }, initial: "open", terminal: ["closed"] };
const RULES = {
  ...{ dormantAfter: "P30D", evidenceDelays: 2, highRisk: [], escalationThreshold: 50 },
  ...{ weights: { nearBreach: 20 }, retentionAfterClose: "P6Y" },
};
const CALENDAR = { timeZone: "Europe/Rome", weekend: [6, 7], holidays: ["2026-12-25"], from: "2026-01-01", until: "2026-12-31" };

suite("a record is taken", () => {
  const good: readonly (readonly [string, Table, object])[] = [
    ["with every field", "slaPolicy", { ...WORKING, calendarVersion: 1, nearBreach: "P2D" }],
    ["with working days as weeks", "slaPolicy", { ...WORKING, duration: "P2W" }],
    ["with fields that the job does not read", "slaPolicy", { ...POLICY, law: "article 203", of: { any: ["shape"] } }],
    ["of a lifecycle that ends where it can go on", "lifecycle", { ...LIFECYCLE, transitions: { closed: ["open"], decided: [] } }],
    ["of rules without a weight", "rules", { ...RULES, weights: {} }],
    ["of rules with a zone", "rules", { ...RULES, timeZone: "UTC" }],
    [
      "of a calendar with no weekend and no holiday, in any order",
      "calendar",
      { ...CALENDAR, weekend: [], holidays: ["2026-05-01", "2026-01-01"] },
    ],
    ["of a calendar of one day", "calendar", { ...CALENDAR, until: "2026-01-01" }],
    ["of a risk without a queue", "riskCategory", { name: "Low" }],
  ];
  for (const [situation, table, data] of good) {
    test(situation, () => assert.equal(TABLE[table].schema.explain(data), "matches"));
  }
});

suite("a record is refused when it is put", () => {
  const bad: readonly (readonly [string, Table, object, RegExp])[] = [
    ["without a duration", "slaPolicy", { ...POLICY, duration: undefined }, /duration/],
    [
      "for a duration of words",
      "slaPolicy",
      { ...POLICY, duration: "60 days" },
      /\/duration "60 days" is no ISO 8601 duration such as P60D/,
    ],
    ["for no duration at all", "slaPolicy", { ...POLICY, duration: "P0D" }, /\/duration "P0D" is no ISO 8601 duration/],
    ["for a negative duration", "slaPolicy", { ...POLICY, nearBreach: "-P1D" }, /\/nearBreach "-P1D" is no ISO 8601 duration/],
    [
      "for an endless text",
      "slaPolicy",
      { ...POLICY, duration: "P".repeat(9_999) },
      /\/duration "P{48}…" is no ISO 8601 .*, at most 100 years/,
    ],
    [
      "for a zone that is none",
      "slaPolicy",
      { ...POLICY, timeZone: "Europe/Atlantis" },
      /\/timeZone "Europe\/Atlantis" is no IANA time zone/,
    ],
    ["for an offset in the place of a zone", "slaPolicy", { ...POLICY, timeZone: "+01:00" }, /\/timeZone "\+01:00" is no IANA time zone/],
    ["for hours of a calendar", "slaPolicy", { ...WORKING, duration: "PT4H" }, /whole working days: P<n>D or P<n>W, not "PT4H"/],
    ["for months of a calendar", "slaPolicy", { ...WORKING, duration: "P1M" }, /whole working days/],
    ["for the version of no calendar", "slaPolicy", { ...POLICY, calendarVersion: 1 }, /calendarVersion and no calendar/],
    ["for version 0 of a calendar", "slaPolicy", { ...WORKING, calendarVersion: 0 }, /calendarVersion/],
    ["that begins nowhere", "lifecycle", { ...LIFECYCLE, initial: "new" }, /begins with "new", which is not among its statuses/],
    ["that ends nowhere", "lifecycle", { ...LIFECYCLE, terminal: ["gone"] }, /ends with "gone", which is not/],
    ["that never ends", "lifecycle", { ...LIFECYCLE, terminal: [] }, /terminal/],
    ["that is over when it begins", "lifecycle", { ...LIFECYCLE, terminal: ["closed", "open"] }, /begins with "open", which is terminal/],
    ["with a way from nowhere", "lifecycle", { ...LIFECYCLE, transitions: { paid: ["closed"] } }, /a transition from "paid", which is not/],
    [
      "with a way to nowhere",
      "lifecycle",
      { ...LIFECYCLE, transitions: { open: ["paid"] } },
      /a transition from "open" to "paid", which is not/,
    ],
    ["with a status twice", "lifecycle", { ...LIFECYCLE, statuses: ["open", "open", "closed"] }, /statuses/],
    ["for a weight below none", "rules", { ...RULES, weights: { dormant: -1 } }, /weights\/dormant/],
    ["for a threshold that is always reached", "rules", { ...RULES, escalationThreshold: 0 }, /escalationThreshold/],
    ["for evidence that is late before it is", "rules", { ...RULES, evidenceDelays: 0 }, /evidenceDelays/],
    ["for rules in a zone that is none", "rules", { ...RULES, timeZone: "Rome" }, /\/timeZone "Rome" is no IANA/],
    ["for a retention that is none", "rules", { ...RULES, retentionAfterClose: "forever" }, /\/retentionAfterClose "forever" is no ISO/],
    ["for a holiday that there is not", "calendar", { ...CALENDAR, holidays: ["2026-02-29"] }, /\/holidays\/0 "2026-02-29" is no date/],
    ["for an eighth weekday", "calendar", { ...CALENDAR, weekend: [8] }, /weekend/],
    ["for a week without work", "calendar", { ...CALENDAR, weekend: [1, 2, 3, 4, 5, 6, 7] }, /weekend/],
    ["for a calendar that ends before it begins", "calendar", { ...CALENDAR, until: "2025-12-31" }, /covers 2026-01-01 until 2025-12-31/],
    ["of an officer of no team", "officer", { name: "Maya Okafor" }, /teamId/],
    ["of a jurisdiction without a name", "jurisdiction", { name: "" }, /name/],
  ];
  for (const [situation, table, data, text] of bad) {
    test(situation, async () => {
      const kit = await testJob(clerks);
      await assert.rejects(
        kit.putReference(TABLE[table], "x", { version: 1, effectiveFrom: FROM, data }),
        (error) => isTidemarkError(error, "REFERENCE_INVALID") && text.test(error.message),
      );
    });
  }

  test("of any table for what is no object at all", () => {
    for (const { schema } of Object.values(caseTables)) {
      for (const data of [null, 1, "P60D", [], {}, { statuses: {}, transitions: [], timeZone: {}, holidays: [1] }]) {
        assert.equal(schema.check(data), false);
        assert.notEqual(schema.explain(data), "matches");
      }
    }
  });
});
