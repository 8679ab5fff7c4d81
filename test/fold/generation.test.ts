import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { callId } from "../../actors/fold/call-row.ts";
import { writeEpoch } from "../../actors/fold/journal.ts";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { writeResults } from "../../actors/fold/result-entry.ts";
import { waitingCalls } from "../../actors/fold/stored-calls.ts";
import { generationOf, job } from "../../actors/model/job.ts";
import { beginningState } from "../../runtime/generations/beginning-state.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import type { MemoryStore } from "../../runtime/store/memory-store.ts";
import { asker, EffectLog, effectJob, failure, idOf, scored } from "../support/effect-script.ts";
import { identityFor, type ReadOutput, readOutputs, T0, type TestLog } from "../support/entries.ts";
import { aCallHistory } from "../support/random-calls.ts";
import { INTERRUPTED } from "../support/scripted.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 150);
const origin = effectJob();
const second = generationOf(origin, "gen2");

/** Everything of an output that does not name the job or its number there. */
function plain({ id: _id, ...output }: ReadOutput & { readonly source?: string }): object {
  return { ...output, source: undefined };
}

/** Appends the root of the generation to the log; what stands behind it there is of both. */
function root(log: TestLog, from: number): number {
  log.raw("asker.p0.j.asker-gen2.epoch", writeEpoch(identityFor(second), 0, from, { job: "asker-gen2", snapshot: "s" }));
  return log.entries.length;
}

/** The origin's state behind so many entries, rewritten as the generation begins. */
function begun(log: TestLog, entries: number, rootSequence: number): MemoryStore {
  const { store } = foldHistory({ ...log.history(origin), entries: log.entries.slice(0, entries) });
  const epoch = { ...identityFor(second), sequence: rootSequence };
  const row = beginningState(readMeta(store.get(META_ROW)!)!, epoch);
  store.commit([{ key: META_ROW, value: row }], () => {});
  return store as MemoryStore;
}

interface Both {
  readonly of: Folded;
  readonly by: Folded;
}

/** The same entries folded on by the origin, and by a generation that begins behind `entries` of them. */
function both(log: TestLog, entries: number, interruptions = {}, rootSequence = root(log, entries + 1)): Both {
  const store = begun(log, entries, rootSequence);
  return { of: foldHistory(log.history(origin)), by: foldHistory({ ...log.history(second), store }, interruptions) };
}

/** Outputs of entries behind the base, as far as both folded the same. */
function same({ of, by }: Both, entries: number): void {
  const behind = readOutputs(of.outputs).filter(({ position }) => Number(/:(\d+)/.exec(position)![1]) > entries);
  assert.deepEqual(readOutputs(by.outputs).map(plain), behind.map(plain));
}

