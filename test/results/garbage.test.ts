/** Which large results go when a log is trimmed: those that no entry names, once no entry can name them any more. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { writeResults } from "../../actors/fold/result-entry.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import { NAMED_WITHIN_MS, YOUNG_MS } from "../../runtime/results/bounds.ts";
import { ResultBlobs } from "../../runtime/results/result-blobs.ts";
import { clearResults } from "../../runtime/results/result-garbage.ts";
import { WholeLog } from "../../runtime/results/whole-log.ts";
import { MemoryBlobs } from "../../runtime/snapshots/blobs/memory-blobs.ts";
import { measuredJob, reportOf } from "../support/measured.ts";
import { memoryResults } from "../support/result-places.ts";

const NEVER = new AbortController().signal;

function setting(name = "orders") {
  const log = new MemoryPartitionLog({ stream: "orders-0" });
  const blobs = new MemoryBlobs();
  const world = { now: 1_000_000 };
  const results = new ResultBlobs("orders-0", memoryResults(blobs), () => world.now);
  const whole = new WholeLog(log, { job: { ...measuredJob("http://x"), name }, partition: 0, results });
  const subject = journalSubject("orders", 0, name);
  return {
    log,
    blobs,
    results,
    world,
    append: (...chars: number[]) => {
      const outcomes = chars.map((each, n) => ({ call: "c", input: String(n), output: reportOf(each) }));
      return whole.append(subject, Buffer.from(writeResults(1, outcomes)));
    },
    clear: () => clearResults(blobs, { name: "orders", partition: 0, log, now: world.now }, NEVER),
    left: async () => (await blobs.list("results/")).length,
  };
}

test("a result goes when the last entry that names it was trimmed, and not before", async () => {
  const { log, append, clear, left, world } = setting();
  const first = await append(100_000, 110_000);
  await append(100_000, 120_000);
  const third = await append(130_000);
  world.now += YOUNG_MS;
  assert.deepEqual([await clear(), await left()], [0, 4]);
  log.trim(first);
  // The one of 100,000 chars is named by the second entry too.
  assert.deepEqual([await clear(), await left()], [1, 3]);
  assert.deepEqual([await clear(), await left()], [0, 3]);
  log.trim(third);
  assert.deepEqual([await clear(), await left()], [3, 0]);
});

test("one that no entry names stays as long as one may come that does, and then goes", async () => {
  const { results, append, clear, left, world } = setting();
  await results.put(JSON.stringify(reportOf(100_000)));
  await append(70_000);
  world.now += NAMED_WITHIN_MS - 1;
  // An hour later an entry still names what was stored then, and from then on it is needed.
  await append(100_000);
  world.now += YOUNG_MS;
  assert.deepEqual([await clear(), await left()], [0, 2]);
  const orphan = await results.put(JSON.stringify(reportOf(90_000)));
  world.now = orphan.at + YOUNG_MS - 1;
  assert.deepEqual([await clear(), await left()], [0, 3]);
  world.now += 1;
  assert.deepEqual([await clear(), await left()], [1, 2]);
});

test("entries of every job of the log are looked at, and of no other partition", async () => {
  const { blobs, clear, left, world, append } = setting("orders-next");
  await append(100_000);
  for (const stream of ["orders-1", "orders-00", "other-0"]) {
    await new ResultBlobs(stream, memoryResults(blobs), () => 1).put(JSON.stringify(reportOf(100_000)));
  }
  // Somebody's file, and the snapshots of a job of that name.
  await blobs.put("results/orders-0/notes.txt", Buffer.from("x"));
  await blobs.put("results/snapshots/one", Buffer.from("x"));
  world.now += 10 * YOUNG_MS;
  assert.deepEqual([await clear(), await left()], [0, 6]);
});
