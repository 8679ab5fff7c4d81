/** The fold's own data structures, driven at random beside an oracle that is too simple to be wrong. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { DedupeSet, type EventIdentity, identityOf, PAGE_IDS, type PageStore } from "../../actors/fold/dedupe.ts";
import { HASHED_TABLES, META_ROW, readTime, SUMS_ROW, type TimerAddress, timerRow } from "../../actors/fold/keys.ts";
import { Rows } from "../../actors/fold/rows.ts";
import { StateSums } from "../../actors/fold/state-hash.ts";
import { TimerIndex } from "../../actors/fold/timer-index.ts";
import meter from "../../actors/meter/meter.ts";
import { ByteReader, ByteWriter } from "../../actors/model/bytes.ts";
import { slotOf } from "../../actors/model/key.ts";
import { primitives } from "../../runtime/primitives.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { T0 } from "../support/entries.ts";
import { aHistory } from "../support/random-history.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 100);

class Pages implements PageStore {
  readonly pages = new Map<number, Uint8Array>();
  readPage(page: number): Uint8Array {
    const bytes = this.pages.get(page);
    assert(bytes !== undefined, `page ${page} is gone`);
    return bytes;
  }
  writePage(page: number, bytes: Uint8Array): void {
    assert(!this.pages.has(page), `page ${page} is written twice`);
    this.pages.set(page, bytes.slice());
  }
  dropPage(page: number): void {
    assert(this.pages.delete(page), `page ${page} is dropped and was not there`);
  }
}

function stored(set: DedupeSet): DedupeSet {
  const writer = new ByteWriter();
  set.write(writer);
  const reader = new ByteReader(writer.finish());
  const back = DedupeSet.read(reader);
  assert(reader.done);
  return back;
}

const identityFor = (id: number, content: number): EventIdentity =>
  identityOf(primitives.sha256(`id ${id}`), primitives.sha256(`content ${content}`));

suite("a dedupe set", () => {
  /** `step` moves the watermark; an id is remembered for the horizon beyond its time: short ones expire, long ones fill many pages. */
  const anAct = fc.record({
    id: fc.nat(400),
    content: fc.nat(1),
    lag: fc.integer({ min: -20, max: 140 }),
    step: fc.constantFrom(0, 0, 0, 0, 1, 3, 60),
    reload: fc.constantFrom(false, false, false, false, true),
  });

  test("answers as a map of all ids would, over pages, expiry, and reloads between any two", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(100, 2_000, 100_000),
        fc.array(anAct, { minLength: 1, maxLength: 1_200, size: "max" }),
        (horizon, acts) => {
          const pages = new Pages();
          const oracle = new Map<number, { content: number; time: number; sequence: number }>();
          let set = new DedupeSet();
          let watermark = T0;
          acts.forEach(({ id, content, lag, step, reload }, sequence) => {
            watermark += step;
            const notBefore = watermark - horizon;
            if (reload) set = stored(set);
            const time = watermark - lag;
            const known = oracle.get(id);
            const expected = known === undefined || known.time < notBefore ? "new" : known.content === content ? "same" : "other";
            assert.equal(set.seen(identityFor(id, content), notBefore, pages), expected);
            if (expected === "other") assert.deepEqual(set.conflictsWith, { sequence: known!.sequence, index: id });
            if (expected !== "new" || time < notBefore) return;
            set.add(identityFor(id, content), time, { sequence, index: id }, notBefore, pages);
            oracle.set(id, { content, time, sequence });
          });
          assert.deepEqual(
            [...pages.pages.values()].filter((bytes) => bytes.length !== PAGE_IDS * 40),
            [],
          );
        },
      ),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });

  test("has bytes that depend on what was added and when, not on reloads", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 150, maxLength: 300, size: "max" }), (reloads) => {
        const [calm, disturbed] = [new Pages(), new Pages()];
        const one = new DedupeSet();
        let other = new DedupeSet();
        reloads.forEach((reload, i) => {
          if (reload) other = stored(other);
          for (const [set, pages] of [
            [one, calm],
            [other, disturbed],
          ] as const)
            set.add(identityFor(i, i), T0 + i, { sequence: i, index: 0 }, T0 + i - 90, pages);
        });
        const [a, b] = [new ByteWriter(), new ByteWriter()];
        one.write(a);
        other.write(b);
        assert.deepEqual(a.finish(), b.finish());
        assert.deepEqual(calm.pages, disturbed.pages);
      }),
      { numRuns: Math.ceil(numRuns / 4) },
    );
  });

  test("takes memory for the ids that still count, however many there were", () => {
    const pages = new Pages();
    const set = new DedupeSet();
    const horizon = 1_000;
    for (let i = 0; i < 40_000; i++) {
      const notBefore = T0 + i - horizon;
      assert.equal(set.seen(identityFor(i, i), notBefore, pages), "new");
      set.add(identityFor(i, i), T0 + i, { sequence: i, index: 0 }, notBefore, pages);
      if (i >= horizon) assert.equal(set.seen(identityFor(i - horizon, i - horizon), notBefore, pages), "same");
    }
    assert(set.count < horizon + 3 * PAGE_IDS, `${set.count} ids`);
    assert(set.indexBytes <= 32 * (horizon + 3 * PAGE_IDS), `${set.indexBytes} bytes`);
  });

  test("keeps positions of every size", () => {
    const set = new DedupeSet();
    const at = { sequence: 2 ** 49 + 2 ** 33 + 7, index: 9_999 };
    set.add(identityFor(1, 1), -62_167_219_200_000, at, Number.NEGATIVE_INFINITY, new Pages());
    assert.equal(stored(set).oldest(new Pages()), -62_167_219_200_000);
    set.seen(identityFor(1, 2), Number.NEGATIVE_INFINITY, new Pages());
    assert.deepEqual(set.conflictsWith, at);
  });
});

