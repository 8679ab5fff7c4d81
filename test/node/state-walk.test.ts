/** Walks over the rows of a shard give, in pieces of any length, what its rows add up to. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { clockPrefix, TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { HOUR_MS } from "../../actors/model/time.ts";
import { ActorRows } from "../../runtime/node/actor-record.ts";
import { type ExpiryCount, expiriesFrom, type PartSize, sampleOf, sizesFrom, type WalkPiece } from "../../runtime/node/state-walk.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { aCellHistory, cellJob, TTL_MS } from "../support/cell-script.ts";
import { T0, TestLog } from "../support/entries.ts";

const of = cellJob();
const ALL = { partition: 0, partitions: 1, slots: 1024 };
const lengthsOf = (store: ShardStore, prefix: string): number =>
  store.scan(prefix, tableEnd(prefix), 1e9).reduce((sum, { key, value }) => sum + key.length + value.length, 0);

/** Every piece's sums, one behind the other, as rows come `rowsMax` at a time. */
function walked<T, P>(start: P, piece: (at: P) => WalkPiece<T, P>): T[] {
  const sums: T[] = [];
  for (let at: P | undefined = start; at !== undefined; ) {
    const { sums: more, next } = piece(at);
    sums.push(...more);
    at = next;
  }
  return sums;
}

const sizesOf = (store: ShardStore, rowsMax: number, where = ALL): PartSize[] =>
  walked({ slot: 0, table: 0, after: "" }, (at) => sizesFrom(of, store, where, at, rowsMax));
const expiriesOf = (store: ShardStore, rowsMax: number): ExpiryCount[] => walked("", (at) => expiriesFrom(store, TTL_MS, at, rowsMax));
const total = (sums: readonly number[]): number => sums.reduce((sum, one) => sum + one, 0);

suite("whatever an actor went through", () => {
  test("the parts of its state cost together what its rows have in bytes, with the index of what expires", () => {
    fc.assert(
      fc.property(aCellHistory, fc.integer({ min: 1, max: 7 }), ({ log }, rowsMax) => {
        const { store } = foldHistory(log.history(of));
        const stored = total([TABLE.key, TABLE.page, TABLE.entry, clockPrefix("expiry")].map((prefix) => lengthsOf(store, prefix)));
        assert.equal(total(sizesOf(store, rowsMax).map(({ bytes }) => bytes)), stored);
      }),
      { numRuns: 150 },
    );
  });

  test("each of its cells costs what the actor's own answer says", () => {
    fc.assert(
      fc.property(aCellHistory, ({ log }) => {
        const { store, meta } = foldHistory(log.history(of));
        const record = new ActorRows(of, store).read(0, "k", meta.watermark);
        const sums = new Map<string, { entries: number; bytes: number }>();
        for (const { part, cell, entries, bytes } of sizesOf(store, 3)) {
          if (part !== "cell") continue;
          const known = sums.get(cell!) ?? { entries: 0, bytes: 0 };
          sums.set(cell!, { entries: known.entries + entries, bytes: known.bytes + bytes });
        }
        for (const [cell, size] of Object.entries(record?.sizes ?? {}))
          assert.deepEqual(sums.get(cell) ?? { entries: 0, bytes: 0 }, size, cell);
      }),
      { numRuns: 150 },
    );
  });

  test("what expires counts each row of its index once, in spans that hold its time", () => {
    fc.assert(
      fc.property(aCellHistory, fc.integer({ min: 1, max: 7 }), ({ log }, rowsMax) => {
        const { store } = foldHistory(log.history(of));
        const found = expiriesOf(store, rowsMax);
        const prefix = clockPrefix("expiry");
        assert.equal(total(found.map(({ count }) => count)), store.scan(prefix, tableEnd(prefix), 1e9).length);
        assert.ok(found.every(({ from }) => from % TTL_MS === 0));
        assert.deepEqual(
          found.map(({ from }) => from),
          found.map(({ from }) => from).toSorted((a, b) => a - b),
        );
      }),
      { numRuns: 100 },
    );
  });
});

test("a cell and the ids of a key go in the spans of their ends", () => {
  const put = (at: string) => ({ cell: "map", ttl: true, do: "put", at, number: 1 });
  const log = new TestLog("cells").event({ id: "1", type: "cells.run", key: "k", data: { ops: [put("a"), put("b")], fail: false } });
  assert.deepEqual(expiriesOf(foldHistory(log.history(of)).store, 100), [
    { from: T0 + TTL_MS, actor: "cells", cell: "mapTtl", count: 2 },
    { from: T0 + 2 * HOUR_MS, actor: null, cell: null, count: 1 },
  ]);
});

test("a sample looks into its share of a shard's own slots, and into all of them is exact", () => {
  const log = new TestLog("cells");
  const op = { cell: "value", ttl: false, do: "put", at: "", number: 1 };
  for (let i = 0; i < 2_000; i++) log.event({ id: `${i}`, type: "cells.run", key: `key-${i}`, data: { ops: [op], fail: false } });
  const { store } = foldHistory(log.history(of));
  const actors = (where: typeof ALL) => total(sizesOf(store, 500, where).map(({ cell, actors }) => (cell === "value" ? actors : 0)));
  assert.equal(actors(ALL), 2_000);
  const halves = [0, 1].map((partition) => actors({ partition, partitions: 2, slots: 512 }));
  assert.equal(total(halves), 2_000);
  const { taken, of: all } = sampleOf(1, 2, 256);
  assert.deepEqual([taken, all], [128, 512]);
  const estimate = (actors({ partition: 1, partitions: 2, slots: taken }) * all) / taken;
  assert.ok(Math.abs(estimate - halves[1]!) < 250, `${estimate} for ${halves[1]}`);
  assert.deepEqual(
    [sampleOf(5, 7, 1), sampleOf(0, 1, 1024)],
    [
      { taken: 1, of: 146 },
      { taken: 1024, of: 1024 },
    ],
  );
});
