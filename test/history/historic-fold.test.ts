/** State as of a moment of the past is what a fresh fold up to that moment gives, whatever lies around it. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { META_ROW, TABLE } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { committedStateHash } from "../../actors/fold/shard-state.ts";
import meter from "../../actors/meter/meter.ts";
import type { Job } from "../../actors/model/job.ts";
import { writeKey } from "../../actors/model/key.ts";
import { MINUTE_MS } from "../../actors/model/time.ts";
import type { HistoricTarget } from "../../runtime/history/historic-target.ts";
import { lastFolded } from "../../runtime/history/historic-target.ts";
import { sequenceAfter } from "../../runtime/history/time-search.ts";
import { ActorRows } from "../../runtime/node/actor-record.ts";
import { primitives } from "../../runtime/primitives.ts";
import type { Folded } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { T0, TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { foldedBeginning, foldedWithin, foldTo, itemsOf, memoryLogOf, openPast } from "../support/past-world.ts";
import { aHistory } from "../support/random-history.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 60);
const everything = everythingJob(1);
const WORLDS: readonly (readonly [string, fc.Arbitrary<TestLog>, Job, readonly string[]])[] = [
  ["everything", anEverythingHistory, everything, ["a", "b", "käse"]],
  ["meters", aHistory, meter, ["d1", "d2", "NA", "null", "0", "__proto__", "käse", "a.b c"]],
];

function statesOf(job: Job, store: ShardStore, keys: readonly string[]): unknown {
  const { watermark } = readMeta(store.get(META_ROW)!)!;
  const rows = new ActorRows(job, store);
  return keys.flatMap((key) => job.actors.map((_, number) => rows.read(number, writeKey(key)!, watermark)));
}

function bytesOf(store: ShardStore): unknown {
  // The past keeps no index of what touched a key: it is folded to answer what the index is for.
  return store.scan("\0", "\xff", Number.POSITIVE_INFINITY).filter(({ key }) => !key.startsWith(TABLE.touches));
}

/** What a fold of entries one by one says of a time: independent of how the past is looked for. */
function countBefore(log: TestLog, time: number): number {
  let highest = Number.NEGATIVE_INFINITY;
  const first = log.entries.findIndex(({ logTime }) => {
    highest = Math.max(highest, logTime);
    return highest > time;
  });
  return first === -1 ? log.entries.length : first;
}

function countUntilWatermark(log: TestLog, job: Job, time: number): number | undefined {
  for (let count = 1; count <= log.entries.length; count++) {
    const { watermark } = foldedBeginning(log, job, count).meta;
    if (watermark !== undefined && watermark >= time) return count;
  }
  return undefined;
}

