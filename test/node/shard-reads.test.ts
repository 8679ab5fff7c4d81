/** A read of a shard that changes hands: it is looked for again, for as long as that takes and no longer. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Cluster } from "../../runtime/cluster/cluster.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import { ShardReads, type ShardReadsParts } from "../../runtime/node/shard-reads.ts";
import { ManualClock } from "../support/manual-clock.ts";

/** Nobody owns the shard until it was asked for so often; then this node does. */
function readsOwnedAt(times: number, clock: ManualClock) {
  let asked = 0;
  const cluster = { owns: () => ++asked >= times, ownerOf: () => undefined } as unknown as Cluster;
  const reader = { call: async () => ({ value: "read" }) } as unknown as ShardReadsParts["reader"];
  const nc = undefined as unknown as ShardReadsParts["nc"];
  const reads = new ShardReads({ nc, cluster, clock, reader, folderOf: () => "", isHere: () => false });
  return reads.read("committed", { job: "meter", partition: 0 }, []) as Promise<unknown>;
}

/** Passes the time of each sleep until the work has ended. */
async function letPass<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let ended = false;
  const done = work.finally(() => {
    ended = true;
  });
  done.catch(() => {});
  while (!ended) {
    await new Promise(setImmediate);
    if (clock.sleeping > 0) clock.pass(50);
  }
  return await done;
}

test("finds it when it has an owner again", async () => {
  const clock = new ManualClock();
  assert.equal(await letPass(clock, readsOwnedAt(5, clock)), "read");
});

test("says NODE_UNREACHABLE behind a second", async () => {
  const clock = new ManualClock();
  await assert.rejects(letPass(clock, readsOwnedAt(1_000, clock)), (error) => isTidemarkError(error, "NODE_UNREACHABLE"));
  assert.equal(clock.monotonic(), 1_000);
});
