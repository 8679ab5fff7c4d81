import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { writeEpoch } from "../../actors/fold/journal.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import { isTidemarkError, type TidemarkError } from "../../runtime/errors.ts";
import { openEpochs } from "../../runtime/shard/epochs.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import { identityFor } from "../support/entries.ts";
import { MemoryWorld } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();
const OLD = identityFor(job);
const EPOCH = epochSubject("script", 0, "script");

const CHANGED: Readonly<Record<string, readonly [Partial<CodeIdentity>, string]>> = {
  "the same version with other code": [{ codeHash: "other" }, "CODE_VERSION_UNCHANGED"],
  "another version": [{ version: 2, codeHash: "other" }, "CODE_UNAVAILABLE"],
  "another Tidemark": [{ tidemark: "9" }, "CODE_UNAVAILABLE"],
  "another Node": [{ node: "99" }, "CODE_UNAVAILABLE"],
  "another setting": [{ settings: { ...OLD.settings, maxAheadMs: 1 } }, "CODE_UNAVAILABLE"],
};

async function folded(): Promise<MemoryWorld> {
  const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ say: "1" }]).run([{ say: "2" }]));
  const shard = await world.start();
  await world.settle(shard);
  await world.drain(shard);
  return world;
}

const refusalOf = async (starting: Promise<Shard>): Promise<TidemarkError> => {
  const error = await starting.then(
    () => assert.fail("it started"),
    (refused: unknown) => refused,
  );
  assert(isTidemarkError(error));
  return error;
};

suite("in production", () => {
  for (const [name, [changes, code]] of Object.entries(CHANGED)) {
    test(`${name} is refused with ${code}; nothing is appended and nothing deleted`, async () => {
      for (const lose of [(_world: MemoryWorld) => {}, ({ store }: MemoryWorld) => store.clear()]) {
        const world = await folded();
        lose(world);
        const before = [world.log.lastSequence, world.published()];
        const error = await refusalOf(world.start({}, { identity: { ...OLD, ...changes } }));
        assert.equal(error.code, code);
        assert.match(error.detail, /^script, partition 0: the epoch in force is version 1/);
        assert.deepEqual([world.log.lastSequence, world.published()], before);
      }
    });
  }

  test("the same build goes on, and appends no epoch", async () => {
    const world = await folded();
    const shard = await world.start();
    await world.drain(shard);
    assert.equal(world.entries.filter(({ subject }) => subject === EPOCH).length, 1);
  });

  test("a history begun anew by a development node is refused, though the build is the same", async () => {
    const world = await folded();
    await openEpochs(world.log, {
      log: "script",
      partition: 0,
      job: "script",
      identity: { ...OLD, codeHash: "other" },
      profile: "development",
    });
    await openEpochs(world.log, { log: "script", partition: 0, job: "script", identity: OLD, profile: "development" });
    const published = world.published();
    assert.equal((await refusalOf(world.start())).code, "CODE_UNAVAILABLE");
    assert.deepEqual(world.published(), published);
  });
});

suite("in development", () => {
  for (const [name, [changes]] of Object.entries(CHANGED)) {
    test(`${name} deletes outputs and state, says so, and folds the log again`, async () => {
      const world = await folded();
      const identity = { ...OLD, ...changes };
      const shard = await world.start({}, { profile: "development", identity });
      assert(world.notices.some((notice) => notice.includes("the code changed; outputs and state are deleted")));
      await world.settle(shard);
      await world.drain(shard);
      assert.equal(world.broker.lastSequence, 2);
      const epochs = world.entries.filter(({ subject }) => subject === EPOCH);
      assert.equal(epochs.length, 2);
      assert.equal((JSON.parse(Buffer.from(epochs[1]!.payload).toString()) as { from: number }).from, 1);
      // Once is enough: the next start goes on.
      const notices = world.notices.length;
      await world.drain(await world.start({}, { profile: "development", identity }));
      assert.equal(world.notices.length, notices);
    });
  }

  test("a death between the new epoch and the deletion is made up for at the next start", async () => {
    const world = await folded();
    const identity = { ...OLD, codeHash: "other" };
    const dies = async (): Promise<never> => {
      throw new Error("died");
    };
    await assert.rejects(world.start({}, { profile: "development", identity, deleteOutputs: dies }), /died/);
    const shard = await world.start({}, { profile: "development", identity });
    await world.settle(shard);
    await world.drain(shard);
    assert.equal(world.broker.lastSequence, 2);
    assert.equal(world.entries.filter(({ subject }) => subject === EPOCH).length, 2);
  });
});

test("two nodes that begin a job at once agree on one epoch", async () => {
  const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ say: "1" }]));
  const setting = { log: "script", partition: 0, job: "script", identity: OLD, profile: "production" } as const;
  const plans = await Promise.all([openEpochs(world.log, setting), openEpochs(world.log, setting), openEpochs(world.log, setting)]);
  assert.deepEqual(
    plans.map(({ plan }) => [plan.root.sequence, plan.from]),
    Array(3).fill([2, 1]),
  );
  assert.equal(world.entries.filter(({ subject }) => subject === EPOCH).length, 1);
});

test("an epoch entry that nobody can read stops the start", async () => {
  const world = await folded();
  await world.log.append(EPOCH, Buffer.from("garbage"));
  assert.equal((await refusalOf(world.start())).code, "CODE_UNAVAILABLE");
});

test("a shard that meets the epoch of other code commits there, ends, and folds nothing behind it", async () => {
  const world = await new MemoryWorld(job).feed(new ScriptLog().run([{ say: "1" }]));
  const shard = await world.start();
  await world.log.append(EPOCH, Buffer.from(writeEpoch({ ...OLD, version: 2 }, 2, undefined)));
  const at = world.log.lastSequence;
  await world.feed(new ScriptLog().run([{ say: "by the next" }]));
  await shard.run();
  assert.equal(shard.status, "stopped");
  assert.equal(shard.fold.position, `0:${at}.0`);
  assert.equal(shard.lastSealed?.sequence, at);
  assert.equal(world.broker.lastSequence, 1);
  assert.equal((await refusalOf(world.start())).code, "CODE_UNAVAILABLE");
});
