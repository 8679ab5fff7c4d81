import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { TABLE, tableEnd } from "../../actors/fold/keys.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { installGuards } from "../../runtime/shard/guards.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { Row } from "../../runtime/store/shard-store.ts";
import { aCellHistory, type CellOp, cellJob, TTL_MS } from "../support/cell-script.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);
const of = cellJob();

function seenBy(folded: Folded): unknown[] {
  return readOutputs(folded.outputs)
    .filter(({ type }) => type === "cells.seen")
    .map(({ data }) => data);
}

function rowsOf(folded: Folded, table: string): number {
  return folded.store.scan(table, tableEnd(table), 1_000_000).length;
}

function run(log: TestLog, id: string, time: number, ops: readonly Partial<CellOp>[], more: object = {}): TestLog {
  const full = ops.map((op) => ({ cell: "value", ttl: true, do: "put", at: "a", number: 1, ...op }));
  return log.event({ id, type: "cells.run", key: "k", time, data: { ops: full, fail: false, ...more } });
}

test("any history shows in every kind of cell what plain lists of it show", () => {
  fc.assert(
    fc.property(aCellHistory, ({ log, seen }) => {
      assert.deepEqual(seenBy(foldHistory(log.history(of))), JSON.parse(JSON.stringify(seen)));
    }),
    { numRuns: RUNS },
  );
});

for (const [name, way] of Object.entries(INTERRUPTED)) {
  test(`any history of cells gives the same bytes and state hash with ${name}`, () => {
    fc.assert(
      fc.property(aCellHistory, ({ log }) => {
        assert.deepEqual(bytesOf(foldHistory(log.history(of), way)), bytesOf(foldHistory(log.history(of))));
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });
}

test("any history, brought to the end of its time, leaves no row of what expires", () => {
  fc.assert(
    fc.property(aCellHistory, ({ log }) => {
      const kept = foldHistory(log.watermark(T0 + 20 * TTL_MS).history(of));
      const forgotten = foldHistory(log.watermark(T0 + 1_000 * TTL_MS).history(of));
      const withoutTtl = kept.store.scan(TABLE.entry, tableEnd(TABLE.entry), 1_000).filter(({ key }) => key.includes("Ttl\0"));
      assert.equal(withoutTtl.length, 0);
      assert.equal(rowsOf(forgotten, "tx"), 0, "nothing waits to expire");
      assert.equal(rowsOf(forgotten, TABLE.page), 0);
    }),
    { numRuns: Math.ceil(RUNS / 3) },
  );
});

suite("what lives for a minute", () => {
  const look = (log: TestLog) => seenBy(foldHistory(log.history(of))) as { readonly ttl: { readonly value: number | null } }[];

  test("is seen until just before its end, and not at it", () => {
    const log = run(new TestLog("cells"), "1", T0, [{}]);
    run(run(log, "2", T0 + TTL_MS - 1, []), "3", T0 + TTL_MS, []);
    assert.deepEqual(
      look(log).map(({ ttl }) => ttl.value),
      [1, 1, null],
    );
  });

  test("is not seen at its end by an event whose watermark is not there yet", () => {
    const log = run(run(new TestLog("cells"), "1", T0, [{}]), "2", T0 + TTL_MS + 5_000, []);
    assert.equal(look(log)[1]?.ttl.value, null);
    assert.equal(foldHistory(log.history(of)).meta.watermark, T0 + TTL_MS - 5_000);
  });

  test("lives anew when it is written again", () => {
    const log = run(run(run(new TestLog("cells"), "1", T0, [{}]), "2", T0 + 50_000, [{ number: 2 }]), "3", T0 + 100_000, []);
    assert.equal(look(log)[2]?.ttl.value, 2);
  });

  test("lives its whole time when it is written by an event that is behind", () => {
    const log = run(run(new TestLog("cells"), "1", T0 + 600_000, []), "2", T0, [{}]);
    run(log, "3", T0 + 600_000, []);
    assert.equal(look(log)[2]?.ttl.value, 1);
  });

  test("is seen by a timer that is due before its end, also when both are due at once", () => {
    const log = run(new TestLog("cells", T0 + 3_600_000), "1", T0, [{}], { timer: T0 + TTL_MS - 1 });
    run(log, "2", T0 + 3_000_000, []);
    assert.deepEqual(
      look(log).map(({ ttl }) => ttl.value),
      [1, 1, null],
    );
  });

  test("is not seen by a timer that is due at its end", () => {
    const log = run(new TestLog("cells", T0 + 3_600_000), "1", T0, [{}], { timer: T0 + TTL_MS });
    run(log, "2", T0 + 3_000_000, []);
    assert.deepEqual(
      look(log).map(({ ttl }) => ttl.value),
      [1, null, null],
    );
  });
});

suite("a key that is silent for longer than its ids are remembered", () => {
  test("leaves no row at all", () => {
    const log = run(new TestLog("cells"), "1", T0, [{}]).watermark(T0 + 7_200_001);
    const folded = foldHistory(log.history(of));
    assert.deepEqual([folded.meta.keys, rowsOf(folded, TABLE.key), rowsOf(folded, "t")], [0, 0, 0]);
  });

  test("is remembered up to then", () => {
    const log = run(new TestLog("cells"), "1", T0, [{}]).watermark(T0 + 7_200_000);
    assert.equal(foldHistory(run(log, "1", T0, [{}]).history(of)).meta.counts.duplicate, 1);
  });
});

suite("a cell refuses", () => {
  const failing = (op: Partial<CellOp>) => {
    const [letter] = readOutputs(foldHistory(run(new TestLog("cells"), "1", T0, [op]).history(of)).outputs);
    return (letter!.data.error as { readonly code: string }).code;
  };

  test("a key over 256 bytes", () => {
    assert.equal(failing({ cell: "map", at: "x".repeat(257) }), "STATE_KEY");
    assert.equal(failing({ cell: "set", at: "é".repeat(50) }), "STATE_KEY");
  });

  test("a sum that is no safe integer", () => {
    const log = run(new TestLog("cells"), "1", T0, [{ cell: "counter", number: 2 ** 53 - 1 }, { cell: "counter" }]);
    assert.match(String(JSON.stringify(readOutputs(foldHistory(log.history(of)).outputs)[0]?.data)), /COUNTER_RANGE/);
  });
});

test("a store that uses timers and clocks for itself may do so while a handler reads an entry", () => {
  class TimedStore extends MemoryStore {
    override get(key: string): Uint8Array | undefined {
      clearTimeout(setTimeout(() => {}, Date.now()));
      return super.get(key);
    }
    override scan(from: string, to: string, limit: number): Row[] {
      clearTimeout(setTimeout(() => {}, Date.now()));
      return super.scan(from, to, limit);
    }
  }
  const log = run(new TestLog("cells"), "1", T0, [{ cell: "map" }, { cell: "set", ttl: false }]);
  run(log, "2", T0 + 1, [{ cell: "map", at: "b" }]);
  const folded = foldHistory({ ...log.history(of), guard: installGuards(), store: new TimedStore() }, { commitEveryUnits: 1, crash: true });
  assert.deepEqual(seenBy(folded), seenBy(foldHistory(log.history(of))));
});
