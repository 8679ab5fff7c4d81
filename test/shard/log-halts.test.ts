/** What a shard does when its log is not what it folded: it halts with a code, and deletes nothing. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { controlSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError, TidemarkError } from "../../runtime/errors.ts";
import type { LogBounds, PartitionLog } from "../../runtime/log/partition-log.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import { identityFor } from "../support/entries.ts";
import { fullLog, MemoryWorld, turn, WatchedStore } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();
const TUNING = { doubtMs: 30_000, groupMs: 0 };

function events(from: number, count: number, logTime?: number): ScriptLog {
  const log = new ScriptLog(logTime);
  for (let i = from; i < from + count; i++) log.run([{ add: 1 }, { say: `s${i}` }], { id: `e${i}`, key: `k${i % 3}` });
  return log;
}

/** A world whose shard has folded ten events, and was stopped. */
async function folded(): Promise<MemoryWorld> {
  const world = await new MemoryWorld(job).feed(events(0, 10));
  const shard = await world.start(TUNING);
  await world.settle(shard);
  await world.drain(shard);
  return world;
}

const codeOf = (starting: Promise<Shard>): Promise<unknown> =>
  starting.then(
    () => "started",
    (error: unknown) => (isTidemarkError(error) ? error.code : error),
  );

/** Runs until it halts, a turn after it was given more to read. */
async function haltOf(shard: Shard): Promise<string | undefined> {
  await shard.run();
  assert.equal(shard.status, "halted");
  return shard.error?.code;
}

suite("a log trimmed past the position", () => {
  test("refuses the start at once", async () => {
    const world = await folded();
    await world.feed(events(10, 5));
    world.log.trim(world.log.lastSequence - 3);
    const since = world.clock.monotonic();
    assert.equal(await codeOf(world.start(TUNING)), "LOG_TRIMMED");
    assert.equal(world.clock.monotonic(), since);
  });

  test("up to the position itself does not", async () => {
    const world = await folded();
    const end = world.log.lastSequence;
    await world.feed(events(10, 5));
    world.log.trim(end);
    const shard = await world.start(TUNING);
    await world.settle(shard);
    assert.equal(world.broker.lastSequence, 15);
  });

  test("up to the position itself takes the epoch's entry along; the state still knows it", async () => {
    for (const profile of ["production", "development"] as const) {
      const world = await folded();
      world.log.trim(world.log.lastSequence);
      await world.feed(events(10, 5));
      const shard = await world.start(TUNING, { profile });
      await world.settle(shard);
      await world.drain(shard);
      assert.equal(world.broker.lastSequence, 15);
      const other = { ...identityFor(job), version: 2, codeHash: "other" };
      assert.equal(await codeOf(world.start(TUNING, { identity: other })), "CODE_UNAVAILABLE");
      assert.equal(world.broker.lastSequence, 15);
    }
  });

  test("halts a running shard", async () => {
    const world = await new MemoryWorld(job).feed(events(0, 10));
    const shard = await world.start({ ...TUNING, stepEntriesMax: 1 });
    shard.step();
    world.log.trim(8);
    assert.equal(await haltOf(shard), "LOG_TRIMMED");
  });

  test("refuses a shard without state, when its history began earlier", async () => {
    const world = await folded();
    world.log.trim(5);
    world.store.clear();
    assert.equal(await codeOf(world.start(TUNING)), "LOG_TRIMMED");
  });
});

suite("a log that ends before the state", () => {
  for (const profile of ["production", "development"] as const) {
    test(`refuses the start after half a minute of doubt, appends nothing and deletes nothing (${profile})`, async () => {
      const world = await folded();
      world.log.truncate(5);
      const published = world.published();
      assert.equal(await codeOf(world.start(TUNING, { profile })), "LOG_TRUNCATED");
      assert(world.clock.monotonic() >= 30_000);
      assert(world.notices.some((notice) => notice.includes("waiting 30000 ms before believing it")));
      assert.deepEqual(world.published(), published);
      assert.equal(world.log.lastSequence, 5);
      assert(world.store.get("m") !== undefined);
    });

    test(`because it was lost as a whole is not taken for a new one (${profile})`, async () => {
      const world = await folded();
      world.log.truncate(0);
      const published = world.published();
      assert.equal(await codeOf(world.start(TUNING, { profile })), "LOG_TRUNCATED");
      assert.deepEqual(world.published(), published);
      assert.equal(world.log.lastSequence, 0);
    });
  }

  test("and was filled again behind that, under another epoch, is refused in production; nothing is deleted", async () => {
    const world = await folded();
    world.log.truncate(3);
    await world.feed(events(20, 20));
    const published = world.published();
    assert.equal(await codeOf(world.start(TUNING)), "CODE_UNAVAILABLE");
    assert.deepEqual(world.published(), published);
    assert(world.store.get("m") !== undefined);
  });

  test("and was filled again behind that is known by the time of the entry at the position", async () => {
    const world = await folded();
    // The epoch's entry is kept.
    world.log.truncate(world.log.lastSequence - 1);
    await world.feed(events(20, 20, world.log.now + 1));
    const published = world.published();
    assert.equal(await codeOf(world.start(TUNING)), "LOG_TRUNCATED");
    assert.deepEqual(world.published(), published);
    assert(world.store.get("m") !== undefined);
  });

  test("only for a moment, as a new leader may say, is waited for", async () => {
    const world = await folded();
    let asked = 0;
    const log = wrapped(world.log, async () => (++asked <= 3 ? { firstSequence: 1, lastSequence: 2 } : world.log.bounds()));
    const shard = await world.start(TUNING, { log });
    await world.settle(shard);
    await world.drain(shard);
    await world.assertExact();
  });
});

