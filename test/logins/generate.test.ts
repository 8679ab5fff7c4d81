/** The generator of logins: the same lines each time, the sample that is checked in, and the disorder that it says it makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type LoginFault, type LoginLine, loginEvents } from "../../actors/logins/generate.ts";
import logins from "../../actors/logins/logins.ts";
import { judge } from "./folded.ts";
import { plainLogins } from "./plain-logins.ts";

const OPTIONS = { seed: 7, people: 14, days: 20, attacksADay: 3, start: Date.UTC(2026, 2, 2) };
const sample = [...loginEvents(OPTIONS)];
const page = readFileSync(new URL("../../actors/logins/README.md", import.meta.url), "utf8");

test("the same options give the same lines, and another seed gives others", () => {
  assert.deepEqual([...loginEvents(OPTIONS)], sample);
  assert.notDeepEqual([...loginEvents({ ...OPTIONS, seed: 8 })].slice(0, 5), sample.slice(0, 5));
});

test("the sample that is checked in is made by the options that its page gives", () => {
  const text = readFileSync(new URL("../../actors/logins/sample.ndjson", import.meta.url), "utf8");
  assert.ok(text === sample.map((line) => `${line.text}\n`).join(""), "made by other options, or by another generator");
  assert.match(page, /loginEvents\(\{ seed: 7, people: 14, days: 20, attacksADay: 3, start: Date\.UTC\(2026, 2, 2\) \}\)/);
});

test("the page counts the sample's lines and what is wrong with them", () => {
  assert.ok(page.includes(`${sample.length.toLocaleString("en-US")} lines`), String(sample.length));
  const counted = Map.groupBy(
    sample.filter(({ fault }) => fault !== undefined),
    ({ fault }) => fault!,
  );
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \|/gm)].map(([, kind, count]) => [kind, Number(count)] as const);
  assert.deepEqual(new Map(rows), new Map([...counted].map(([kind, lines]) => [kind, lines.length])));
});

test("the page says what comes of the sample", () => {
  const alerts = judge(logins, plainLogins, sample, { partitions: 4 }).flatMap(({ plain }) => plain.alerts);
  const failed = alerts.filter(({ type }) => type === "alert.failed-logins").length;
  assert.ok(page.includes(`it gives ${failed} \`alert.failed-logins\` and ${alerts.length - failed} \`alert.breach-suspected\``));
});

test("without disorder every line is a login of the job, in order but for eight seconds", () => {
  const plain = [...loginEvents({ ...OPTIONS, disorder: false })];
  const { sideOutputs, alerts } = plainLogins(plain.map(({ text }) => text));
  assert.deepEqual(sideOutputs, []);
  assert.ok(alerts.length > 20);
  let latest = 0;
  for (const { time, arrival } of plain) {
    assert.ok(latest - time < 8_000 && arrival - time < 8_000);
    latest = Math.max(latest, time);
  }
});

suite("the disorder of the sample", () => {
  const labels = Map.groupBy(sample, ({ fault }) => fault);
  const of = (fault: LoginFault): readonly LoginLine[] => labels.get(fault) ?? [];
  const { sideOutputs } = plainLogins(sample.map(({ text }) => text));
  const told = (what: string): number => sideOutputs.filter((text) => text.startsWith(what)).length;

  test("is what the job says of it", () => {
    assert.equal(told("tidemark.quarantine not-json"), of("poison").length);
    assert.equal(told("tidemark.quarantine missing-attribute"), of("untyped").length);
    assert.equal(told("tidemark.quarantine schema"), of("wrong-type").length + of("no-address").length);
    assert.equal(told("tidemark.quarantine ip-mismatch"), of("ip-mismatch").length);
    assert.equal(told("tidemark.duplicate-conflict"), of("other-content").length);
    assert.ok(told("tidemark.late") > 0 && told("tidemark.quality key-spelling") > 0);
  });

  test("sends lines again, and behind", () => {
    for (const line of of("duplicate")) assert.ok(sample.slice(0, sample.indexOf(line)).some(({ text }) => text === line.text));
    for (const { arrival, time } of of("behind")) assert.ok(arrival - time >= 20_000 && arrival - time < 5 * 60_000);
    for (const { arrival, time } of of("late")) assert.ok(arrival - time >= 6 * 60_000);
  });
});
