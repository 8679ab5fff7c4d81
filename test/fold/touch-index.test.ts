/** The index of what touched a key says the same however the entries were committed, and what it says is so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { FoldObserver } from "../../actors/fold/fold-observer.ts";
import { KeyRow } from "../../actors/fold/key-row.ts";
import { readTouchesBlock, TABLE, TOUCHED_ROW, TOUCHES_BLOCK, touchesOf } from "../../actors/fold/keys.ts";
import type { Cursor } from "../../actors/fold/meta.ts";
import { Rows } from "../../actors/fold/rows.ts";
import { readTouched, readTouches, TouchIndex } from "../../actors/fold/touch-index.ts";
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

test("drops what tells of entries that the log has no more, a piece with each commit, and nothing else", () => {
  const store = new MemoryStore();
  const rows = new Rows(store);
  const at = (sequence: number): Cursor => ({ sequence, index: 0, phase: "start" });
  const index = new TouchIndex(rows, store, at(1), true);
  const keys = Array.from({ length: 700 }, (_, i) => new KeyRow(`k${i}`, slotOf(`k${i}`)));
  const commit = (sequence: number): number => {
    index.seal(at(sequence));
    const changes = rows.seal();
    store.commit(changes, () => rows.committed());
    return changes.filter(({ value }) => value === null).length;
  };
  const behind = TOUCHES_BLOCK + 5;
  for (const sequence of [7, behind]) for (const key of keys) index.touch(key, sequence);
  commit(behind + 1);
  assert.equal(indexOf(store).length, 2 * keys.length + 1);
  // Of the first block something is left.
  index.forgetBefore(TOUCHES_BLOCK - 1);
  assert.equal(commit(behind + 1), 0);
  index.forgetBefore(TOUCHES_BLOCK);
  const dropped = [1, 2, 3, 4].map(() => commit(behind + 1));
  assert.equal(dropped[0], 250);
  assert.deepEqual([dropped.reduce((sum, count) => sum + count), indexOf(store).length], [keys.length, keys.length + 1]);
  for (const { token } of keys) assert.deepEqual(touchesOfKey(store, token), [behind]);
  assert.deepEqual(readTouched(store), [{ from: 1, to: behind + 1 }]);
});
