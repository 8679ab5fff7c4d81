/** Histories in which calls hold their keys, folded in every way, and the rows that they leave. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { callId } from "../../actors/fold/call-row.ts";
import { writeOwner } from "../../actors/fold/journal.ts";
import { heldRow, TABLE, timerRow } from "../../actors/fold/keys.ts";
import { writeResults } from "../../actors/fold/result-entry.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { job } from "../../actors/model/job.ts";
import { slotOf } from "../../actors/model/key.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import { readOutputs, T0, TestLog } from "../support/entries.ts";
import { clerk, clerks, type HoldStep, mate } from "../support/hold-script.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { bytesOf, INTERRUPTED } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 100);
const JOURNAL = "clerks.p0.j.clerks";

class HoldLog extends TestLog {
  #count = 0;

  constructor() {
    super("clerks");
    this.raw(JOURNAL, writeOwner("token", "n1"));
  }

  run(steps: readonly HoldStep[], key = "a", at = 0): this {
    return this.event({ id: `n${++this.#count}`, type: "clerk.run", key, time: T0 + at, data: { steps } }, 1);
  }

  /** Answers calls that wait, by their numbers among these, all in one entry. */
  answer(which: readonly number[], steps: readonly HoldStep[] = []): this {
    const waiting = [...waitingCalls(foldHistory(this.history(clerks)).store)];
    const calls = new Set(which.map((n) => waiting[n % Math.max(1, waiting.length)]).filter((call) => call !== undefined));
    const results = [...calls].map((call) => ({
      call: callId("clerks", 0, call),
      input: call.hash,
      output: { n: (JSON.parse(call.input) as { n: number }).n, steps },
    }));
    return this.raw(JOURNAL, writeResults(1, results), 1);
  }
}

