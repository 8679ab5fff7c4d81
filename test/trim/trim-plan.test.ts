/** What a plan may cut and what it must keep, of facts at random and of situations by hand. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { type JobFacts, type PartitionFacts, planTrim, type SnapshotFact } from "../../runtime/trim/trim-plan.ts";

const NOW = 1_000;

const snapshot = fc
  .record({ next: fc.integer({ min: 1, max: 60 }), takenAt: fc.integer({ min: 0, max: NOW }), outputs: fc.integer({ min: 0, max: 60 }) })
  .map(({ next, takenAt, outputs }): SnapshotFact => factOf(next, takenAt, outputs));

const job = fc.record({
  job: fc.constantFrom("a", "b", "c"),
  snapshots: fc.array(snapshot, { maxLength: 5 }),
  newestEpoch: fc.integer({ min: 0, max: 60 }),
  shard: fc.option(fc.record({ folded: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }) }), { nil: undefined }),
});

const partition = fc
  .record({
    first: fc.integer({ min: 1, max: 40 }),
    length: fc.integer({ min: 0, max: 40 }),
    young: fc.integer({ min: 1, max: 90 }),
    jobs: fc.uniqueArray(job, { selector: (one) => one.job, maxLength: 3 }),
    holds: fc.array(fc.record({ by: fc.constant("pump"), from: fc.integer({ min: 1, max: 90 }), why: fc.constant("") }), { maxLength: 2 }),
  })
  .map(({ first, length, jobs, ...rest }): PartitionFacts => {
    const withShards = jobs.map(({ shard, ...facts }): JobFacts => (shard === undefined ? facts : { ...facts, shard }));
    return { stream: "log-0", partition: 0, first, last: first + length - 1, jobs: withShards, ...rest };
  });

function factOf(next: number, takenAt: number, outputs = 0): SnapshotFact {
  return { id: `s${next}-${takenAt}`, takenAt, next, last: { sequence: next - 1, index: 0 }, processingTime: takenAt, outputs };
}

function planOf(facts: PartitionFacts, keepMs = 0) {
  return planTrim({ now: NOW, keepMs, partitions: [facts], outputs: [] }).logs[0]!;
}

test("whatever the facts: what is needed stays, and what nobody needs goes", () => {
  fc.assert(
    fc.property(partition, fc.integer({ min: 0, max: NOW }), (facts, keepMs) => {
      const { keepFrom, heldBy, epochsAgain, losses, reliesOn } = planOf(facts, keepMs);
      const { first, last, jobs, young, holds } = facts;
      assert(keepFrom >= first);
      assert(heldBy.length > 0);
      if (keepFrom === first) return assert.deepEqual([epochsAgain, losses, reliesOn], [[], [], []]);
      assert(keepFrom <= last && keepFrom <= young);
      for (const { from } of holds) assert(keepFrom <= from);
      for (const { job: name, snapshots, shard, newestEpoch } of jobs) {
        if (shard !== undefined) assert(shard.folded !== undefined && keepFrom <= shard.folded);
        const usable = snapshots.filter(({ next }) => next >= keepFrom);
        assert(usable.length > 0, "a shard that lost its state could not go on");
        const old = snapshots.filter(({ next, takenAt }) => next >= first && takenAt <= NOW - keepMs);
        if (old.length > 0)
          assert(
            usable.some(({ takenAt }) => takenAt <= NOW - keepMs),
            "nothing covers the time to keep",
          );
        assert.equal(epochsAgain.includes(name), newestEpoch > 0 && newestEpoch < keepFrom);
        const loss = losses.find((one) => one.job === name)!;
        assert.equal(loss.oldest?.last.sequence, Math.min(...usable.map(({ next }) => next)) - 1);
      }
      // The next message would be missed by somebody who holds it.
      assert(heldBy.every(({ from }) => from === keepFrom));
    }),
    { numRuns: 2_000 },
  );
});

suite("a log of 100 messages", () => {
  const log = (jobs: readonly JobFacts[], holds: PartitionFacts["holds"] = []): PartitionFacts => {
    return { stream: "log-0", partition: 0, first: 1, last: 100, jobs, holds, young: 101 };
  };
  const ledger = { job: "ledger", shard: { folded: 100 }, snapshots: [factOf(30, 300), factOf(60, 600), factOf(90, 900)], newestEpoch: 2 };

  test("is cut behind the newest snapshot that is as old as the time to keep", () => {
    const { keepFrom, reliesOn, losses, epochsAgain } = planOf(log([ledger]), 300);
    assert.deepEqual([keepFrom, reliesOn, epochsAgain], [60, ["s60-600"], ["ledger"]]);
    assert.deepEqual(losses[0]?.stranded, ["s30-300"]);
  });

  test("is cut behind the oldest when none is so old, and never into the time to keep", () => {
    assert.equal(planOf(log([ledger]), 900).keepFrom, 30);
    assert.equal(planOf({ ...log([ledger]), young: 12 }, 900).keepFrom, 12);
  });

  test("is held whole by a job without a snapshot, wherever it runs, which is told", () => {
    const { keepFrom, heldBy } = planOf(log([ledger, { job: "other", snapshots: [], newestEpoch: 3 }]));
    assert.deepEqual([keepFrom, heldBy.map(({ by }) => by)], [1, ["other"]]);
    assert.match(heldBy[0]!.why, /does not run on this node and has no snapshot/);
  });

  test("is held whole by a shard that does not run, and by one that is behind, from where that is", () => {
    assert.equal(planOf(log([{ ...ledger, shard: { folded: undefined } }])).keepFrom, 1);
    assert.equal(planOf(log([{ ...ledger, shard: { folded: 70 } }])).keepFrom, 70);
  });

  test("is held by pumps", () => {
    const { keepFrom, heldBy } = planOf(log([ledger], [{ by: "the pump p", from: 7, why: "it reads on there" }]));
    assert.deepEqual([keepFrom, heldBy[0]?.by], [7, "the pump p"]);
  });
});

test("outputs go up to the count of the snapshot, and the last one stays", () => {
  const of = (outputs: number, last: number, holds: PartitionFacts["holds"] = []) => {
    const facts = { job: "ledger", shard: { folded: 100 }, snapshots: [factOf(90, 900, outputs)], newestEpoch: 2 };
    const stream = { stream: "ledger-out-0", partition: 0, first: 1, last, holds, job: facts };
    return planTrim({ now: NOW, keepMs: 0, partitions: [], outputs: [stream] }).outputs[0]!.keepFrom;
  };
  assert.equal(of(40, 50), 41);
  assert.equal(of(50, 50), 50);
  assert.equal(of(0, 0), 1);
  assert.equal(of(40, 50, [{ by: "the consumer c", from: 11, why: "" }]), 11);
});