suite("the timer index", () => {
  const anAddress: fc.Arbitrary<TimerAddress> = fc.record({
    clock: fc.constantFrom("event", "processing"),
    time: fc.integer({ min: T0, max: T0 + 300 }),
    token: fc.constantFrom("a", "b", "c"),
    actor: fc.constant("m"),
    name: fc.constant("t"),
    id: fc.integer({ min: 0, max: 60 }).map(String),
  });
  type Act =
    | { readonly add: TimerAddress }
    | { readonly remove: number }
    | { readonly due: number }
    | { readonly commit: true }
    | { readonly reload: true };
  const anAct: fc.Arbitrary<Act> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ add: anAddress }) },
    { weight: 3, arbitrary: fc.record({ remove: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ due: fc.integer({ min: T0, max: T0 + 310 }) }) },
    { weight: 1, arbitrary: fc.constant<Act>({ commit: true }) },
    { weight: 1, arbitrary: fc.constant<Act>({ reload: true }) },
  );

  test("finds what a sorted list would, over commits, sealed groups and reloads between any two", () => {
    fc.assert(
      fc.property(fc.array(anAct, { maxLength: 400, size: "max" }), (acts) => drive(acts)),
      { numRuns },
    );
  });

  test("of 40,000 timers gives each in its order, however they were added and read between", () => {
    const address = (i: number): TimerAddress => ({
      clock: "event",
      time: T0 + ((i * 7_919) % 50_000),
      token: "a",
      actor: "m",
      name: "t",
      id: String(i),
    });
    const store = new MemoryStore();
    const rows = new Rows(store);
    const index = new TimerIndex(rows);
    const commit = (): void => store.commit(rows.seal(), () => rows.committed());
    const all: string[] = [];
    for (let i = 0; i < 40_000; i++) {
      index.add(timerRow(address(i)));
      all.push(timerRow(address(i)));
      if (i % 9_000 === 0) index.first("event");
      if (i % 15_000 === 0) commit();
    }
    all.sort();
    all.forEach((row, n) => {
      assert.equal(index.firstBefore("event", readTime(row) + 1), row);
      assert.equal(index.firstBefore("event", readTime(row)), undefined);
      index.remove(row);
      if (n % 13_000 === 0) commit();
    });
    assert.equal(index.first("event"), undefined);
  });

  function drive(acts: readonly Act[]): void {
    const store = new MemoryStore();
    let rows = new Rows(store);
    let index = new TimerIndex(rows);
    const oracle = new Set<string>();
    const commit = (): void => {
      if (!rows.sealed) store.commit(rows.seal(), () => {});
      rows.committed();
    };
    for (const act of acts) {
      if ("add" in act) {
        index.add(timerRow(act.add));
        oracle.add(timerRow(act.add));
      } else if ("remove" in act) {
        const row = [...oracle][act.remove % Math.max(1, oracle.size)];
        if (row === undefined) continue;
        index.remove(row);
        oracle.delete(row);
      } else if ("due" in act) {
        for (const clock of ["event", "processing"] as const) {
          const ofClock = [...oracle].filter((row) => row[1] === clock[0]).sort();
          assert.equal(
            index.firstBefore(clock, act.due),
            ofClock.find((row) => readTime(row) < act.due),
          );
          assert.equal(index.first(clock), ofClock[0]);
        }
      } else if ("commit" in act) commit();
      else {
        commit();
        rows = new Rows(store);
        index = new TimerIndex(rows);
      }
    }
  }
});

