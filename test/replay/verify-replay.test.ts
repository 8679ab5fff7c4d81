import assert from "node:assert/strict";
import { test } from "node:test";
import { verifyReplay } from "../../runtime/replay/verify-replay.ts";
import { identityFor, TestLog } from "../support/entries.ts";
import jobs from "./apps/planted.ts";

const APP = new URL("./apps/planted.ts", import.meta.url).pathname;

function historyOf(name: string) {
  const job = jobs.find((candidate) => candidate.name === name)!;
  const log = new TestLog("meter");
  for (let i = 0; i < 12; i++) log.event({ id: `e${i}`, key: `d${(i * 5) % 7}` }, 10);
  const { partition, partitions, identity, epochRoot, from, entries } = { ...log.history(job), identity: identityFor(job) };
  return { app: APP, job: name, partition, partitions, identity, epochRoot, from, entries };
}

test("a job that depends on its entries alone is verified", async () => {
  const verdict = await verifyReplay(historyOf("clean"));
  assert(verdict.ok);
  assert.equal(verdict.outputs, 12);
});

for (const [name, found] of [
  ["clock", "a guard caught it"],
  ["new-date", "a guard caught it"],
  ["randomness", "a guard caught it"],
  ["counter", "folded again in the same thread"],
  ["unordered", "folded again in the same thread"],
] as const) {
  test(`a planted ${name} is found, with the first output that shows it`, async () => {
    const verdict = await verifyReplay(historyOf(name));
    assert(!verdict.ok);
    assert.equal(verdict.difference.way, found);
    assert(verdict.difference.output >= 1);
    assert.notEqual(verdict.difference.actual, verdict.difference.expected);
  });
}
