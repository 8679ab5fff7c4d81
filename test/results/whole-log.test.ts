/** Large results beside a log in memory: what is folded, what halts a shard, what is waited for, and how much is in memory. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { setImmediate as later } from "node:timers/promises";
import { RESULT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type ResultEntry, writeResults } from "../../actors/fold/result-entry.ts";
import { awayOutputs } from "../../actors/fold/stored-results.ts";
import { journalSubject, storedSubject } from "../../actors/fold/subject.ts";
import { slotOf } from "../../actors/model/key.ts";
import { systemClock } from "../../runtime/clock.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import { AHEAD_MAX_BYTES, NAMED_WITHIN_MS } from "../../runtime/results/bounds.ts";
import { ResultBlobs } from "../../runtime/results/result-blobs.ts";
import { WholeLog } from "../../runtime/results/whole-log.ts";
import { MemoryBlobs } from "../../runtime/snapshots/blobs/memory-blobs.ts";
import { cloudEvent, readOutputs } from "../support/entries.ts";
import { ExecutedShard } from "../support/executed-shard.ts";
import { measuredJob, reportOf, startReports } from "../support/measured.ts";
import { MemoryWorld, SleepClock } from "../support/memory-world.ts";
import { memoryResults } from "../support/result-places.ts";

const BOUNDED = { timeout: 60_000 };
const JOURNAL = journalSubject("orders", 0, "orders");
const STORED = storedSubject("orders", 0, "orders");
const KIB = 1024;

let orders = 0;

async function place(world: MemoryWorld, chars: readonly number[]): Promise<void> {
  const event = { id: `o${++orders}`, type: "order.placed", key: "ann", time: Date.now(), data: { chars } };
  world.log.now = Date.now();
  await world.log.append(`orders.${slotOf("ann")}.e.ann`, Buffer.from(JSON.stringify(cloudEvent(event))));
}

/** A world in which calls with these answers were made and folded. */
async function answered(t: TestContext, ...charsOf: readonly (readonly number[])[]): Promise<MemoryWorld> {
  const server = await startReports(t);
  const world = new MemoryWorld(measuredJob(server.url));
  const executed = await ExecutedShard.start(world);
  for (const chars of charsOf) {
    await place(world, chars);
    await executed.untilAnswered();
  }
  await executed.stop();
  return world;
}

const measuredIn = (world: MemoryWorld) => {
  const messages = Array.from({ length: world.broker.lastSequence }, (_, i) => world.broker.message(i + 1)!);
  return readOutputs(messages).map(({ type, data }) => [type, data.chars ?? data.code] as const);
};

async function only(blobs: MemoryBlobs): Promise<string> {
  const [found, ...more] = await blobs.list("results/orders-0/");
  assert.equal(more.length, 0);
  return found!.name;
}

suite("a large result", () => {
  test("stands beside the log, and the same entries with it in them fold to the same bytes", BOUNDED, async (t) => {
    const world = await answered(t, [10, 40_000, 70_000, 300_000, 3_000_000, 5_000_000]);
    assert.deepEqual(
      measuredIn(world)
        .map(([, chars]) => chars)
        .sort(),
      [0, 10, 40_000, 70_000, 300_000, 3_000_000].sort(),
    );
    const away = world.entries.filter(({ subject }) => subject === STORED);
    assert(away.length > 0 && away.every(({ payload }) => payload.length < 100 * KIB));
    assert.equal((await world.blobs.list("results/orders-0/")).length, 3);
    await world.assertExact();

    const history = await world.history();
    // As an earlier Tidemark would have written them, had it taken answers of that size.
    const inline = history.entries.map((entry) => ({ ...entry, subject: entry.subject === STORED ? JOURNAL : entry.subject }));
    const [brought, written] = [foldHistory(history), foldHistory({ ...history, entries: inline })];
    assert.deepEqual(brought.outputs, written.outputs);
    assert.equal(brought.stateHash, written.stateHash);
    for (const [i, entry] of history.entries.entries()) {
      if (away.every(({ sequence }) => sequence !== entry.sequence)) continue;
      const { term, results } = JSON.parse(Buffer.from(entry.payload).toString()) as ResultEntry;
      assert.equal(Buffer.from(entry.payload).toString(), writeResults(term, results), `entry ${i}`);
    }
  });

  test("is read again by a shard that has nothing but the log", BOUNDED, async (t) => {
    const world = await answered(t, [300_000, 10], [100_000]);
    world.store.clear();
    const shard = await world.start();
    while (shard.lag > 0 || shard.fold.meta.calls > 0) {
      shard.step();
      await later();
    }
    await world.drain(shard);
    await world.assertExact();
  });

  test("is stored once for many calls that give the same, and again when that is an hour ago", async () => {
    const blobs = new MemoryBlobs();
    let now = 1_000;
    const results = new ResultBlobs("orders-0", memoryResults(blobs), () => now);
    const first = await results.put(JSON.stringify(reportOf(80_000)));
    now += NAMED_WITHIN_MS - 1;
    assert.deepEqual(await results.put(JSON.stringify(reportOf(80_000))), first);
    now += 1;
    const second = await results.put(JSON.stringify(reportOf(80_000)));
    assert.deepEqual([second.sha256, second.at === first.at], [first.sha256, false]);
    assert.equal((await blobs.list("")).length, 2);
    await assert.rejects(results.put("x".repeat(RESULT_MAX_BYTES + 1)), RangeError);
  });

  test("that its place did not keep as it was put is no result: the call's entry is not appended", async () => {
    class Forgetful extends MemoryBlobs {
      override async put(name: string, bytes: Uint8Array): Promise<void> {
        await super.put(name, bytes.subarray(1));
      }
    }
    const log = new MemoryPartitionLog({ stream: "orders-0" });
    const job = measuredJob("http://x");
    const whole = new WholeLog(log, { job, partition: 0, results: new ResultBlobs("orders-0", memoryResults(new Forgetful()), () => 1) });
    const text = writeResults(1, [{ call: "c", input: "h", output: reportOf(100_000) }]);
    await assert.rejects(whole.append(JOURNAL, Buffer.from(text)), { code: "SNAPSHOT_STORE" });
    assert.equal(log.lastSequence, 0);
  });
});

