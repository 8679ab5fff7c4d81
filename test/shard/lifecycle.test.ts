import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { META_ROW } from "../../actors/fold/keys.ts";
import { readMeta } from "../../actors/fold/meta.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import { reportOf } from "../../runtime/shard/report.ts";
import type { RowChange } from "../../runtime/store/shard-store.ts";
import { T0 } from "../support/entries.ts";
import { MemoryWorld, turn, WatchedStore } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();
const OWN = journalSubject("script", 0, "script");

suite("a drain", () => {
  test("publishes and commits all that was folded, and reads nothing more", async () => {
    const log = new ScriptLog();
    for (let i = 0; i < 50; i++) log.run([{ add: 1 }, { say: `${i}` }], { key: `k${i % 7}` });
    const world = await new MemoryWorld(job, { window: { messagesMax: 4 } }).feed(log);
    const shard = await world.start({ stepEntriesMax: 20 });
    shard.step();
    const folded = shard.fold.meta.outputs;
    await world.drain(shard);
    assert.equal(shard.status, "stopped");
    const meta = readMeta(world.store.get(META_ROW)!)!;
    assert.deepEqual([meta.outputs, meta.cursor.sequence, world.broker.lastSequence], [folded, 21, folded]);
  });

  test("commits the position also of entries that changed no row", async () => {
    const log = new ScriptLog()
      .run([{ add: 1 }])
      .event({ type: "unknown" })
      .tick(1)
      .watermark(T0 + 9);
    const world = await new MemoryWorld(job).feed(log);
    const shard = await world.start();
    await world.settle(shard);
    await world.drain(shard);
    assert.equal(readMeta(world.store.get(META_ROW)!)!.cursor.sequence, world.log.lastSequence + 1);
  });

  test("waits for answers that are late", async () => {
    const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ say: "x" }]));
    const shard = await world.start();
    world.broker.holdAnswers();
    shard.step();
    shard.stop();
    const running = shard.run();
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(shard.status, "stopping");
    assert.equal(world.store.get(META_ROW), undefined);
    world.broker.releaseAnswers();
    await running;
    assert.equal(readMeta(world.store.get(META_ROW)!)!.outputs, 1);
  });

  test("leaves a state that needs no entry folded again", async () => {
    const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ add: 1 }, { say: "x" }]));
    await world.drain(await settled(world));
    const again = await world.start();
    assert.equal(again.fold.meta.cursor.sequence, world.log.lastSequence);
    await world.drain(again);
  });
});

async function settled(world: MemoryWorld) {
  const shard = await world.start();
  await world.settle(shard);
  return shard;
}

suite("the loop of a running shard", () => {
  test("folds what is appended while it waits, and beats", async () => {
    const world = new MemoryWorld(job);
    const shard = await world.start();
    let beats = 0;
    const running = shard.run(() => {
      beats++;
    });
    await world.feed(new ScriptLog().run([{ say: "x" }]));
    while (world.broker.lastSequence < 1) await turn();
    shard.stop();
    await running;
    assert(beats >= 2);
    await world.assertExact();
  });

  test("commits after half a second, though the group is small", async () => {
    const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ add: 1 }]));
    const shard = await world.start();
    await world.settle(shard);
    assert.equal(world.store.commits, 0);
    await world.clock.sleep(500);
    shard.step();
    await turn();
    assert.equal(world.store.commits, 1);
  });

  test("halts with STORE_FAILED when a commit fails, and keeps what the stream has", async () => {
    const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ say: "x" }]));
    class Broken extends WatchedStore {
      override commit(_changes: readonly RowChange[], done: (error?: Error) => void): void {
        setImmediate(() => done(new Error("no space left on device")));
      }
    }
    const shard = await world.start({ groupMs: 0 }, { store: new Broken(world.broker) });
    await shard.run();
    assert.deepEqual([shard.status, shard.error?.code], ["halted", "STORE_FAILED"]);
    assert.equal(world.broker.lastSequence, 1);
  });

  test("reports where it is in the words of the contract", async () => {
    const world = await new MemoryWorld(job).feed(
      new ScriptLog().run([{ say: "x" }, { arm: "tick", at: T0 + 9 }]).event({ type: "unknown" }),
    );
    const shard = await world.start();
    await world.settle(shard);
    await world.drain(shard);
    const { stateBytes: _bytes, measures: _measures, stateHash, ...report } = reportOf(shard);
    assert.match(stateHash ?? "", /^[0-9a-f]{32}$/);
    const none = {
      duplicate: 0,
      duplicateConflict: 0,
      behind: 0,
      late: 0,
      deadLettered: 0,
      ignored: 0,
      redriven: 0,
      lateDropped: 0,
      repeated: 0,
      alertsEmitted: 0,
      alertsSuppressed: 0,
    };
    const counts = { ...none, in: 2, applied: 1, quarantined: 1 };
    assert.deepEqual(report, {
      job: "script",
      shard: 0,
      owner: "n1",
      node: "n1",
      role: "owner",
      status: "stopped",
      build: shard.parts.identity,
      contested: false,
      position: `0:${world.log.lastSequence}.0`,
      logEnd: world.log.lastSequence,
      lag: 0,
      watermark: "2026-01-15T12:00:00.000Z",
      outputs: 2,
      outputsStored: 2,
      actors: 1,
      timers: 1,
      pendingCalls: 0,
      lastSnapshot: null,
      counts,
    });
  });
});

