import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { crashOf } from "../../../inference/service/crash.ts";
import { SuspectTrials } from "../../../inference/service/suspects.ts";
import { ask, codeOf, EchoWorld, outputOf } from "./echo-world.ts";

suite("an inference process that ends", { concurrency: 2 }, () => {
  test("tells each request that was under way, and only those, that it may be the cause", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    outputOf(await ask(client, {}));
    const hanging = Array.from({ length: 50 }, () => ask(client, { hang: true }));
    // Answered behind all of them: the process has them.
    const first = outputOf(await ask(client, {}));
    world.kill();
    await world.died(1);
    const behind = ask(client, { value: "behind" });
    for (const inference of await Promise.all(hanging)) {
      assert.equal(crashOf(inference), "with-others");
      assert.ok("failed" in inference && inference.failed.code === "CRASHED" && inference.failed.again);
    }
    const last = outputOf(await behind);
    assert.equal(last.value, "behind");
    assert.notEqual(last.pid, first.pid);
    assert.deepEqual(
      world.deaths.map(({ how, stuck }) => ({ how, stuck })),
      [{ how: "SIGKILL", stuck: false }],
    );
  });

  test("aborted by one of many inputs convicts that one and answers the others", async (t) => {
    const world = new EchoWorld(t);
    const trials: string[] = [];
    const inferrer = new SuspectTrials(world.client(), async ({ id, alone }) => {
      assert.equal(alone, true);
      trials.push(id);
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => ask(inferrer, i === 7 ? { abort: true } : { value: i, waitMs: 5 }, { id: `call-${i}` })),
    );
    const { failed } = answers[7] as { failed: { code: string; again: boolean } };
    assert.deepEqual({ code: failed.code, again: failed.again }, { code: "CRASHED", again: false });
    for (const [i, inference] of answers.entries()) if (i !== 7) assert.equal(outputOf(inference).value, i);
    assert.equal(trials.filter((id) => id === "call-7").length, 2);
    assert.equal(world.deaths.length, 1);
    const { aloneDeaths, aloneWaiting } = (await world.service.measures())!;
    assert.deepEqual({ aloneWaiting }, { aloneWaiting: 0 });
    assert.ok(aloneDeaths >= 2);
  });

  test("because of what others did to it does not convict a suspect that runs well alone", async (t) => {
    const world = new EchoWorld(t);
    const inferrer = new SuspectTrials(world.client());
    const inference = await ask(inferrer, { abortWithOthers: true, value: 5 });
    assert.equal(outputOf(inference).value, 5);
    assert.notEqual(outputOf(inference).pid, world.service.pid);
  });

  test("having run others alone before convicts none of those that it ends with", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    outputOf(await ask(client, {}, { alone: true }));
    assert.equal(outputOf(await ask(client, { abortIfUsed: true, value: 1 }, { alone: true })).value, 1);
    assert.equal((await world.service.measures())!.aloneDeaths, 1);
  });

  test("while a suspect runs alone is no death of the suspect", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    outputOf(await ask(client, {}));
    const suspect = ask(client, { value: "suspect", waitMs: 300 }, { alone: true });
    // Answered by the process that has read the suspect before.
    outputOf(await ask(client, {}));
    world.kill();
    assert.equal(outputOf(await suspect).value, "suspect");
    assert.equal(world.deaths.length, 1);
  });

  test("with a question to a server under way is not blamed on it: the question is asked again, among others", async (t) => {
    const world = new EchoWorld(t);
    const client = world.client();
    const trials: string[] = [];
    const inferrer = new SuspectTrials(client, async ({ id }) => void trials.push(id));
    outputOf(await ask(client, {}));
    const asked = ask(inferrer, { value: "remote", waitMs: 300 }, { model: "remote" });
    const standsIn = ask(inferrer, { value: "stands in", waitMs: 300 }, { model: "remote-backed", id: "backed" });
    // Answered behind them: the process has them.
    outputOf(await ask(client, {}));
    world.kill();
    const { value, pid } = outputOf(await asked);
    assert.deepEqual({ value, pid }, { value: "remote", pid: world.service.pid });
    assert.notEqual(outputOf(await standsIn).pid, pid);
    assert.deepEqual(trials, ["backed"], "a model that runs here may stand in for it");
  });

  test("as its model is opened is a death of whoever asks for that model, and of nobody else", async (t) => {
    const world = new EchoWorld(t);
    const inferrer = new SuspectTrials(world.client());
    const [bad, good] = await Promise.all([ask(inferrer, {}, { model: "fatal" }), ask(inferrer, { value: 1 })]);
    assert.equal(codeOf(bad), "CRASHED");
    assert.equal(outputOf(good).value, 1);
  });

  test("again and again answers each of thousands of requests exactly once", async (t) => {
    const world = new EchoWorld(t);
    const clients = [world.client(), world.client()];
    const answered = new Map<string, number>();
    const one = async (i: number): Promise<void> => {
      const inferrer = new SuspectTrials(clients[i % 2]!);
      const value = outputOf(await ask(inferrer, { value: i, ...(i % 100 === 0 ? { waitMs: 20 } : {}) })).value;
      answered.set(String(value), (answered.get(String(value)) ?? 0) + 1);
    };
    const all: Promise<void>[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 1_000; i++) all.push(one(round * 1_000 + i));
      if (round === 2) break;
      // It is in the middle of them: some are answered, and the slow ones are not.
      await all[round * 1_000 + 1];
      world.kill();
      await world.died(round + 1);
    }
    await Promise.all(all);
    assert.equal(answered.size, 3_000);
    for (const [value, count] of answered) assert.equal(count, 1, value);
    assert.equal(world.deaths.length, 2);
    for (const client of clients) assert.deepEqual(client.waiting, { unsent: 0, sent: 0 });
  });
});