test("while a sealed group waits, rows are read as of the open one over it over the store", () => {
  const aChange = fc.record({ key: fc.constantFrom("ta", "tb", "tc", "td"), value: fc.constantFrom(null, 1, 2, 3) });
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.record({ change: aChange }), fc.constantFrom("seal", "stored", "forget")), { maxLength: 60 }),
      (acts) => {
        const store = new MemoryStore();
        const rows = new Rows(store);
        const truth = new Map<string, number>();
        let sealed: { key: string; value: Uint8Array | null }[] | undefined;
        let isStored = false;
        for (const act of acts) {
          if (typeof act === "object") {
            const { key, value } = act.change;
            rows.set(key, value === null ? null : Uint8Array.of(value));
            if (value === null) truth.delete(key);
            else truth.set(key, value);
          } else if (act === "seal" && sealed === undefined) sealed = rows.seal();
          else if (act === "stored" && sealed !== undefined && !isStored) {
            store.commit(sealed, () => {});
            isStored = true;
          } else if (act === "forget" && isStored) {
            rows.committed();
            sealed = undefined;
            isStored = false;
          }
          for (const key of ["ta", "tb", "tc", "td"]) assert.equal(rows.get(key)?.[0], truth.get(key));
          assert.deepEqual(
            rows.keys("t", "u", 2).keys.slice(0, 1),
            [...truth.keys()]
              .sort()
              .slice(0, 1)
              .filter((key) => key < rows.keys("t", "u", 2).end),
          );
        }
      },
    ),
    { numRuns },
  );
});

test("the sums of the state hash are those of all rows that the store holds", () => {
  fc.assert(
    fc.property(
      aHistory,
      fc.constantFrom({}, { commitEveryUnits: 3 }, { commitEveryUnits: 2, crash: true, liveRowsMax: 0 }),
      (log, way) => {
        const { store, stateHash } = foldHistory(log.history(meter), way);
        const sums = new StateSums();
        let total = 0n;
        for (const table of HASHED_TABLES) {
          for (const { key, value } of store.scan(table, String.fromCharCode(table.charCodeAt(0) + 1), 1e6)) {
            const hash = primitives.rowHash(key, value);
            const slot = table === "t" ? slotOf(key.slice(10, key.indexOf("\0", 10))) : key.charCodeAt(1) * 256 + key.charCodeAt(2);
            sums.replace(table, slot, 0n, hash);
            total += hash;
          }
        }
        assert.deepEqual(Buffer.from(store.get(SUMS_ROW)!), Buffer.from(sums.write()));
        assert.deepEqual(StateSums.read(sums.write()).write(), sums.write());
        const mask = (1n << 128n) - 1n;
        total = (total + primitives.rowHash(META_ROW, store.get(META_ROW)!)) & mask;
        assert.equal(stateHash, total.toString(16).padStart(32, "0"));
      },
    ),
    { numRuns },
  );
});
