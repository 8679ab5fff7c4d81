import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import meter from "../../actors/meter/meter.ts";
import type { WindowOptions } from "../../runtime/outputs/pipelined-window.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import type { ShardTuning } from "../../runtime/shard/shard-parts.ts";
import { aCellHistory, cellJob } from "../support/cell-script.ts";
import { T0 } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { fullLog, MemoryWorld, turn, WatchedStore } from "../support/memory-world.ts";
import { aHistory } from "../support/random-history.ts";
import { assertRowsHold } from "../support/row-invariants.ts";
import { runEvent, ScriptLog, type Step, scriptedJob } from "../support/scripted.ts";
import { aScriptedHistory } from "../support/scripted-history.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 200);
const job = scriptedJob();

/** Small bounds, so that a short history meets all of them. */
const WINDOWS: readonly WindowOptions[] = [
  { ackTimeoutMs: 4 },
  { messagesMax: 3, askEvery: 2, ackTimeoutMs: 4 },
  { bytesMax: 700, askEvery: 100, ackTimeoutMs: 4 },
];
const TUNINGS: readonly ShardTuning[] = [
  {},
  { stepEntriesMax: 1, groupMs: 0 },
  { stepEntriesMax: 3, groupRowsMax: 1, liveRowsMax: 0 },
  { stepEntriesMax: 7, groupRowsMax: 4, liveRowsMax: 1 },
];

const anAct = fc.oneof(
  { weight: 8, arbitrary: fc.constant("step" as const) },
  { weight: 4, arbitrary: fc.constant("turn" as const) },
  { weight: 3, arbitrary: fc.constant("append" as const) },
  { weight: 2, arbitrary: fc.constant("crash" as const) },
  { weight: 1, arbitrary: fc.constantFrom("lose an answer", "hold answers", "release answers") },
  { weight: 1, arbitrary: fc.constantFrom("10071", "10164", "10077", "503") },
);

suite("whatever happens to a shard, its stream holds each output once and its state is that of an undisturbed fold", () => {
  for (const [name, histories, of] of [
    ["timers", aScriptedHistory, job],
    ["meters", aHistory, meter],
    ["cells", aCellHistory.map(({ log }) => log), cellJob()],
    ["everything at once", anEverythingHistory, everythingJob(1)],
  ] as const) {
    test(`${name}: crashes at any step, answers lost and held, publishes refused, entries appended meanwhile`, async () => {
      await fc.assert(
        fc.asyncProperty(
          histories,
          fc.array(anAct, { maxLength: 120, size: "max" }),
          fc.constantFrom(...WINDOWS),
          fc.constantFrom(...TUNINGS),
          async (history, acts, window, tuning) => {
            const world = new MemoryWorld(of, { window });
            const left = [...history.entries];
            let shard: Shard | undefined;
            for (const act of acts) {
              shard ??= await world.start(tuning);
              if (act === "step") {
                if (shard.step() === "refused") await shard.ownership.recover();
              } else if (act === "turn") await turn();
              else if (act === "append") {
                const entry = left.shift();
                if (entry !== undefined) await world.append(entry);
              } else if (act === "crash") {
                world.store.crash();
                shard = undefined;
              } else if (act === "lose an answer") world.broker.dropAnswers(1);
              else if (act === "hold answers") world.broker.holdAnswers();
              else if (act === "release answers") world.broker.releaseAnswers();
              else world.broker.refuseNext(act);
            }
            world.broker.releaseAnswers();
            for (const entry of left) await world.append(entry);
            shard ??= await world.start(tuning);
            await world.settle(shard);
            const hash = await world.drain(shard);
            assert.equal(hash, (await world.assertExact()).stateHash);
            assertRowsHold(world.store, of);
          },
        ),
        { numRuns },
      );
    });
  }
});

