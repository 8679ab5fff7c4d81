/** A standby folds what its owner folds, publishes nothing, and takes over without a restore. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { controlSubject } from "../../actors/fold/subject.ts";
import { TidemarkError } from "../../runtime/errors.ts";
import { MemoryOutputStream } from "../../runtime/outputs/memory-output-stream.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import type { ShardTuning } from "../../runtime/shard/shard-parts.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { MemoryWorld, turn, WatchedStore } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 200);
const job = scriptedJob();

function events(from: number, count: number): ScriptLog {
  const log = new ScriptLog();
  for (let i = from; i < from + count; i++) log.run([{ add: 1 }, { say: `s${i}` }], { id: `e${i}`, key: `k${i % 3}` });
  return log;
}

/** Its store asserts with every commit that the stream has what is committed. */
function standbyOf(world: MemoryWorld, tuning: ShardTuning = {}): Promise<Shard> {
  return world.start(tuning, { store: new WatchedStore(world.broker), node: "n2", role: "standby" });
}

/** Steps until nothing more arrives, without looking at the stream. */
async function fold(shard: Shard): Promise<void> {
  for (let steps = 0; steps < 50; steps++) {
    shard.step();
    await turn();
  }
}

suite("a standby", () => {
  test("publishes and appends nothing, and commits what the stream has", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    const standby = await standbyOf(world, { groupMs: 0 });
    const end = world.log.lastSequence;
    await world.feed(events(0, 10));
    await fold(standby);
    assert.deepEqual([standby.fold.meta.outputs, world.broker.lastSequence], [10, 0]);
    assert.equal(standby.lastSealed, undefined);
    await world.settle(owner);
    await world.settle(standby);
    assert.equal(world.log.lastSequence, end + 10);
    assert.equal(standby.stored, 10);
    assert.deepEqual(await Promise.all([world.drain(owner), world.drain(standby)]).then(([a, b]) => a === b), true);
    await world.assertExact();
  });

  test("waits for the owner to begin the shard", async () => {
    const world = new MemoryWorld(job);
    await assert.rejects(standbyOf(world), { code: "SHARD_UNBEGUN" });
    assert.equal(world.log.lastSequence, 0);
  });

  test("says once that nobody answers for the stream, and once more when that happens again", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    let away = false;
    class AwayStream extends MemoryOutputStream {
      override async last() {
        if (away) throw new TidemarkError("NATS_UNREACHABLE", "Nobody answers.");
        return await super.last();
      }
    }
    const outputs = new AwayStream(world.broker);
    const standby = await world.start({}, { store: new WatchedStore(world.broker), node: "n2", role: "standby", outputs });
    const said = () => world.notices.filter((notice) => notice.includes("Nobody answers.")).length;
    const look = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await world.clock.sleep(1_000);
        await standby.ownership.look();
      }
    };
    away = true;
    await look(5);
    assert.equal(said(), 1);
    away = false;
    await world.feed(events(0, 3));
    await world.settle(owner);
    await world.settle(standby);
    assert.equal(standby.stored, 3);
    away = true;
    await look(5);
    assert.equal(said(), 2);
  });

  test("that is stopped leaves what the stream does not have, and folds it again", async () => {
    const world = new MemoryWorld(job);
    await world.start();
    const store = new WatchedStore(world.broker);
    const standby = await world.start({}, { store, role: "standby" });
    await world.feed(events(0, 10));
    await fold(standby);
    await world.drain(standby);
    const again = await world.start({}, { store, role: "standby" });
    await again.ownership.promote("token");
    await world.settle(again);
    await world.drain(again);
    await world.assertExact();
  });

  test("halts when its outputs are not those that the stream has", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    await world.feed(events(0, 3));
    await world.settle(owner);
    await world.feed(events(3, 3));
    const strange = new MemoryWorld(job);
    await strange.start();
    await strange.feed(events(7, 6));
    const standby = await strange.start({}, { store: new WatchedStore(world.broker), role: "standby", outputs: world.parts().outputs });
    const running = standby.run();
    await world.settle(owner);
    await running;
    assert.equal(standby.error?.code, "OUTPUT_DIVERGED");
  });
});

