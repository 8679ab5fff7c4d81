/** What a shard does when its output stream is not what it wrote: it halts with a code, and publishes nothing more. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { MemoryOutputStream } from "../../runtime/outputs/memory-output-stream.ts";
import type { LastOutput } from "../../runtime/outputs/output-stream.ts";
import type { Shard } from "../../runtime/shard/shard.ts";
import { MemoryWorld, turn } from "../support/memory-world.ts";
import { ScriptLog, scriptedJob } from "../support/scripted.ts";

const job = scriptedJob();
const DOUBT = { doubtMs: 30_000 };

/** Ten events, each with one output. */
function tenMore(from = 0): ScriptLog {
  const log = new ScriptLog();
  for (let i = from; i < from + 10; i++) log.run([{ add: 1 }, { say: `s${i}` }], { id: `e${i}`, key: `k${i % 3}` });
  return log;
}

/** A shard that has folded, published and committed ten outputs. */
async function settled(world = new MemoryWorld(job)): Promise<{ world: MemoryWorld; shard: Shard }> {
  await world.feed(tenMore());
  const shard = await world.start({ ...DOUBT, groupMs: 0 });
  await world.settle(shard);
  while (shard.lastSealed?.outputs !== 10) {
    shard.step();
    await turn();
  }
  return { world, shard };
}

/** Runs the shard to its end, and gives the code that it halted with. */
async function haltOf(shard: Shard): Promise<string | undefined> {
  await shard.run();
  assert.equal(shard.status, "halted");
  return shard.error?.code;
}

const codeOf = (starting: Promise<Shard>): Promise<unknown> =>
  starting.then(
    () => "started",
    (error: unknown) => (isTidemarkError(error) ? error.code : error),
  );

suite("a foreign message in the output stream", () => {
  test("in mid-window halts the shard, and nothing of ours is stored behind it", async () => {
    const { world, shard } = await settled();
    world.broker.appendForeign("script.out.0.k1.x", Buffer.from("foreign"));
    await world.feed(tenMore(10));
    assert.equal(await haltOf(shard), "OUTPUT_DIVERGED");
    assert.equal(world.broker.lastSequence, 11);
  });

  test("between two messages of one window costs no output silently", async () => {
    const { world, shard } = await settled(new MemoryWorld(job, { window: { messagesMax: 4, askEvery: 4 } }));
    world.broker.holdAnswers();
    await world.feed(tenMore(10));
    shard.step();
    world.broker.appendForeign("script.out.0.k1.x", Buffer.from("foreign"));
    const before = world.broker.lastSequence;
    world.broker.releaseAnswers();
    assert.equal(await haltOf(shard), "OUTPUT_DIVERGED");
    assert.equal(world.broker.lastSequence, before);
  });

  test("found at the start halts it too", async () => {
    const { world, shard } = await settled();
    await world.drain(shard);
    world.broker.appendForeign("script.out.0.k1.x", Buffer.from("foreign"));
    assert.equal(await codeOf(world.start(DOUBT)), "OUTPUT_DIVERGED");
  });

  test("once a shard is halted it has committed nothing beyond what the stream has", async () => {
    const { world, shard } = await settled();
    const commits = world.store.commits;
    world.broker.appendForeign("script.out.0.k1.x", Buffer.from("foreign"));
    await world.feed(tenMore(10));
    await haltOf(shard);
    assert.equal(world.store.commits, commits);
  });
});

suite("other bytes under a shard's number", () => {
  /** The stream as another build would have written it: the same numbers, other texts. */
  async function writtenByAnother(outputs: number): Promise<MemoryWorld> {
    const world = new MemoryWorld(job);
    const log = new ScriptLog();
    for (let i = 0; i < outputs; i++) log.run([{ say: `other ${i}` }], { id: `e${i}`, key: `k${i % 3}` });
    const other = await new MemoryWorld(job).feed(log);
    await other.settle(await other.start());
    let chain = "";
    for (let k = 1; k <= other.broker.lastSequence; k++) {
      const message = other.broker.message(k)!;
      world.broker.publish({ k, ...message }, chain);
      chain = message.chain;
    }
    return world;
  }

  test("is found while the shard, new to the stream, is still behind it", async () => {
    const world = await (await writtenByAnother(5)).feed(tenMore());
    const shard = await world.start(DOUBT);
    assert.equal(await haltOf(shard), "OUTPUT_DIVERGED");
    assert.equal(world.broker.lastSequence, 5);
  });

  test("is found also when the shard has nothing to add to the stream", async () => {
    const world = await (await writtenByAnother(10)).feed(tenMore());
    assert.equal(await haltOf(await world.start(DOUBT)), "OUTPUT_DIVERGED");
  });

  test("is found at the start, where the state is as far as the stream", async () => {
    const { world, shard } = await settled();
    await world.drain(shard);
    const other = await writtenByAnother(10);
    assert.equal(await codeOf(Object.assign(other, { log: world.log, store: world.store }).start(DOUBT)), "OUTPUT_DIVERGED");
  });

  test("is found when a publish is refused", async () => {
    const { world, shard } = await settled();
    const tenth = world.broker.message(10)!;
    world.broker.publish({ k: 11, subject: "script.out.0.k.script.said", payload: Buffer.from("{}"), chain: "f".repeat(32) }, tenth.chain);
    await world.feed(tenMore(10));
    assert.equal(await haltOf(shard), "OUTPUT_DIVERGED");
  });
});

