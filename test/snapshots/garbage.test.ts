/** Clearing away: nothing that a kept snapshot needs ever goes, wherever the clearing dies, and in the end nothing else is left. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { SnapshotCatalogue } from "../../runtime/snapshots/catalogue.ts";
import { clearGarbage } from "../../runtime/snapshots/garbage.ts";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { jobSnapshotBlob } from "../../runtime/snapshots/manifest.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { SnapshottedShard } from "../support/snapshotted-shard.ts";

const HOUR_MS = 60 * 60 * 1000;
const job = everythingJob(1);

/** A place that fails at the n-th deletion, as a process that dies there. */
function dyingAt(blobs: BlobStore, deletions: number): BlobStore {
  let left = deletions;
  return {
    place: blobs.place,
    put: (name, bytes) => blobs.put(name, bytes),
    get: (name) => blobs.get(name),
    list: (prefix) => blobs.list(prefix),
    close: () => blobs.close(),
    async delete(name) {
      if (left-- === 0) throw new Error("died");
      await blobs.delete(name);
    },
  };
}

test("whatever the chains, and wherever a clearing dies, what is kept can be restored and nothing else is left", async () => {
  const run = fc.record({
    log: anEverythingHistory,
    ages: fc.uniqueArray(fc.integer({ min: 0, max: 40 * 24 }), { minLength: 4, maxLength: 9 }),
    dies: fc.integer({ min: 0, max: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(run, async ({ log, ages, dies }) => {
      const shard = await SnapshottedShard.open(log.history(job));
      const { blobs } = shard.catalogue;
      const now = Date.now();
      try {
        for (const age of ages.sort((a, b) => b - a)) {
          await shard.commit(3);
          const { manifest } = (await shard.snapshot())!;
          await shard.name(manifest, now - age * HOUR_MS);
        }
        await blobs.put("all/shards/0/0000000000000001-1795772713085-abcdef/000000", Buffer.from("left by a death"));
        const options = { now: now + 7 * HOUR_MS, keepMs: 30 * 24 * HOUR_MS, lingerMs: 0 };
        const dying = new SnapshotCatalogue(dyingAt(blobs, dies), await KeyRing.read(undefined));
        await clearGarbage(dying, "all", options).catch((error: Error) => assert.equal(error.message, "died"));
        await clearGarbage(shard.catalogue, "all", options);

        const left = await shard.catalogue.ofJob("all");
        assert(left.length >= 3);
        const needed = new Set(left.map(({ id }) => jobSnapshotBlob("all", id)));
        for (const manifest of (await Promise.all(left.map((one) => shard.catalogue.shardsOf(one)))).flat()) {
          await shard.assertRestores({ manifest, written: true });
          needed.add(`all/shards/0/${manifest.id}/manifest`);
          for (const { chunks } of manifest.parts) for (const { name } of chunks) needed.add(name);
        }
        for (const { name } of await blobs.list("all/")) {
          // A manifest whose chunks others stand on may stay with them.
          assert(needed.has(name) || name.endsWith("/manifest"), name);
        }
      } finally {
        await shard.close();
      }
    }),
    { numRuns: 15 },
  );
});

test("what is named no more lingers: a restore may be reading it, and another node standing on it", async () => {
  const log = fc.sample(anEverythingHistory, { numRuns: 20, seed: 3 }).find(({ entries }) => entries.length > 20)!;
  const shard = await SnapshottedShard.open(log.history(job));
  const { blobs } = shard.catalogue;
  const now = Date.now();
  try {
    for (let age = 5; age > 0; age--) {
      await shard.commit(4);
      await shard.name((await shard.snapshot())!.manifest, now - age * 60_000);
    }
    const before = (await blobs.list("all/shards/")).length;
    const lingering = new Map<string, number>();
    const clear = (atMs: number) => clearGarbage(shard.catalogue, "all", { now: atMs, keepMs: 0, lingerMs: 60_000 }, lingering);
    await clear(now);
    assert.equal((await shard.catalogue.ofJob("all")).length, 3);
    assert.equal((await blobs.list("all/shards/")).length, before);
    await clear(now + 59_000);
    assert.equal((await blobs.list("all/shards/")).length, before);
    await clear(now + 60_000);
    assert.ok((await blobs.list("all/shards/")).length < before);
    for (const manifest of (await Promise.all((await shard.catalogue.ofJob("all")).map((one) => shard.catalogue.shardsOf(one)))).flat())
      await shard.assertRestores({ manifest, written: true });
  } finally {
    await shard.close();
  }
});

test("a delta whose ground another node has cleared away does not count, and the next one is a base", async () => {
  const log = fc.sample(anEverythingHistory, { numRuns: 20, seed: 3 }).find(({ entries }) => entries.length > 20)!;
  const shard = await SnapshottedShard.open(log.history(job));
  const { blobs } = shard.catalogue;
  try {
    await shard.commit(40);
    const { manifest } = (await shard.snapshot())!;
    await shard.commit(1);
    const clearGround = async (): Promise<void> => {
      for (const { name } of await blobs.list(`all/shards/0/${manifest.id}/`)) await blobs.delete(name);
    };
    await assert.rejects(shard.snapshot(clearGround), { code: "SNAPSHOT_MISSING" });
    assert.deepEqual(await shard.catalogue.ofShard("all", 0), []);
    const taken = (await shard.snapshot())!;
    assert.deepEqual(
      taken.manifest.parts.map(({ kind }) => kind),
      ["base"],
    );
    await shard.assertRestores(taken);
  } finally {
    await shard.close();
  }
});

test("while a manifest cannot be read, no chunk goes: nobody knows what it names", async () => {
  const log = fc.sample(anEverythingHistory, { numRuns: 1, seed: 5 })[0]!;
  const shard = await SnapshottedShard.open(log.history(job));
  const { blobs } = shard.catalogue;
  try {
    await shard.commit(5);
    await shard.snapshot();
    await blobs.put("all/shards/0/0000000000000001-1595772713085-abcdef/000000", Buffer.from("old"));
    await blobs.put(jobSnapshotBlob("all", "all.20200101t000000000z"), Buffer.from("no manifest"));
    const before = (await blobs.list("all/shards/")).length;
    await clearGarbage(shard.catalogue, "all", { now: Date.now(), keepMs: HOUR_MS });
    assert.equal((await blobs.list("all/shards/")).length, before);
  } finally {
    await shard.close();
  }
});
