/** The generator of conversations: the same lines each time, the sample that is checked in, and the disorder that it says it makes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { conversationMessages, type MessageFault, type MessageLine } from "../../actors/conversations/generate.ts";
import { judge, RECORDS, sampleLines } from "./folded.ts";
import { plainConversations } from "./plain-conversations.ts";

const OPTIONS = { seed: 7, conversations: 80, start: Date.UTC(2026, 2, 2, 8) };
const sample = [...conversationMessages(OPTIONS)];
const page = readFileSync(new URL("../../actors/conversations/README.md", import.meta.url), "utf8");

test("the same options give the same lines, and another seed gives others", () => {
  assert.deepEqual([...conversationMessages(OPTIONS)], sample);
  assert.notDeepEqual([...conversationMessages({ ...OPTIONS, seed: 8 })].slice(0, 5), sample.slice(0, 5));
});

test("the sample that is checked in is made by the options that its page gives", () => {
  const text = readFileSync(new URL("../../actors/conversations/sample.ndjson", import.meta.url), "utf8");
  assert.ok(text === sample.map((line) => `${line.text}\n`).join(""), "made by other options, or by another generator");
  assert.match(page, /conversationMessages\(\{ seed: 7, conversations: 80, start: Date\.UTC\(2026, 2, 2, 8\) \}\)/);
});

test("the page counts the sample's lines, what is wrong with them, and what comes of it", () => {
  assert.ok(page.includes(`${sample.length.toLocaleString("en-US")} lines`), String(sample.length));
  const faulty = sample.filter(({ fault }) => fault !== undefined);
  const counted = Map.groupBy(faulty, ({ fault }) => fault!);
  const rows = [...page.matchAll(/^\| `([a-z-]+)` \| (\d+) \|/gm)].map(([, kind, count]) => [kind, Number(count)] as const);
  assert.deepEqual(new Map(rows), new Map([...counted].map(([kind, lines]) => [kind, lines.length])));
  const contexts = judge(sampleLines(), { partitions: 4 }).flatMap(({ plain }) => plain.contexts);
  const count = contexts.filter(({ data }) => data.reason === "count").length;
  assert.ok(page.includes(`it gives ${contexts.length} contexts, ${count} by count and ${contexts.length - count} by time`));
});

test("without disorder every line is a message of the job, in order but for a second and a half", () => {
  const plain = [...conversationMessages({ ...OPTIONS, disorder: false })];
  const { sideOutputs, contexts } = plainConversations(
    plain.map(({ text }) => text),
    RECORDS,
  );
  assert.deepEqual(sideOutputs, []);
  assert.ok(contexts.length > 100);
  for (const { time, arrival } of plain) assert.ok(arrival - time < 1_500);
});

suite("the disorder of the sample", () => {
  const labels = Map.groupBy(sample, ({ fault }) => fault);
  const of = (fault: MessageFault): readonly MessageLine[] => labels.get(fault) ?? [];
  const { sideOutputs } = plainConversations(
    sample.map(({ text }) => text),
    RECORDS,
  );
  const told = (what: string): number => sideOutputs.filter((text) => text.startsWith(what)).length;

  test("is what the job says of it", () => {
    assert.equal(told("tidemark.quarantine not-json"), of("poison").length);
    assert.equal(told("tidemark.quarantine missing-attribute"), of("untyped").length);
    assert.equal(told("tidemark.quarantine schema"), of("wrong-type").length + of("too-long").length + of("no-role").length);
    assert.equal(told("tidemark.quarantine conversation-mismatch"), of("mismatch").length);
    assert.equal(told("tidemark.duplicate-conflict"), of("other-content").length);
    assert.ok(told("tidemark.late") > 0);
  });

  test("sends lines again, and behind", () => {
    for (const line of of("duplicate")) assert.ok(sample.slice(0, sample.indexOf(line)).some(({ text }) => text === line.text));
    for (const { arrival, time } of of("behind")) assert.ok(arrival - time >= 3_000 && arrival - time < 57_000);
    for (const { arrival, time } of of("late")) assert.ok(arrival - time >= 70_000);
  });
});
