/** Snapshots of a shard that goes on: whatever it commits meanwhile, each is the state of one commit, row for row. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { SnapshottedShard } from "../support/snapshotted-shard.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300) / 10;
const KEYS = `a:${Buffer.alloc(32, 1).toString("base64")}\nb:${Buffer.alloc(32, 2).toString("base64")}`;

const aRun = fc.record({
  log: anEverythingHistory,
  /** Units of each commit; behind some of them a snapshot, during which so many more are made. */
  commits: fc.array(
    fc.record({ units: fc.integer({ min: 0, max: 9 }), snapshot: fc.boolean(), meanwhile: fc.integer({ min: 0, max: 3 }) }),
    {
      minLength: 4,
      maxLength: 25,
    },
  ),
  sealed: fc.boolean(),
  bounds: fc.constantFrom(undefined, { rows: 10, recentRows: 40 }),
});

const job = everythingJob(1);

test("each snapshot is the state of its commit, by bases and deltas, whatever is committed meanwhile", async (t) => {
  const kinds = { base: 0, delta: 0, same: 0 };
  await fc.assert(
    fc.asyncProperty(aRun, async ({ log, commits, sealed, bounds }) => {
      const keys = sealed ? KeyRing.parse(KEYS) : undefined;
      const shard = await SnapshottedShard.open(log.history(job), {
        ...(keys === undefined ? {} : { keys }),
        ...(bounds === undefined ? {} : { bounds }),
      });
      try {
        for (const { units, snapshot, meanwhile } of commits) {
          await shard.commit(units);
          if (!snapshot) continue;
          let left = meanwhile;
          const taken = (await shard.snapshot(async () => {
            if (left-- > 0) await shard.commit(units + 1);
          }))!;
          await shard.assertRestores(taken);
          kinds[taken.written ? taken.manifest.parts.at(-1)!.kind : "same"]++;
        }
      } finally {
        await shard.close();
      }
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(JSON.stringify(kinds));
  assert(kinds.base > 0 && kinds.delta > 0, "both kinds were taken");
});
