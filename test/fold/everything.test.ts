import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { foldHandOver, handOver } from "../support/builds.ts";
import { TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);
const before = everythingJob(1);
const after = everythingJob(2);
const WAYS = [{}, { commitEveryUnits: 3, liveRowsMax: 1 }, ...Object.values(INTERRUPTED)];

test("whatever meets in one history gives the same bytes however it is folded, and rows that agree with each other", () => {
  fc.assert(
    fc.property(anEverythingHistory, (log) => {
      const history = log.history(before);
      const whole = bytesOf(foldHistory(history));
      for (const way of WAYS) {
        const folded = foldHistory(history, way);
        assert.deepEqual(bytesOf(folded), whole);
        assertRowsHold(folded.store, before);
      }
    }),
    { numRuns },
  );
});

test("the same with another build from some entry on, which migrates what it finds", () => {
  fc.assert(
    fc.property(anEverythingHistory, fc.nat(), (log, cut) => {
      const at = 1 + (cut % log.entries.length);
      const whole = new TestLog("all");
      for (const { subject, payload, headers, logTime } of log.entries.slice(0, at)) {
        whole.logTime = logTime;
        whole.raw(subject, payload, 0, headers);
      }
      handOver(whole, before, after);
      for (const { subject, payload, headers, logTime } of log.entries.slice(at)) {
        whole.logTime = logTime;
        whole.raw(subject, payload, 0, headers);
      }
      const undisturbed = bytesOf(foldHandOver(whole, before, after, at + 1));
      for (const way of WAYS) {
        const folded = foldHandOver(whole, before, after, at + 1, way);
        assert.deepEqual(bytesOf(folded), undisturbed);
        assertRowsHold(folded.store, after);
      }
    }),
    { numRuns },
  );
});

test("the rows agree with each other at every commit on the way", () => {
  fc.assert(
    fc.property(anEverythingHistory, (log) => {
      const store = new MemoryStore();
      for (const way of [{ commitEveryUnits: 1 }, { commitEveryUnits: 1, crash: true, liveRowsMax: 0 }]) {
        for (let to = 1; to <= log.entries.length; to++) {
          foldHistory({ ...log.history(before), entries: log.entries.slice(0, to), store }, way);
          assertRowsHold(store, before);
        }
      }
    }),
    { numRuns: Math.ceil(numRuns / 5) },
  );
});