suite("a tick", () => {
  const ticksIn = (world: MemoryWorld) => world.entries.filter(({ subject, payload }) => subject === OWN && payload.length === 0).length;

  /** A world whose clock is the log's, with one event folded. */
  async function waiting(log: ScriptLog, of = job) {
    const world = await new MemoryWorld(of).feed(log);
    await world.clock.sleep(T0);
    const shard = await world.start();
    await world.settle(shard);
    const pass = async (ms: number) => {
      await world.clock.sleep(ms);
      world.log.now = world.clock.now();
      await shard.tick();
      await world.settle(shard);
    };
    return { world, shard, pass };
  }

  test("is appended when a processing timer is due, and sets it off", async () => {
    const { world, pass } = await waiting(new ScriptLog().run([{ arm: "alarm", at: T0 + 1_000 }]));
    await pass(999);
    assert.equal(ticksIn(world), 0);
    await pass(1);
    assert.equal(ticksIn(world), 1);
    assert.equal(world.broker.lastSequence, 1);
    await pass(60_000);
    assert.equal(ticksIn(world), 1);
  });

  test("is appended when idleness would set off an event timer, not before", async () => {
    const advancing = scriptedJob({ idle: "advance", idleAfter: "60s" });
    const { world, pass } = await waiting(new ScriptLog().run([{ arm: "tick", at: T0 - 50_000 }], { time: T0 - 60_000 }), advancing);
    await pass(60_000 + 10_000);
    assert.equal(ticksIn(world), 0);
    await pass(1);
    assert.deepEqual([ticksIn(world), world.broker.lastSequence], [1, 1]);
  });

  test("is not appended for an event timer while the watermark is held", async () => {
    const { world, pass } = await waiting(new ScriptLog().run([{ arm: "tick", at: T0 + 5 }]));
    await pass(86_400_000);
    assert.equal(ticksIn(world), 0);
  });

  test("sets off a timer that was armed for a time already past", async () => {
    const { world, shard, pass } = await waiting(new ScriptLog());
    await world.feed(new ScriptLog().run([{ arm: "tick", at: T0 - 5 }]));
    await world.settle(shard);
    assert.equal(world.broker.lastSequence, 0);
    await pass(100);
    assert.deepEqual([ticksIn(world), world.broker.lastSequence], [1, 1]);
  });

  test("is appended at most once in a tenth of a second, however far the log's clock is behind", async () => {
    const { world, shard } = await waiting(new ScriptLog().run([{ arm: "alarm", at: T0 + 5 }]));
    await world.clock.sleep(1_000);
    for (let i = 0; i < 50; i++) {
      await world.clock.sleep(10);
      await shard.tick();
      await world.settle(shard);
    }
    assert(ticksIn(world) >= 4 && ticksIn(world) <= 6, `${ticksIn(world)} ticks`);
  });

  test("is not appended while entries wait", async () => {
    const { world, shard } = await waiting(new ScriptLog().run([{ arm: "alarm", at: T0 + 5 }]));
    await world.clock.sleep(1_000);
    await world.feed(new ScriptLog().run([], { id: "next" }));
    await shard.tick();
    assert.equal(ticksIn(world), 0);
  });
});