suite("a generation", () => {
  test("has a name that no other job or stream of Tidemark has", () => {
    assert.deepEqual([second.name, second.origin, second.log], ["asker-gen2", "asker", "asker"]);
    for (const name of ["", "Gen", "2", "a-b", "a".repeat(17), "out", "reference", "skips"]) {
      assert.throws(() => generationOf(origin, name), TypeError, name);
    }
    assert.throws(() => generationOf(job("a".repeat(31), { log: "asker", actors: [asker] }), "b"), TypeError);
  });

  test("folds owners, results, failures and redrives of its origin as its own, under the names that they had", () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }, { ask: 3 }]);
    const at = log.entries.length;
    log.results([scored(idOf(2), 1)]);
    log.results([scored(idOf(2, 2), 2, failure("DOWN"))]);
    log.owner("n2").run([{ ask: 4 }]);
    const asked = log.entries.length;
    log.results([scored(idOf(2, 3), 3, failure("LATE"))], { term: 1 });
    log.results([scored(idOf(asked), 4, { output: { score: 4, steps: [{ fail: "no" }] } })]);
    const call = { id: idOf(asked), input: { n: 4 }, now: "2026-01-15T12:00:00Z", cause: "n2" };
    log.redrive("asker.0.3", "asker.score.done", { key: "d1", call, output: { score: 4 } });
    const pair = both(log, at);
    same(pair, at);
    assert.deepEqual(
      readOutputs(pair.by.outputs).map(({ id, type }) => `${id} ${type}`),
      ["got", "got", "dead-letter", "got", "audit"].map(
        (type, i) => `asker-gen2.0.${i + 1} ${type === "got" ? "asker.got" : `tidemark.${type}`}`,
      ),
    );
    assert.deepEqual([pair.by.meta.owner, pair.by.meta.calls], [pair.of.meta.owner, 1]);
  });

  test("keeps the owner that its base had: a failure that one reports behind it counts", () => {
    const log = new EffectLog().run([{ ask: 1 }]);
    const at = log.entries.length;
    log.results([scored(idOf(2), 1, failure("DOWN"))]);
    const pair = both(log, at);
    same(pair, at);
    assert.equal(pair.by.outputs.length, 1);
  });

  test("does not fold what its origin writes behind the root, and answers calls from before it under the old name", () => {
    const log = new EffectLog().run([{ ask: 1 }, { ask: 2 }]);
    const at = log.entries.length;
    const rootSequence = root(log, at + 1);
    log.results([scored(idOf(2), 1)]);
    log.run([{ ask: 3 }]);
    const asked = log.entries.length;
    const own = (call: string, n: number) => log.raw("asker.p0.j.asker-gen2", writeResults(1, [scored(call, n)]));
    const { by } = both(log, at, {}, rootSequence);
    const waiting = ({ store }: Folded) => [...waitingCalls(store)].map(({ address }) => `${address.sequence} ${address.n}`);
    assert.deepEqual([by.outputs.length, waiting(by)], [0, ["2 1", "2 2", `${asked} 1`]]);
    own(idOf(2), 1);
    own(idOf(2, 2).replace("asker", "asker-gen2"), 2);
    own(idOf(asked), 3);
    own(idOf(asked).replace("asker", "asker-gen2"), 3);
    const after = both(log, at, {}, rootSequence).by;
    assert.deepEqual(
      readOutputs(after.outputs).map(({ data }) => data.done),
      [idOf(2), idOf(asked).replace("asker", "asker-gen2")],
    );
    assert.deepEqual(waiting(after), ["2 2"]);
  });

  test("does not fold what an earlier generation of its name wrote", () => {
    const log = new EffectLog().run([{ ask: 1 }]);
    const at = log.entries.length;
    log.raw("asker.p0.j.asker-gen2", writeResults(1, [scored(idOf(2), 1)]));
    const { by } = both(log, at);
    assert.deepEqual([by.outputs.length, by.meta.calls], [0, 1]);
  });

  test("goes on with its origin's timers, dedupe and watermark, and takes none of its epochs", () => {
    const log = new EffectLog().run([{ arm: T0 + 50, steps: [{ ask: 1 }] }], { id: "once" });
    const at = log.entries.length;
    log.raw("asker.p0.j.asker.epoch", writeEpoch({ ...identityFor(origin), codeHash: "other" }, 1, undefined));
    log.run([], { id: "once" }).run([{ fail: "no" }], { time: T0 + 100 });
    const rootSequence = root(log, at + 1);
    const by = foldHistory({ ...log.history(second), store: begun(log, at, rootSequence) });
    assert.deepEqual([by.meta.epoch.codeHash, by.meta.epoch.sequence, by.meta.epochRoot], ["test", rootSequence, rootSequence]);
    assert.deepEqual([by.meta.counts.duplicateConflict, by.meta.counts.deadLettered, by.meta.calls], [1, 1, 1]);
    assert.equal([...waitingCalls(by.store)].map((call) => callId("asker", 0, call))[0], idOf(rootSequence - 1));
  });

  for (const [name, interruptions] of Object.entries(INTERRUPTED)) {
    test(`gives what its origin gave for any history, base and results, with ${name}`, () => {
      fc.assert(
        fc.property(aCallHistory(true), fc.nat(), ({ log }, n) => {
          const at = n % (log.entries.length + 1);
          const pair = both(log, at, interruptions);
          same(pair, at);
          assert.deepEqual(
            { ...pair.by.meta, outputs: 0, chain: "", epoch: 0, epochRoot: 0 },
            { ...pair.of.meta, outputs: 0, chain: "", epoch: 0, epochRoot: 0 },
          );
        }),
        { numRuns: RUNS },
      );
    });
  }
});