suite("a promotion", () => {
  test("of one that is ahead of the stream publishes what is missing", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    const standby = await standbyOf(world);
    await world.feed(events(0, 4));
    await world.settle(owner);
    await world.feed(events(4, 6));
    await fold(standby);
    assert.equal(world.broker.lastSequence, 4);
    await standby.ownership.promote("token");
    await world.settle(standby);
    assert.equal(world.broker.lastSequence, 10);
    await world.drain(standby);
    await world.assertExact();
  });

  test("of one that is behind folds up to the stream's end first", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    const standby = await standbyOf(world);
    await world.feed(events(0, 10));
    await world.settle(owner);
    await standby.ownership.promote("token");
    assert.equal(standby.role, "owner");
    await world.feed(events(10, 5));
    await world.settle(standby);
    assert.equal(world.broker.lastSequence, 15);
    await world.drain(standby);
    await world.assertExact();
  });

  test("makes a standby of the owner before, once that has folded the entry, and back again", async () => {
    const world = new MemoryWorld(job);
    const shards = [await world.start(), await standbyOf(world)] as const;
    for (let round = 0; round < 6; round++) {
      const [leaves, comes] = round % 2 === 0 ? shards : [shards[1], shards[0]];
      await world.feed(events(round * 5, 5));
      await comes.ownership.promote(`round ${round}`);
      await Promise.all([world.settle(comes), world.settle(leaves, { standsBy: true })]);
      assert.deepEqual([leaves.role, comes.role], ["standby", "owner"]);
    }
    const hashes = [await world.drain(shards[1]), await world.drain(shards[0])];
    assert.equal(hashes[0], hashes[1]);
    await world.assertExact();
  });

  test("when the log has lost its tail halts", async () => {
    const world = new MemoryWorld(job);
    const owner = await world.start();
    const standby = await standbyOf(world);
    await fold(standby);
    const end = world.log.lastSequence;
    await world.feed(events(0, 5));
    await world.settle(owner);
    world.log.truncate(end);
    await standby.ownership.promote("token");
    const running = standby.run();
    await world.log.append(controlSubject(job.log, 0), new Uint8Array(0));
    await world.log.append(controlSubject(job.log, 0), new Uint8Array(0));
    await running;
    assert.equal(standby.error?.code, "LOG_TRUNCATED");
  });
});

type Act = { readonly step: 0 | 1 } | { readonly promote: 0 | 1 } | { readonly crash: 0 | 1 } | { readonly come: number };

const anAct: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ step: fc.constantFrom(0 as const, 1 as const) }) },
  { weight: 4, arbitrary: fc.record({ come: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ promote: fc.constantFrom(0 as const, 1 as const) }) },
  { weight: 1, arbitrary: fc.record({ crash: fc.constantFrom(0 as const, 1 as const) }) },
);

suite("two nodes that take a shard from each other and crash", () => {
  test("leave the outputs of one undisturbed fold, and equal states", async () => {
    const everything = everythingJob(1);
    await fc.assert(
      fc.asyncProperty(anEverythingHistory, fc.array(anAct, { minLength: 20, maxLength: 120 }), async (history, acts) => {
        const world = new MemoryWorld(everything);
        const stores = [world.store, new WatchedStore(world.broker)] as const;
        const start = (i: 0 | 1, role: "owner" | "standby") =>
          world.start({ stepEntriesMax: 2, groupMs: 0, groupRowsMax: 5 }, { store: stores[i], node: `n${i}`, role });
        const shards = [await start(0, "owner"), await start(1, "standby")];
        const left = [...history.entries];
        let token = 0;
        for (const act of acts) {
          if ("come" in act) for (const entry of left.splice(0, act.come)) await world.append(entry);
          else if ("promote" in act) await shards[act.promote]!.ownership.promote(`taken ${++token}`);
          else if ("crash" in act) {
            stores[act.crash].crash();
            shards[act.crash] = await start(act.crash, "standby");
          } else if (shards[act.step]!.step() === "refused") await shards[act.step]!.ownership.recover();
          await world.clock.sleep(300);
          for (const shard of shards) await shard.ownership.look();
        }
        for (const entry of left) await world.append(entry);
        await shards[0]!.ownership.promote("last");
        // What the history says of other owners is behind now.
        await Promise.all(shards.map((shard) => world.settle(shard, { standsBy: shard !== shards[0] })));
        // The first may have taken the shard back meanwhile.
        await world.settle(shards[1]!, { standsBy: true });
        assert.deepEqual(
          shards.map(({ role }) => role),
          ["owner", "standby"],
        );
        const hashes = [await world.drain(shards[0]!), await world.drain(shards[1]!)];
        assert.equal(hashes[0], hashes[1]);
        await world.assertExact();
      }),
      { numRuns },
    );
  });
});
