/** A question about the past that begins from a snapshot, wherever that was taken, has the bytes of a fresh fold. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TABLE } from "../../actors/fold/keys.ts";
import { chooseBase, placed } from "../../runtime/history/historic-base.ts";
import type { ShardManifest } from "../../runtime/snapshots/manifest.ts";
import { MemoryStore } from "../../runtime/store/memory-store.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { foldedBeginning, foldTo, itemsOf, memoryLogOf, openPast } from "../support/past-world.ts";
import { SnapshottedShard } from "../support/snapshotted-shard.ts";

const RUNS = Number(process.env.PROPERTY_RUNS ?? 300) / 6;
const job = everythingJob(1);

/** Behind a snapshot in the middle of an entry the marks of a commit may be elsewhere, and the past keeps no touches. */
function rowsOf(store: ShardStore): string[] {
  return store
    .scan("\0", "\xff", 1_000_000)
    .filter(({ key }) => !key.startsWith(TABLE.touches) && !key.startsWith(TABLE.mark))
    .map(({ key, value }) => `${Buffer.from(key, "latin1").toString("hex")} ${Buffer.from(value).toString("hex")}`);
}

const aRun = fc.record({
  log: anEverythingHistory,
  units: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 12 }),
  picks: fc.array(fc.nat(), { minLength: 4, maxLength: 8 }),
});

test("as of any entry, from the newest snapshot that leads there", async (t) => {
  const begun = { snapshot: 0, root: 0, within: 0 };
  await fc.assert(
    fc.asyncProperty(aRun, async ({ log: history, units, picks }) => {
      const shard = await SnapshottedShard.open(history.history(job));
      try {
        const manifests: ShardManifest[] = [];
        for (const count of units) {
          await shard.commit(count);
          manifests.unshift((await shard.snapshot())!.manifest);
        }
        const log = await memoryLogOf(history.entries);
        for (const pick of picks) {
          const sequence = 1 + (pick % history.entries.length);
          const target = { kind: "position", sequence, index: itemsOf(history.entries[sequence - 1]!) } as const;
          const base = chooseBase(target, { snapshots: manifests.map(placed), open: [], rootFrom: 1, firstStored: 1 })!;
          const store = new MemoryStore();
          assert.notEqual(base.kind, "open");
          if (base.kind === "snapshot") {
            await shard.catalogue.restore(base.manifest, store);
            if (base.manifest.cursor.index > 0 || base.manifest.cursor.phase === "timers") begun.within++;
          }
          begun[base.kind === "snapshot" ? "snapshot" : "root"]++;
          assert.equal(await foldTo(await openPast(job, log, { store }), target), "reached");
          assert.deepEqual(rowsOf(store), rowsOf(foldedBeginning(history, job, sequence).store));
        }
      } finally {
        await shard.close();
      }
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(JSON.stringify(begun));
  assert(begun.snapshot > 50 && begun.within > 5, "many began from a snapshot, and some within an entry");
});
