/** The hand-over of one shard, died in at every point: the next start goes on with it or begins anew, and no code folds another's entries. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { META_ROW } from "../../actors/fold/keys.ts";
import { type CodeIdentity, readMeta } from "../../actors/fold/meta.ts";
import { epochSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { isTidemarkError } from "../../runtime/errors.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import { identityFor, readOutputs } from "../support/entries.ts";
import { MemoryWorld } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

/** What a build says shows who folded: the same job, with another version in every output. */
const build = (version: number): { readonly job: Job; readonly identity: CodeIdentity } => {
  const base = scriptedJob();
  const job = { ...base, version, actors: base.actors.map((actor) => ({ ...actor, version })) };
  return { job, identity: { ...identityFor(job), codeHash: `build ${version}` } };
};

const A = build(1);
const B = build(2);
const C = build(3);
const EPOCH = epochSubject("script", 0, "script");

class HandOverWorld extends MemoryWorld {
  #said = 0;

  constructor() {
    super(A.job);
  }

  run(of: typeof A, profile: "development" | "production" = "development"): Promise<Shard> {
    return this.start({}, { ...of, profile });
  }

  /** One more event: adds 1 and says the total. */
  async say(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      this.#said++;
      await this.feed(new ScriptLog().run([{ add: 1 }, { say: "total" }], { id: `e${this.#said}` }));
    }
  }

  async ended(shard: Shard): Promise<void> {
    await shard.run();
    if (shard.error !== undefined) throw shard.error;
  }

  /** `<version>:<total>` of each output, in order of their numbers. */
  get told(): string[] {
    const payloads = Array.from({ length: this.broker.lastSequence }, (_, i) => this.broker.message(i + 1)!);
    return readOutputs(payloads).map((output) => {
      const { jobversion } = output as unknown as { readonly jobversion: number };
      return `${jobversion}:${String(output.data.total)}`;
    });
  }

  get epochs(): number {
    return this.entries.filter(({ subject }) => subject === EPOCH).length;
  }
}

/** Two events folded by A, then as many as wait in the log when it is asked. */
async function running(waiting = 0): Promise<{ readonly world: HandOverWorld; readonly shard: Shard }> {
  const world = new HandOverWorld();
  await world.say(2);
  const shard = await world.run(A);
  await world.settle(shard);
  await world.say(waiting);
  return { world, shard };
}

suite("a shard that is asked to hand over", () => {
  test("folds all that lies before the new epoch, ends there, and the next build goes on with its state", async () => {
    const { world, shard } = await running(3);
    await shard.handOver(B.identity);
    await world.say(2);
    await world.ended(shard);
    assert.deepEqual(world.told, ["1:1", "1:2", "1:3", "1:4", "1:5"]);
    const next = await world.run(B);
    await world.settle(next);
    await world.drain(next);
    assert.deepEqual(world.told, ["1:1", "1:2", "1:3", "1:4", "1:5", "2:6", "2:7"]);
    assert(!world.notices.some((notice) => notice.includes("deleted")));
  });

  test("appends its epoch entry once, however often it is asked", async () => {
    const { world, shard } = await running();
    await Promise.all([shard.handOver(B.identity), shard.handOver(B.identity)]);
    await shard.handOver(B.identity);
    assert.equal(world.epochs, 2);
  });

  test("refuses to hand over to a third build when the log names a second already", async () => {
    const { shard } = await running();
    await shard.handOver(B.identity);
    await assert.rejects(shard.handOver(C.identity), (error) => isTidemarkError(error, "CODE_UNAVAILABLE"));
  });

  test("hands over again and again, each build folding its own part", async () => {
    const { world, shard } = await running();
    let last = shard;
    for (const next of [B, A, C]) {
      await last.handOver(next.identity);
      await world.ended(last);
      // Version 1 behind version 2: the rows say so, and an older actor must not read them.
      last = await world.run(next === A ? { job: B.job, identity: A.identity } : next);
      await world.say();
      await world.settle(last);
    }
    await world.drain(last);
    assert.deepEqual(world.told, ["1:1", "1:2", "2:3", "2:4", "3:5"]);
    // The start that follows finds its state at the last of four epochs.
    await world.drain(await world.run(C, "production"));
    assert.equal(world.epochs, 4);
  });

  test("in production hands over alike, and the next build is let in", async () => {
    const { world, shard } = await running();
    await shard.handOver(B.identity);
    await world.ended(shard);
    await world.say();
    const next = await world.run(B, "production");
    await world.settle(next);
    await world.drain(next);
    assert.deepEqual(world.told, ["1:1", "1:2", "2:3"]);
  });
});