for (const [name, histories, job, keys] of WORLDS) {
  suite(`the past of ${name}`, () => {
    test("as of any entry has the bytes of a fresh fold up to it, also when the fold went on from an earlier question", async () => {
      const property = fc.asyncProperty(histories, fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), async (history, picks) => {
        const log = await memoryLogOf(history.entries);
        const counts = picks.map((pick) => 1 + (pick % history.entries.length)).sort((a, b) => a - b);
        const store = new MemoryStore();
        let fold = await openPast(job, log, { store });
        for (const [i, count] of counts.entries()) {
          if (i % 2 === 1) fold = await openPast(job, log, { store });
          assert.equal(await foldTo(fold, { kind: "position", sequence: count, index: itemsOf(history.entries[count - 1]!) }), "reached");
          assert.deepEqual(bytesOf(store), bytesOf(foldedBeginning(history, job, count).store));
        }
      });
      await fc.assert(property, { numRuns });
    });

    test("as of an event within a batch has the states of a fresh fold that ends with that event", async () => {
      const property = fc.asyncProperty(histories, fc.nat(), fc.nat(), async (history, pick, within) => {
        const several = history.entries.filter((entry) => itemsOf(entry) > 1);
        if (several.length === 0) return;
        const entry = several[pick % several.length]!;
        const index = within % itemsOf(entry);
        const store = new MemoryStore();
        const fold = await openPast(job, await memoryLogOf(history.entries), { store });
        assert.equal(await foldTo(fold, { kind: "position", sequence: entry.sequence, index }), "reached");
        const fresh = foldedWithin(history, job, entry.sequence, index);
        assert.deepEqual(statesOf(job, store, keys), statesOf(job, fresh.store, keys));
        assert.deepEqual(lastFolded(fold.meta).sequence, entry.sequence);
        // And from there it goes on as if it had never stopped.
        const on = await openPast(job, await memoryLogOf(history.entries), { store });
        await foldTo(on, { kind: "position", sequence: history.entries.length, index: 1_000 });
        const whole: Folded = foldedBeginning(history, job, history.entries.length);
        assert.equal(committedStateHash(store, primitives), whole.stateHash);
      });
      await fc.assert(property, { numRuns: numRuns * 2 });
    });

    test("as of a log time ends before the first entry whose running maximum exceeds it", async () => {
      const property = fc.asyncProperty(histories, fc.nat(), fc.integer({ min: -2, max: 2 }), async (history, pick, off) => {
        const time = history.entries[pick % history.entries.length]!.logTime + off;
        await assertAt(history, { kind: "log-time", time }, countBefore(history, time));
      });
      await fc.assert(property, { numRuns });
    });

    test("as of an event time ends with the first entry at which the watermark reaches it", async () => {
      const property = fc.asyncProperty(histories, fc.integer({ min: -3 * MINUTE_MS, max: 30 * MINUTE_MS }), async (history, off) => {
        const time = T0 + off;
        const count = countUntilWatermark(history, job, time);
        const store = new MemoryStore();
        const fold = await openPast(job, await memoryLogOf(history.entries), { store });
        const result = await foldTo(fold, { kind: "event-time", time }, history.entries.length + 1);
        assert.equal(result, count === undefined ? "end" : "reached");
        if (count === undefined) return;
        const { sequence, index } = lastFolded(fold.meta);
        assert.equal(sequence, count);
        assert.ok(fold.meta.watermark! >= time);
        const fresh =
          itemsOf(history.entries[count - 1]!) > 1 ? foldedWithin(history, job, sequence, index) : foldedBeginning(history, job, count);
        assert.deepEqual(statesOf(job, store, keys), statesOf(job, fresh.store, keys));
      });
      await fc.assert(property, { numRuns });
    });

    async function assertAt(history: TestLog, target: HistoricTarget, count: number): Promise<void> {
      const store = new MemoryStore();
      const fold = await openPast(job, await memoryLogOf(history.entries), { store });
      const result = await foldTo(fold, target, history.entries.length + 1);
      assert.equal(result, count < history.entries.length ? "reached" : "end");
      if (count > 0) assert.deepEqual(bytesOf(store), bytesOf(foldedBeginning(history, job, count).store));
    }
  });
}

test("a search by log time never ends before the first later entry, however the times step back", async () => {
  const times = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 60 });
  const property = fc.asyncProperty(times, fc.integer({ min: -1, max: 51 }), async (logTimes, time) => {
    const history = new TestLog("meter", 0);
    for (const logTime of logTimes) history.tick(logTime - history.logTime);
    const log = await memoryLogOf(history.entries);
    const end = logTimes.length + 1;
    const found = await sequenceAfter(log, time, 1, end);
    const first = logTimes.findIndex((logTime) => logTime > time) + 1;
    if (first === 0) assert.equal(found, end);
    else assert.ok(found >= first && (found === end || logTimes[found - 1]! > time));
  });
  await fc.assert(property, { numRuns: 500 });
});

test("a fold for whose next entries the log is trimmed says so", async () => {
  const history = new TestLog("meter");
  for (let i = 0; i < 10; i++) history.event({ id: `e${i}` });
  const log = await memoryLogOf(history.entries);
  const fold = await openPast(meter, log);
  await foldTo(fold, { kind: "position", sequence: 3, index: 0 });
  log.trim(5);
  await assert.rejects(foldTo(fold, { kind: "position", sequence: 7, index: 0 }), { code: "HISTORY_TRIMMED" });
  assert.equal(await foldTo(fold, { kind: "position", sequence: 3, index: 0 }), "reached");
});
