import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
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

suite("a history that goes on under other code", () => {
  const NEXT = { version: 2, codeHash: "next" };
  const handedOver = () => {
    const history = historyOf("clean");
    const epoch = writeEpoch({ ...history.identity, ...NEXT }, 0, undefined);
    const entries = history.entries.map((entry) =>
      entry.sequence === 7 ? { ...entry, subject: epochSubject("meter", 0, "clean"), payload: Buffer.from(epoch) } : entry,
    );
    return { ...history, entries };
  };

  test("is not verified by its first build: the answer is a code and the entry where its part ends", async () => {
    await assert.rejects(verifyReplay(handedOver()), (error) => {
      assert(isTidemarkError(error, "CODE_UNAVAILABLE"));
      assert.match(error.detail, /what follows entry 7 belongs to version 2 \(next\)/);
      return true;
    });
  });

  test("is verified by its first build up to that entry", async () => {
    const history = handedOver();
    const verdict = await verifyReplay({ ...history, entries: history.entries.filter(({ sequence }) => sequence <= 7) });
    assert(verdict.ok);
    assert.equal(verdict.outputs, 6);
  });

  test("is refused to a fold that starts from a commit at that entry, too", () => {
    const { app: _app, job: name, ...history } = handedOver();
    const job = jobs.find((candidate) => candidate.name === name)!;
    assert.throws(() => foldHistory({ ...history, job }, { commitEveryUnits: 1, crash: true }), { code: "CODE_UNAVAILABLE" });
  });
});