suite("a shard whose next large result", () => {
  /** Halts, with this code; nothing of the entry is folded. */
  async function assertHalts(world: MemoryWorld, code = "RESULT_CONTENT"): Promise<void> {
    world.store.clear();
    const shard = await world.start();
    await shard.run();
    assert.deepEqual([shard.status, shard.error?.code], ["halted", code]);
    assert.equal(shard.fold.meta.calls, 1);
  }

  test("is gone halts", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    await world.blobs.delete(await only(world.blobs));
    await assertHalts(world);
  });

  test("has one byte another halts, and goes on when it is put back", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    const name = await only(world.blobs);
    const right = (await world.blobs.get(name))!;
    for (const at of [0, 9, 50_000, right.length - 1]) {
      const wrong = Buffer.from(right);
      wrong[at]! ^= 1;
      await world.blobs.put(name, wrong);
      await assertHalts(world);
    }
    await world.blobs.put(name, right);
    const shard = await world.start();
    while (shard.lag > 0) {
      shard.step();
      await later();
    }
    await world.drain(shard);
    await world.assertExact();
  });

  test("is another one halts, whichever of hash, size and time its entry has wrong", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    const entry = world.entries.find(({ subject }) => subject === STORED)!;
    const text = Buffer.from(entry.payload).toString();
    const [stored] = awayOutputs(text)!.stored;
    const { sha256, bytes, at } = stored!;
    const other = await new ResultBlobs("orders-0", memoryResults(world.blobs), () => at).put(
      JSON.stringify({ report: "other".repeat(20_000) }),
    );
    const wrong = [
      { sha256: other.sha256, bytes, at },
      { sha256, bytes: bytes - 1, at },
      { sha256, bytes, at: at + 1 },
    ];
    for (const named of wrong) {
      const forged = text.replace(JSON.stringify(stored), JSON.stringify(named));
      assert.notEqual(forged, text);
      const log = new MemoryPartitionLog({ stream: "orders-0" });
      for (const one of world.entries) {
        log.now = one.logTime;
        await log.append(one.subject, one === entry ? Buffer.from(forged) : one.payload);
      }
      world.store.clear();
      const shard = await world.start({}, { log: world.whole(log) });
      await shard.run();
      assert.deepEqual([shard.status, shard.error?.code, shard.fold.meta.calls], ["halted", "RESULT_CONTENT", 1]);
    }
  });

  test("lies where nobody answers waits, says so once, and goes on", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    world.store.clear();
    let away = 4;
    const notices: string[] = [];
    const open = async () => {
      if (away-- > 0) throw new TidemarkError("SNAPSHOT_STORE", "s3://bucket: it does not answer.");
      return await memoryResults(world.blobs)();
    };
    const patience = { clock: new SleepClock(), notice: (message: string) => notices.push(message) };
    const results = new ResultBlobs("orders-0", open, () => 1);
    const log = new WholeLog(world.log, { job: world.job, partition: 0, results, patience });
    const shard = await world.start({}, { log });
    while (shard.fold.meta.cursor.sequence <= world.log.lastSequence) {
      shard.step();
      await later();
    }
    assert.deepEqual([notices.length, away], [1, -1]);
    assert.match(notices[0]!, /SNAPSHOT_STORE/);
    await world.drain(shard);
  });

  test("is gone for a moment only waits for it; it halts when it stays so", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    const name = await only(world.blobs);
    const bytes = (await world.blobs.get(name))!;
    await world.blobs.delete(name);
    const clock = new SleepClock();
    const patience = { clock, notice: () => void world.blobs.put(name, bytes) };
    const results = new ResultBlobs("orders-0", memoryResults(world.blobs), () => 1);
    const log = new WholeLog(world.log, { job: world.job, partition: 0, results, patience });
    const entry = world.entries.find(({ subject }) => subject === STORED)!;
    assert.equal((await log.whole(entry)).subject, JOURNAL);
    await world.blobs.delete(name);
    const never = new WholeLog(world.log, { job: world.job, partition: 0, results, patience: { clock, notice: () => {} } });
    await assert.rejects(never.whole(entry), { code: "RESULT_CONTENT" });
  });

  test("is not brought at all is refused by the fold", BOUNDED, async (t) => {
    const world = await answered(t, [100_000]);
    const { entries, ...history } = await world.history();
    const raw = world.entries.filter(({ sequence }) => sequence >= history.from);
    assert.equal(raw.length, entries.length);
    assert.throws(() => foldHistory({ ...history, entries: raw }), /came to the fold without its outputs/);
  });
});