const aStep: fc.Arbitrary<HoldStep> = fc.oneof(
  fc.record({ hold: fc.nat(9) }),
  fc.record({ ask: fc.nat(9) }),
  fc.record({
    arm: fc.integer({ min: -5, max: 30 }).map((at) => T0 + at),
    id: fc.constantFrom("s", "t"),
    clock: fc.constantFrom(undefined, "processing" as const),
    steps: fc.constantFrom<readonly HoldStep[]>([], [{ hold: 7 }], [{ hold: 8 }, { fail: "no" }]),
  }) as fc.Arbitrary<HoldStep>,
  fc.constantFrom<HoldStep>({ fail: "no" }, { quarantine: "bad" }, { say: "x" }, { cancel: "s" }),
);
const steps = fc.array(aStep, { maxLength: 3 });
const aPart = fc.oneof(
  { weight: 3, arbitrary: fc.record({ run: steps, key: fc.constantFrom("a", "a", "b"), at: fc.integer({ min: -10, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ answer: fc.array(fc.nat(5), { minLength: 1, maxLength: 3 }), steps }) },
  { weight: 1, arbitrary: fc.record({ batch: fc.array(steps, { minLength: 1, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ tick: fc.constantFrom(10, 6_000) }) },
);
const aLog: fc.Arbitrary<HoldLog> = fc.array(aPart, { maxLength: 14 }).map((parts) => {
  const log = new HoldLog();
  parts.forEach((part, i) => {
    if ("run" in part) log.run(part.run, part.key, part.at);
    else if ("answer" in part) log.answer(part.answer, part.steps);
    else if ("tick" in part) log.tick(part.tick);
    else log.batch(part.batch.map((some, n) => ({ id: `b${i}.${n}`, type: "clerk.run", key: "a", time: T0 + i, data: { steps: some } })));
  });
  return log;
});

suite("any history of keys that are held", () => {
  for (const [name, way] of Object.entries(INTERRUPTED)) {
    test(`gives the same outputs and state hash with ${name}`, () => {
      fc.assert(
        fc.property(aLog, (log) => {
          const history = log.history(clerks);
          assert.deepEqual(bytesOf(foldHistory(history, way)), bytesOf(foldHistory(history)));
        }),
        { numRuns: RUNS },
      );
    });
  }

  test("leaves rows that hold together, behind every unit", () => {
    fc.assert(
      fc.property(aLog, (log) => {
        const store = new MemoryStore();
        foldHistory({ ...log.history(clerks), store }, { commitEveryUnits: 1, crash: true }, () => {
          if (store.get("m") !== undefined) assertRowsHold(store, clerks);
        });
        assertRowsHold(store, clerks);
      }),
      { numRuns: Math.ceil(RUNS / 3) },
    );
  });
});

test("a later build in which nothing holds runs what an earlier one has kept back", () => {
  const log = new HoldLog().run([{ hold: 1 }]).run([{ say: "second" }, { arm: T0 - 1, id: "t", steps: [] }]);
  const { store } = foldHistory(log.history(clerks));
  log.answer([0]);
  const withoutHold = { ...clerk, effects: clerk.effects.map((effect) => ({ ...effect, hold: false })) };
  const later = job("clerks", { ...settings(), actors: [withoutHold, mate] });
  const { outputs } = foldHistory({ ...log.history(later), store });
  assert.deepEqual(
    readOutputs(outputs).map(({ data }) => data.what),
    ["judged 1", "second", "heard 2", "later t"],
  );
  assertRowsHold(store, later);
  assert.equal(store.scan(TABLE.held, `${TABLE.held}\xff`, 10).length, 0);
});

test("a later build without the effect, or without what was set, lets go too, and drops what it does not know", () => {
  const log = new HoldLog().run([{ arm: T0 + 5, id: "t", steps: [] }, { hold: 1 }]).run([{ say: "second" }], "a", 10);
  const { store } = foldHistory(log.history(clerks));
  log.answer([0]);
  const bare = { ...clerk, effects: [], timers: clerk.timers.filter(({ name }) => name === "alarm") };
  const later = job("clerks", { ...settings(), actors: [bare, mate] });
  const { outputs, meta } = foldHistory({ ...log.history(later), store });
  assert.deepEqual(
    readOutputs(outputs).map(({ data }) => data.what),
    ["second", "heard 2"],
  );
  assert.deepEqual([meta.timers, meta.calls], [0, 0]);
  assertRowsHold(store, later);
});

test("a released unit that is to be skipped is: its event and its timer leave dead letters, and the rest runs", () => {
  const log = new HoldLog().run([{ arm: T0 + 5, id: "t", steps: [] }, { hold: 1 }]).run([{ say: "no" }]);
  log.run([{ say: "yes" }], "a", 10).answer([0]);
  const slot = slotOf("a");
  const timer = timerRow({ clock: "event", time: T0 + 5, token: "a", actor: "clerk", name: "later", id: "t" });
  const skips = new Map([heldRow(slot, "a", 0), timer].map((unit) => [`0:5.0|${unit}`, "it crashed"]));
  const { outputs, meta } = foldHistory({ ...log.history(clerks), skips });
  const told = readOutputs(outputs).map(({ data }) => data.what ?? data.handler);
  assert.deepEqual(told, ["heard 1", "judged 1", "clerk.clerk.run", "mate.clerk.run", "clerk.later", "yes", "heard 2"]);
  assert.equal(meta.counts.deadLettered, 2);
});

function settings() {
  return { log: "clerks", outOfOrderness: 0, allowedLateness: "20s", dedupeHorizon: "1h", maxAhead: "1d", idle: "hold" as const };
}

test("a key has rows of what it holds only while a call holds it", () => {
  const log = new HoldLog().run([{ ask: 1 }]).run([{ say: "x" }]);
  const { store } = foldHistory(log.history(clerks));
  assert.equal(store.scan(TABLE.held, `${TABLE.held}\xff`, 10).length, 0);
  const held = foldHistory(new HoldLog().run([{ hold: 1 }]).history(clerks)).store;
  assert.equal(held.scan(TABLE.held, `${TABLE.held}\xff`, 10).length, 1);
});