suite("a stream whose last message was deleted", () => {
  test("says nothing about what was written: the start is refused", async () => {
    const { world, shard } = await settled();
    await world.drain(shard);
    world.broker.deleteLast();
    assert.equal(await codeOf(world.start(DOUBT)), "OUTPUT_DIVERGED");
  });
});

suite("a stream that ends before the state", () => {
  const LOST: Readonly<Record<string, (world: MemoryWorld) => void>> = {
    "lost its tail": ({ broker }) => broker.truncate(9),
    "was deleted and recreated": ({ broker }) => {
      broker.delete();
      broker.recreate();
    },
    "was deleted": ({ broker }) => broker.delete(),
  };
  for (const [name, lose] of Object.entries(LOST)) {
    test(`because it ${name} refuses the start, after half a minute of doubt`, async () => {
      const { world, shard } = await settled();
      await world.drain(shard);
      lose(world);
      const since = world.clock.monotonic();
      assert.equal(await codeOf(world.start(DOUBT)), "OUTPUTS_TRUNCATED");
      assert(world.clock.monotonic() - since >= 30_000);
      assert(world.notices.some((notice) => notice.includes("waiting 30000 ms before believing it")));
    });

    test(`because it ${name} halts a running shard, after half a minute of doubt`, async () => {
      const { world, shard } = await settled();
      lose(world);
      await world.feed(tenMore(10));
      const since = world.clock.monotonic();
      assert.equal(await haltOf(shard), "OUTPUTS_TRUNCATED");
      assert(world.clock.monotonic() - since >= 30_000);
    });
  }

  test("only for a moment, as a new leader may say, is waited for", async () => {
    const { world, shard } = await settled();
    await world.drain(shard);
    const low = new TooLow(world, 3);
    const again = await world.start(DOUBT, { outputs: low });
    await world.feed(tenMore(10));
    await world.settle(again);
    await world.drain(again);
    await world.assertExact();
    assert.equal(low.asked, 4);
  });

  test("is doubted from its first answer on, however long nobody answered before", async () => {
    const { world, shard } = await settled();
    await world.drain(shard);
    const silent = new TooLow(world, 3, 60);
    const again = await world.start(DOUBT, { outputs: silent });
    await world.settle(again);
    assert(world.clock.monotonic() > 60_000);
  });
});

/** A stream whose leader is silent for a while, and then answers too low for a while. */
class TooLow extends MemoryOutputStream {
  asked = 0;
  readonly #low: number;
  readonly #silent: number;

  constructor(world: MemoryWorld, low: number, silent = 0) {
    super(world.broker);
    this.#low = low;
    this.#silent = silent;
  }

  override async last(): Promise<LastOutput> {
    this.asked++;
    if (this.asked <= this.#silent) throw new Error("no responders");
    if (this.asked <= this.#silent + this.#low) return { sequence: 1, chain: "0".repeat(32) };
    return await super.last();
  }
}

suite("a stream that refuses", () => {
  for (const code of ["10077", "503", "10164", "10071", "10054"]) {
    test(`${code} again and again is asked again at growing intervals, and said once`, async () => {
      const { world, shard } = await settled(new MemoryWorld(job, { window: { messagesMax: 1 } }));
      for (let i = 0; i < 8; i++) world.broker.refuseNext(code);
      await world.feed(tenMore(10));
      const since = world.clock.monotonic();
      await world.settle(shard);
      assert.equal(world.notices.filter((notice) => notice.includes(`was refused (${code}`)).length, 1);
      assert(world.clock.monotonic() - since >= 8_000, "it is asked without a pause");
      await world.drain(shard);
      await world.assertExact();
    });
  }

  test("with an answer lost now and then loses and doubles nothing", async () => {
    const { world, shard } = await settled(new MemoryWorld(job, { window: { messagesMax: 3, askEvery: 1, ackTimeoutMs: 3 } }));
    await world.feed(tenMore(10));
    world.broker.dropAnswers(4);
    await world.settle(shard);
    await world.drain(shard);
    await world.assertExact();
  });
});

suite("a server that has forgotten the id of the last message, as after a restore", () => {
  for (const events of [1, 10]) {
    test(`takes what does not name it, ${events} at once`, async () => {
      const { world, shard } = await settled();
      world.broker.forgetLastId();
      const log = new ScriptLog();
      for (let i = 0; i < events; i++) log.run([{ say: `after ${i}` }], { id: `after${i}`, key: "k" });
      await world.feed(log);
      await world.settle(shard);
      await world.drain(shard);
      await world.assertExact();
    });
  }

  test("and another's message there halts the shard, and nothing of ours is stored behind it", async () => {
    const { world, shard } = await settled();
    world.broker.appendForeign("script.out.0.k1.x", Buffer.from("foreign"));
    world.broker.forgetLastId();
    await world.feed(tenMore(10));
    assert.equal(await haltOf(shard), "OUTPUT_DIVERGED");
    assert.equal(world.broker.lastSequence, 11);
  });
});

test("late answers of a window that was given up do not count for the next", async () => {
  const { world, shard } = await settled(new MemoryWorld(job, { window: { messagesMax: 4, askEvery: 1, ackTimeoutMs: 3 } }));
  const commits = world.store.commits;
  world.broker.holdAnswers();
  await world.feed(tenMore(10));
  while (shard.step() !== "refused") await turn();
  // What the first window stored is lost before anybody has looked; then its answers come.
  world.broker.truncate(10);
  world.broker.releaseAnswers();
  await turn();
  assert.equal(shard.stored, 10);
  assert.equal(world.store.commits, commits);
  await world.settle(shard);
  await world.drain(shard);
  await world.assertExact();
});
