/** Assignment intervals (rules 15 to 17). */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { day, iso, Office } from "./office.ts";

const assign = (office: Office, assignmentId: string, from: number, more: object = {}, time = from) =>
  office.assigned({ assignmentId, assignedFrom: iso(from), ...more }, { time });
const unassign = (office: Office, assignmentId: string, at: number) =>
  office.send("CaseUnassigned", { assignmentId, assignedUntil: iso(at) }, { time: at });
const intervals = (office: Office) =>
  office
    .told("case.assignment-interval-closed")
    .map(({ assignmentId, assignedFrom, assignedUntil, reason }) => [assignmentId, assignedFrom, assignedUntil, reason]);
const active = (office: Office) => office.told("case.current-state").at(-1)?.activeAssigneeId;

suite("a primary assignment", () => {
  test("closes the one that holds where it begins", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1));
    await assign(office, "a2", day(3), { assigneeId: "bob" });
    assert.deepEqual(intervals(office), [["a1", iso(day(1)), iso(day(3)), "superseded"]]);
    assert.equal(active(office), "bob");
  });

  test("at the very begin of the one that holds leaves it an empty interval", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1));
    await assign(office, "a2", day(1));
    assert.deepEqual(intervals(office), [["a1", iso(day(1)), iso(day(1)), "superseded"]]);
  });

  test("before the one that holds is overlapping-primary and changes nothing", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(2));
    await assign(office, "a2", day(1), { assigneeId: "bob" }, day(3));
    assert.deepEqual(office.codes(), ["overlapping-primary"]);
    assert.deepEqual([intervals(office), active(office)], [[], "ann"]);
  });

  test("before the end of the one that held last is overlapping-primary too", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1));
    await unassign(office, "a1", day(4));
    await assign(office, "a2", day(3), {}, day(5));
    assert.deepEqual(office.codes(), ["overlapping-primary"]);
    await assign(office, "a3", day(4), {}, day(5));
    assert.equal(active(office), "ann");
  });

  test("with an end closes there when the watermark reaches it", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1), { assignedUntil: iso(day(2)) });
    await office.kit.advanceWatermark(day(2) - 1);
    assert.deepEqual(intervals(office), []);
    await office.kit.advanceWatermark(day(2));
    assert.deepEqual(intervals(office), [["a1", iso(day(1)), iso(day(2)), "ended"]]);
  });

  test("with an end closes there at once with what comes behind it", async () => {
    for (const next of [
      (office: Office) => assign(office, "a2", day(3)),
      (office: Office) => office.send("CaseClosed", {}, { time: day(3) }),
      (office: Office) => unassign(office, "a1", day(3)),
    ]) {
      const office = await Office.open();
      await office.opened();
      await assign(office, "a1", day(1), { assignedUntil: iso(day(2)) });
      await next(office);
      assert.deepEqual(intervals(office)[0], ["a1", iso(day(1)), iso(day(2)), "ended"]);
      await office.passed(day(9));
      assert.equal(intervals(office).length, 1);
    }
  });

  test("that ends before it begins goes to quarantine", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(2), { assignedUntil: iso(day(1)) });
    assert.equal(office.kit.quarantined()[0]?.data.code, "bad-interval");
  });

  test("of an officer that nobody knows is applied, and that is a finding", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1), { assigneeId: "zoe" });
    assert.equal(office.told("case.assignment-changed")[0]?.officerName, null);
    assert.deepEqual(
      office.told("tidemark.quality").map(({ detail }) => detail),
      [{ field: "assigneeId", id: "zoe" }],
    );
  });

  test("says who the officer was at that time, not who it is", async () => {
    const office = await Office.open();
    await office.put("officer", "ann", { name: "Ann Birch", teamId: "south" }, 2, iso(day(3)));
    await office.opened();
    await assign(office, "a1", day(2));
    await assign(office, "a2", day(3));
    assert.deepEqual(
      office.told("case.assignment-changed").map(({ officerName }) => officerName),
      ["Ann Ash", "Ann Birch"],
    );
  });
});

suite("an unassignment", () => {
  test("closes the interval, and nobody has the case", async () => {
    const office = await Office.open();
    await office.opened();
    await assign(office, "a1", day(1));
    await unassign(office, "a1", day(2));
    assert.deepEqual(intervals(office), [["a1", iso(day(1)), iso(day(2)), "unassigned"]]);
    assert.equal(active(office), null);
  });

  test("of none, of one that is closed, or before its begin is assignment-unknown", async () => {
    const office = await Office.open();
    await office.opened();
    await unassign(office, "a9", day(1));
    await assign(office, "a1", day(2));
    await unassign(office, "a1", day(1));
    await unassign(office, "a1", day(3));
    await unassign(office, "a1", day(4));
    assert.deepEqual(office.codes(), ["assignment-unknown", "assignment-unknown", "assignment-unknown"]);
  });
});

test("assignments that are not primary stand beside each other and beside the primary", async () => {
  const office = await Office.open();
  await office.opened();
  await assign(office, "a1", day(1));
  await assign(office, "h1", day(1), { primary: false, assigneeId: "bob" });
  await assign(office, "h2", day(1), { primary: false, assigneeId: "cyd", assignedUntil: iso(day(5)) });
  assert.deepEqual([intervals(office), active(office)], [[], "ann"]);
  await unassign(office, "h1", day(2));
  await office.send("CaseClosed", {}, { time: day(3) });
  assert.deepEqual(intervals(office), [
    ["h1", iso(day(1)), iso(day(2)), "unassigned"],
    ["a1", iso(day(1)), iso(day(3)), "case-closed"],
    ["h2", iso(day(1)), iso(day(3)), "case-closed"],
  ]);
});

test("one assignment id may stand for the primary and for a helper: each ends at its own time", async () => {
  const office = await Office.open();
  await office.opened();
  await assign(office, "a1", day(1), { assignedUntil: iso(day(9)) });
  await assign(office, "a1", day(2), { primary: false, assigneeId: "bea", assignedUntil: iso(day(5)) });
  await office.passed(day(5));
  assert.deepEqual(intervals(office), [["a1", iso(day(2)), iso(day(5)), "ended"]]);
  await office.passed(day(9));
  assert.deepEqual(intervals(office).at(-1), ["a1", iso(day(1)), iso(day(9)), "ended"]);
});

test("a second helper of an id that is open closes the first; a hundred and first is a finding", async () => {
  const office = await Office.open();
  await office.opened();
  await assign(office, "h1", day(1), { primary: false });
  await assign(office, "h1", day(2), { primary: false });
  assert.deepEqual(intervals(office), [["h1", iso(day(1)), iso(day(2)), "superseded"]]);
  for (let n = 2; n <= 101; n++) await assign(office, `h${n}`, day(3), { primary: false });
  const findings = office.told("tidemark.quality").filter(({ rule }) => rule === "too-many-assignments");
  assert.deepEqual([office.told("case.assignment-changed").length, findings.length], [101, 1]);
});
