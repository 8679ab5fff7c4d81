/** The index of what touched a key says the same however the entries were committed, and what it says is so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FoldObserver } from "../../actors/fold/fold-observer.ts";
import { readTouchesBlock, TABLE, TOUCHED_ROW, touchesOf } from "../../actors/fold/keys.ts";
import { readTouched, readTouches } from "../../actors/fold/touch-index.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { foldTo, memoryLogOf, openPast } from "../support/past-world.ts";

const job = everythingJob(1);
const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);

function indexOf(store: ShardStore): readonly { readonly key: string; readonly value: Uint8Array }[] {
  return store.scan(TABLE.touches, String.fromCharCode(TABLE.touches.charCodeAt(0) + 1), Number.POSITIVE_INFINITY);
}

function touchesOfKey(store: ShardStore, token: string): number[] {
  const prefix = touchesOf(slotOf(token), token);
  return store.scan(prefix, `${prefix}\xff\xff\xff\xff\xff`, 100).flatMap(({ key, value }) => readTouches(readTouchesBlock(key), value));
}

test("is the same in one commit, in one for each unit, and with a crash behind each", () => {
  fc.assert(
    fc.property(anEverythingHistory, (log) => {
      const history = log.history(job);
      const whole = indexOf(foldHistory(history).store);
      for (const way of [{ commitEveryUnits: 1 }, { commitEveryUnits: 3, liveRowsMax: 1 }, { commitEveryUnits: 1, crash: true }]) {
        assert.deepEqual(indexOf(foldHistory(history, way).store), whole);
      }
    }),
    { numRuns },
  );
});

test("names every entry at which a fold that is watched sees something become of the key, its own subject aside", async () => {
  const property = fc.asyncProperty(anEverythingHistory, async (log) => {
    const seen = new Map<string, Set<number>>();
    let sequence = (): number => 0;
    const note = (token: string): void => {
      const own = log.entries[sequence() - 1]!.subject.endsWith(`.e.${token}`);
      if (!own) seen.set(token, (seen.get(token) ?? new Set()).add(sequence()));
    };
    const noteTimer = (token: string): void => void seen.set(token, (seen.get(token) ?? new Set()).add(sequence()));
    const observer: FoldObserver = {
      event: ({ token }) => note(token),
      timer: ({ token }) => noteTimer(token),
      expiry: ({ token }) => noteTimer(token),
      result: ({ token }) => note(token),
      redrive: ({ token }) => note(token),
      output() {},
      lookups() {},
      record() {},
    };
    const fold = await openPast(job, await memoryLogOf(log.entries));
    await fold.observe({ observer, calls: { asked() {}, closed() {} }, betweenUnits: async () => {} });
    sequence = () => fold.meta.last.sequence;
    await foldTo(fold, { kind: "position", sequence: log.entries.length, index: 1_000 });
    const { store } = foldHistory(log.history(job));
    for (const [token, sequences] of seen) {
      const indexed = new Set(touchesOfKey(store, token));
      for (const one of sequences) assert.ok(indexed.has(one), `${token} at ${one}, indexed ${[...indexed]}`);
    }
    assert.deepEqual(readTouched(store), [{ from: 1, to: log.entries.length + 1 }]);
  });
  await fc.assert(property, { numRuns });
});

test("says where it was not kept", () => {
  const log = new TestLog("all");
  for (let i = 0; i < 6; i++) log.batch([{ id: `e${i}`, key: "a", type: "run", data: { acts: [], later: [] } }], 1);
  const store = new MemoryStore();
  const history = { ...log.history(job), store };
  const upTo = (count: number, timelineIndex: boolean): void => {
    foldHistory({ ...history, entries: log.entries.slice(0, count), timelineIndex });
  };
  upTo(2, true);
  upTo(4, false);
  assert.deepEqual(readTouched(store), [{ from: 1, to: 3 }]);
  upTo(6, true);
  assert.deepEqual(readTouched(store), [
    { from: 1, to: 3 },
    { from: 5, to: 7 },
  ]);
  assert.deepEqual(touchesOfKey(store, writeKey("a")!), [1, 2, 5, 6]);
  assert.ok(store.get(TOUCHED_ROW));
});