suite("how a shard is tuned does not show", () => {
  const storm = new ScriptLog();
  for (let i = 0; i < 60; i++) {
    const steps: Step[] = Array.from({ length: 8 }, (_, n) => ({
      arm: "tick",
      at: T0 + ((i * 7 + n * 3) % 50),
      id: `t${n}`,
      steps: [{ add: n }],
    }));
    storm.batch([runEvent({ id: `n${i}`, key: `k${i % 7}`, steps: [...steps, { say: "x" }] })]);
  }
  storm.watermark(T0 + 1_000).run([{ say: "end" }]);

  test("steps, groups, live rows and windows of any size give the same bytes and the same state hash", async () => {
    const results = new Set<string>();
    for (const window of WINDOWS) {
      for (const tuning of TUNINGS) {
        const world = await new MemoryWorld(job, { window }).feed(storm);
        const shard = await world.start(tuning);
        await world.settle(shard);
        const hash = await world.drain(shard);
        results.add(`${hash} ${world.broker.message(world.broker.lastSequence)?.chain}`);
      }
    }
    const undisturbed = await (await new MemoryWorld(job).feed(storm)).undisturbed();
    assert.equal(results.size, 1);
    assert.equal([...results][0]!.split(" ")[1], undisturbed.outputs.at(-1)?.chain);
  });

  test("small groups do commit in the middle of one entry, and a crash there goes on with the next timer", async () => {
    const world = await new MemoryWorld(job).feed(storm);
    const tuning = { groupRowsMax: 2 };
    let starts = 0;
    for (let done = false; !done; ) {
      const shard = await world.start(tuning);
      starts++;
      const before = world.store.commits;
      while (world.store.commits < before + 3) {
        const result = shard.step();
        await turn();
        if (result === "idle" && shard.stored >= shard.fold.meta.outputs) {
          await world.drain(shard);
          done = true;
          break;
        }
      }
      world.store.crash();
    }
    assert(starts > 20, `${starts} starts`);
    await world.assertExact();
  });
});

suite("two shards on one log and one stream", () => {
  test("write each output once, whoever is first, and the one that was taken over says so", async () => {
    await fc.assert(
      fc.asyncProperty(aScriptedHistory, fc.array(fc.constantFrom(0, 1, 2), { maxLength: 150, size: "max" }), async (history, turns) => {
        const world = new MemoryWorld(job, { window: { messagesMax: 4, askEvery: 2, ackTimeoutMs: 4 } });
        const left = [...history.entries];
        const shards = [
          await world.start({ stepEntriesMax: 2 }),
          await world.start({ stepEntriesMax: 3, groupMs: 0 }, { store: new WatchedStore(world.broker), node: "n2" }),
        ];
        for (const act of turns) {
          const shard = shards[act];
          const entry = left.shift();
          if (entry !== undefined) world.log.now = entry.logTime;
          if (entry !== undefined) await world.log.append(entry.subject, entry.payload);
          if (shard === undefined) await turn();
          else if (shard.step() === "refused") await shard.ownership.recover();
        }
        await Promise.all(shards.map((shard) => world.settle(shard, { standsBy: true })));
        const hashes = [await world.drain(shards[0]!), await world.drain(shards[1]!)];
        await world.assertExact();
        assert.equal(hashes[0], hashes[1]);
        assert.deepEqual(
          shards.map(({ role }) => role),
          ["standby", "owner"],
        );
        assert(world.notices.some((notice) => notice.includes("another owner took this shard over")));
      }),
      { numRuns },
    );
  });

  test("that know nothing of each other write each output once, and one says so when it meets outputs that it has not sent", async () => {
    const world = new MemoryWorld(job);
    const first = await world.start();
    const second = await world.start({ stepEntriesMax: 1 }, { store: new WatchedStore(world.broker), node: "n2", log: fullLog(world.log) });
    await world.feed(new ScriptLog().run([{ say: "1" }], { id: "1" }));
    await world.settle(second);
    assert.equal(second.ownership.contested, false);
    const more = new ScriptLog();
    for (let i = 2; i < 9; i++) more.run([{ say: `${i}` }], { id: `${i}` });
    await world.feed(more);
    await world.settle(first);
    await world.settle(second);
    assert.deepEqual(
      [first, second].map(({ role, ownership }) => [role, ownership.contested]),
      [
        ["owner", false],
        ["owner", true],
      ],
    );
    await world.assertExact();
  });
});
