/** A single flipped bit anywhere in a snapshot: it is found and named, and nothing is restored from it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { SnapshotCatalogue } from "../../runtime/snapshots/catalogue.ts";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { jobSnapshotBlob } from "../../runtime/snapshots/manifest.ts";
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { SnapshottedShard } from "../support/snapshotted-shard.ts";

const FLIPS = Number(process.env.PROPERTY_RUNS ?? 300);
const KEYS = `a:${Buffer.alloc(32, 1).toString("base64")}`;

/** One bit of one blob is read otherwise than it was written. */
function flipped(blobs: BlobStore, name: string, bit: number): BlobStore {
  return {
    place: blobs.place,
    put: (each, bytes) => blobs.put(each, bytes),
    list: (prefix) => blobs.list(prefix),
    delete: (each) => blobs.delete(each),
    close: () => blobs.close(),
    async get(each) {
      const bytes = await blobs.get(each);
      if (each !== name || bytes === undefined) return bytes;
      const damaged = Buffer.from(bytes);
      const at = (bit >> 3) % damaged.length;
      damaged[at]! ^= 1 << (bit & 7);
      return damaged;
    },
  };
}

for (const [what, keys] of [
  ["in the clear", undefined],
  ["encrypted", KEYS],
] as const) {
  test(`${what}: whichever bit of a chunk or a manifest flips, it is found and named`, async (t) => {
    const ring = keys === undefined ? await KeyRing.read(undefined) : KeyRing.parse(keys);
    const log = fc.sample(anEverythingHistory, { numRuns: 20, seed: 11 }).find(({ entries }) => entries.length > 25)!;
    const shard = await SnapshottedShard.open(log.history(everythingJob(1)), { keys: ring });
    const folder = mkdtempSync(join(tmpdir(), "tidemark-flips-"));
    t.after(async () => {
      await shard.close();
      rmSync(folder, { recursive: true });
    });
    await shard.commit(40);
    await shard.snapshot();
    await shard.commit(1);
    const { manifest } = (await shard.snapshot())!;
    const named = await shard.name(manifest);
    const names = (await shard.catalogue.blobs.list("all/")).map(({ name }) => name);
    let restores = 0;
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...names), fc.nat(1 << 20), async (name, bit) => {
        const catalogue = new SnapshotCatalogue(flipped(shard.catalogue.blobs, name, bit), ring);
        const told: string[] = [];
        const note = (blob: string): void => void told.push(blob);
        const found = await catalogue.ofShard("all", 0, note);
        const jobs = await catalogue.ofJob("all", note);
        if (name.endsWith("/manifest")) assert.deepEqual([told, found.length], [[name], 1]);
        else if (name === jobSnapshotBlob("all", named.id)) assert.deepEqual([told, jobs.length], [[name], 0]);
        else {
          assert.deepEqual(told, []);
          const store = openLmdbStore(join(folder, `restored-${restores++}`));
          try {
            await assert.rejects(
              catalogue.restore(found[0]!, store),
              (error) => isTidemarkError(error, "SNAPSHOT_DAMAGED") && error.message.includes(name),
            );
            assert.equal(store.get("m"), undefined, "no state to begin from");
          } finally {
            await store.close();
          }
        }
      }),
      { numRuns: FLIPS },
    );
  });
}
