import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import meter from "../../actors/meter/meter.ts";
import { type Folded, foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import { aHistory } from "../support/random-history.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300);

function bytes(folded: Folded) {
  return {
    stateHash: folded.stateHash,
    outputs: folded.outputs.map((output) => [output.k, output.subject, output.chain, Buffer.from(output.payload).toString()]),
  };
}

const WAYS: Readonly<Record<string, Interruptions>> = {
  "a commit after every unit": { commitEveryUnits: 1 },
  "a crash after every unit": { commitEveryUnits: 1, crash: true },
  "a crash after every third unit": { commitEveryUnits: 3, crash: true },
  "hardly any rows in memory": { commitEveryUnits: 2, liveRowsMax: 1 },
};

for (const [name, way] of Object.entries(WAYS)) {
  test(`any history gives the same outputs and state hash with ${name}`, () => {
    fc.assert(
      fc.property(aHistory, (log) => {
        const history = log.history(meter);
        assert.deepEqual(bytes(foldHistory(history, way)), bytes(foldHistory(history)));
      }),
      { numRuns: RUNS },
    );
  });
}

test("every event is counted in exactly one way", () => {
  fc.assert(
    fc.property(aHistory, (log) => {
      const { counts } = foldHistory(log.history(meter)).meta;
      const sum = counts.applied + counts.duplicate + counts.duplicateConflict + counts.late + counts.quarantined + counts.deadLettered;
      assert.equal(counts.in, sum);
    }),
    { numRuns: RUNS },
  );
});