suite("a log whose end gives fewer outputs than the stream has", () => {
  /** State lost, the last three events lost with the log's tail, their outputs still there. */
  async function shortened(): Promise<MemoryWorld> {
    const world = new MemoryWorld(job);
    const first = await world.start(TUNING);
    await world.feed(events(0, 10));
    await world.settle(first);
    await world.drain(first);
    world.store.clear();
    world.log.truncate(world.log.lastSequence - 3);
    return world;
  }

  test("halts the shard when it has folded to that end", async () => {
    const world = await shortened();
    const shard = await world.start(TUNING);
    assert.equal(await haltOf(shard), "LOG_TRUNCATED");
    assert.equal(world.broker.lastSequence, 10);
  });

  test("halts it also while entries keep coming, whatever they give", async () => {
    const world = await shortened();
    const shard = await world.start({ ...TUNING, stepEntriesMax: 2 });
    let halted: unknown;
    for (let i = 0; i < 40 && halted === undefined; i++) {
      await world.log.append(controlSubject("script", 0), new Uint8Array(0));
      await world.log.append(controlSubject("script", 0), new Uint8Array(0));
      try {
        shard.step();
      } catch (error) {
        halted = error;
      }
    }
    assert(isTidemarkError(halted, "LOG_TRUNCATED"), String(halted));
  });

  test("waits for a broker that is away while it asks where that end is", async () => {
    const world = await folded();
    const shard = await world.start(TUNING, { log: wrapped(world.log, unreachable(world.log)) }).catch((error: unknown) => error);
    assert(isTidemarkError(shard, "NATS_UNREACHABLE"));
    let away = 0;
    const log = wrapped(world.log, async () => {
      if (away-- > 0) throw new TidemarkError("NATS_UNREACHABLE", "away.");
      return await world.log.bounds();
    });
    const running = await world.start({ ...TUNING, stepEntriesMax: 1 }, { log });
    const second = await world.start(TUNING, { node: "n2", store: new WatchedStore(world.broker), log: fullLog(world.log) });
    await world.feed(events(10, 10));
    await world.settle(second);
    // The first has made nothing of that yet: its first publish is refused, for the stream is ahead of it.
    while (running.step() !== "refused") await turn();
    away = 5;
    await running.ownership.recover();
    await world.settle(running);
    assert.equal(running.stored, 20);
  });
});

suite("a full log", () => {
  test("is folded, published and committed; only owner entries and ticks wait", async () => {
    const source = events(0, 10);
    const world = await folded();
    await world.feed(events(10, 5));
    const shard = await world.start(TUNING, { log: fullLog(world.log) });
    await world.settle(shard);
    await world.drain(shard);
    await world.assertExact();
    assert.equal(world.broker.lastSequence, source.entries.length + 5);
    assert.equal(shard.ownership.contested, false);
    assert(world.notices.some((notice) => notice.includes("LOG_FULL")));
  });
});

function wrapped(log: PartitionLog, bounds: () => Promise<LogBounds>): PartitionLog {
  return {
    stream: log.stream,
    bounds,
    append: (...args) => log.append(...args),
    firstOn: (...args) => log.firstOn(...args),
    lastOn: (...args) => log.lastOn(...args),
    read: (...args) => log.read(...args),
  };
}

function unreachable(log: PartitionLog): () => Promise<LogBounds> {
  return async () => {
    throw new TidemarkError("NATS_UNREACHABLE", `${log.stream} is away.`);
  };
}