suite("a reader", () => {
  class SlowBlobs extends MemoryBlobs {
    reading = 0;
    readingMax = 0;
    readonly waiting: (() => void)[] = [];
    slow = false;

    override async get(name: string): Promise<Uint8Array | undefined> {
      const bytes = await super.get(name);
      if (!this.slow) return bytes;
      this.reading += bytes?.length ?? 0;
      this.readingMax = Math.max(this.readingMax, this.reading);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
      this.reading -= bytes?.length ?? 0;
      return bytes;
    }
  }

  test("gives entries in their order, however their results come, and brings no more ahead than its bound", BOUNDED, async () => {
    const log = new MemoryPartitionLog({ stream: "orders-0" });
    const blobs = new SlowBlobs();
    const job = measuredJob("http://x");
    const results = new ResultBlobs("orders-0", memoryResults(blobs), () => Date.now());
    const whole = new WholeLog(log, { job, partition: 0, results });
    const texts: string[] = [];
    for (let i = 0; i < 40; i++) {
      const chars = i % 3 === 2 ? 10 : 1_500_000 + i;
      texts.push(writeResults(1, [{ call: "c", input: String(i), output: reportOf(chars) }]));
      await whole.append(JOURNAL, Buffer.from(texts[i]!));
    }
    blobs.slow = true;
    const reader = whole.read(1);
    const read: LogEntry[] = [];
    while (read.length < 40) {
      assert.equal(reader.backlog(), 40 - read.length);
      read.push(...reader.take(7));
      await later();
      // The one that was asked for last comes first.
      blobs.waiting.splice(-1)[0]?.();
      await later();
    }
    assert.deepEqual(
      read.map(({ sequence, subject, payload }) => [sequence, subject, Buffer.from(payload).toString()]),
      texts.map((text, i) => [i + 1, JOURNAL, text]),
    );
    assert(blobs.readingMax > AHEAD_MAX_BYTES / 2 && blobs.readingMax <= AHEAD_MAX_BYTES + 1_024, `${blobs.readingMax}`);
    await reader.close();
  });

  test("that is closed while it waits for a result ends, and gives nothing more", BOUNDED, async () => {
    const log = new MemoryPartitionLog({ stream: "orders-0" });
    const blobs = new SlowBlobs();
    const results = new ResultBlobs("orders-0", memoryResults(blobs), () => Date.now());
    const patience = { clock: systemClock, notice: () => {} };
    const whole = new WholeLog(log, { job: measuredJob("http://x"), partition: 0, results, patience });
    await whole.append(JOURNAL, Buffer.from(writeResults(1, [{ call: "c", input: "h", output: reportOf(100_000) }])));
    blobs.slow = true;
    const reader = whole.read(1);
    assert.deepEqual(reader.take(10), []);
    const waits = reader.readable(1);
    await waits;
    await reader.close();
    for (const go of blobs.waiting.splice(0)) go();
    await later();
    assert.deepEqual(reader.take(10), []);
  });
});
