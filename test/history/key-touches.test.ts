/** Where something became of a key is found with no more of the index than a page has items. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TOUCHES_BLOCK } from "../../actors/fold/keys.ts";
import meter from "../../actors/meter/meter.ts";
import { slotOf } from "../../actors/model/key.ts";
import { KeyLook } from "../../runtime/history/key-look.ts";
import { type TouchParts, touchedSpans } from "../../runtime/history/key-touches.ts";
import { indexPiece } from "../../runtime/node/touch-page.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { cloudEvent, TestLog } from "../support/entries.ts";
import { memoryLogOf, openPast } from "../support/past-world.ts";

async function partsOf(log: TestLog, store: ShardStore) {
  const memory = await memoryLogOf(log.entries);
  const asked: number[] = [];
  const searched: number[] = [];
  const parts: TouchParts = {
    log: {
      firstOn: async (subject, from) => {
        searched.push(from);
        return await memory.firstOn(subject, from);
      },
    },
    subject: `meter.${slotOf("d1")}.e.d1`,
    end: log.entries.length + 1,
    index: async (from, max) => {
      const piece = indexPiece(store, "d1", from, max);
      asked.push(piece.sequences.length);
      return piece;
    },
  };
  return { memory, parts, asked, searched };
}

test("a page reads of the index what it shows, once", async () => {
  const log = new TestLog("meter");
  for (let i = 0; i < 300; i++) {
    log.batch(
      [
        { id: `a${i}`, key: "d1" },
        { id: `b${i}`, key: "d2" },
      ],
      1,
    );
    log.event({ id: `c${i}`, key: "d2" }, 1);
  }
  const { store } = foldHistory(log.history(meter));
  const { parts, asked, searched } = await partsOf(log, store);
  const spans = await touchedSpans(parts, 1, 50);
  assert.deepEqual(
    spans,
    Array.from({ length: 50 }, (_, i) => ({ from: 2 * i + 1, to: 2 * i + 1 })),
  );
  assert.deepEqual(asked, [50]);
  assert.equal(searched.length, 1);
  assert.equal((await touchedSpans(parts, 1, 1_000)).length, 300);
  assert.ok(log.entries.length < TOUCHES_BLOCK);
});

test("own events and batches of a key are found in order, and neighbours are one span that ends with the page", async () => {
  const log = new TestLog("meter");
  for (let i = 0; i < 40; i++) {
    log.batch(
      [
        { id: `a${i}`, key: "d1" },
        { id: `b${i}`, key: "d2" },
      ],
      1,
    );
    log.event({ id: `c${i}`, key: "d1" }, 1);
  }
  const { store } = foldHistory(log.history(meter));
  const { parts } = await partsOf(log, store);
  assert.deepEqual(await touchedSpans(parts, 1, 30), [{ from: 1, to: 30 }]);
  assert.deepEqual(await touchedSpans(parts, 31, 1_000), [{ from: 31, to: 80 }]);
});

test("what a whole fold shows of a key is what is found of it", async () => {
  const log = new TestLog("meter");
  log.event({ id: "e1", key: "d1" }, 1);
  for (let i = 0; i < 3; i++) log.event({ id: `x${i}`, key: "other" }, 1);
  log.raw(`meter.${(slotOf("d1") + 1) % 1024}.e.d1`, JSON.stringify(cloudEvent({ id: "misplaced", key: "d1" })), 1);
  log.raw(`meter.${slotOf("d1")}.e.d1`, "no json", 1);
  log.batch(
    [
      { id: "b1", key: "d1" },
      { id: "b2", key: "other" },
    ],
    1,
  );
  const { store } = foldHistory(log.history(meter));
  const { memory, parts } = await partsOf(log, store);
  const found = (await touchedSpans(parts, 1, 100)).flatMap(({ from, to }) => Array.from({ length: to + 1 - from }, (_, i) => from + i));
  const folded = new MemoryStore();
  const fold = await openPast(meter, memory, { store: folded });
  const look = await KeyLook.begin(fold, folded, meter, { job: meter.name, partition: 0, token: "d1" });
  const bounds = { end: Number.POSITIVE_INFINITY, entriesMax: 1_000, msMax: 10_000 };
  const { items } = await look.step({ kind: "position", sequence: 100, index: 0 }, bounds, Number.POSITIVE_INFINITY);
  assert.deepEqual([...new Set(items.map(({ sequence }) => sequence))], found);
});