suite("a death in a hand-over", () => {
  const DEATHS: Readonly<Record<string, (shard: Shard, world: HandOverWorld) => Promise<void>>> = {
    "before the epoch entry": async () => {},
    "behind the epoch entry, before anything was folded": async (shard) => shard.handOver(B.identity),
    "when all was folded and published and nothing committed": async (shard, world) => {
      await shard.handOver(B.identity);
      while (shard.step() !== "handed-over") await new Promise(setImmediate);
      world.store.crash();
    },
  };

  for (const [when, die] of Object.entries(DEATHS)) {
    test(`${when}: the new build folds anew, alone`, async () => {
      const { world, shard } = await running(2);
      await die(shard, world);
      world.store.crash();
      const next = await world.run(B);
      await world.say();
      await world.settle(next);
      await world.drain(next);
      assert.deepEqual(world.told, ["2:1", "2:2", "2:3", "2:4", "2:5"]);
      assert(world.notices.some((notice) => notice.includes("outputs and state are deleted")));
    });
  }

  for (const [when, die] of Object.entries(DEATHS).slice(1)) {
    test(`${when}: in production the new build is refused until the old one has finished`, async () => {
      const { world, shard } = await running(2);
      await die(shard, world);
      world.store.crash();
      await assert.rejects(world.run(B, "production"), (error) => isTidemarkError(error, "CODE_UNAVAILABLE"));
      await world.ended(await world.run(A, "production"));
      await world.say();
      const next = await world.run(B, "production");
      await world.settle(next);
      await world.drain(next);
      assert.deepEqual(world.told, ["1:1", "1:2", "1:3", "1:4", "2:5"]);
    });
  }

  test("behind the commit at the epoch entry: the new build goes on", async () => {
    const { world, shard } = await running(2);
    await shard.handOver(B.identity);
    await world.ended(shard);
    world.store.crash();
    assert.equal(readMeta(world.store.get(META_ROW)!)?.epoch.codeHash, "build 2");
    const next = await world.run(B);
    await world.say();
    await world.settle(next);
    assert.deepEqual(world.told, ["1:1", "1:2", "1:3", "1:4", "2:5"]);
  });

  test("of a change that was taken back: the old build does not stop at the entry of a build that will not come", async () => {
    const { world, shard } = await running(2);
    await shard.handOver(B.identity);
    world.store.crash();
    const again = await world.run(A);
    await world.settle(again);
    assert.equal(again.status, "running");
    assert.deepEqual(world.told, ["1:1", "1:2", "1:3", "1:4"]);
  });
});

suite("a history that is begun anew", () => {
  test("is begun again by a death before its outputs are deleted, also when there was no state", async () => {
    for (const lose of [(_: HandOverWorld) => {}, ({ store }: HandOverWorld) => store.clear()]) {
      const { world } = await running();
      lose(world);
      const dies = async (): Promise<never> => {
        throw new Error("died");
      };
      await assert.rejects(world.start({}, { ...B, profile: "development", deleteOutputs: dies }), /died/);
      const next = await world.run(B);
      await world.settle(next);
      assert.deepEqual(world.told, ["2:1", "2:2"]);
      assert.equal(world.epochs, 2);
    }
  });

  test("is not begun while another owner answers; nothing is appended and nothing deleted", async () => {
    const { world } = await running();
    const before = [world.log.lastSequence, world.published()];
    const starting = world.start({}, { ...B, profile: "development", otherOwner: async () => "n2" });
    await assert.rejects(starting, (error) => isTidemarkError(error, "OWNER_ACTIVE") && /node n2/.test(error.detail));
    assert.deepEqual([world.log.lastSequence, world.published()], before);
  });

  test("keeps the outputs that another node of the same build has begun to publish", async () => {
    const { world } = await running();
    const first = await world.run(B);
    await world.settle(first);
    // A second node, with the state of the void history in a data directory of its own.
    const second = new HandOverWorld();
    await second.say(2);
    const old = await second.run(A);
    await second.settle(old);
    await second.drain(old);
    const deletes = async (): Promise<void> => assert.fail("the stream belongs to the history that goes on");
    const shard = await world.start(
      {},
      {
        ...B,
        profile: "development",
        store: second.store,
        otherOwner: async () => "n1",
        deleteOutputs: deletes,
        clearState: async () => second.store.clear(),
      },
    );
    await world.settle(shard);
    assert.deepEqual(world.told, ["2:1", "2:2"]);
  });
});
