/** Suspects that run alone, one after the other: when each is told its turn, and one that does not end. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { suite, type TestContext, test } from "node:test";
import { AloneRunner } from "../../../inference/service/alone-runner.ts";
import { ask, codeOf, outputOf, recordOf } from "./echo-world.ts";

function runner(t: TestContext, trialMaxMs?: number): AloneRunner {
  const alone = new AloneRunner({
    start: () => fork(new URL("./echo-process.ts", import.meta.url), [], { stdio: ["ignore", 2, 2, "ipc"] }),
    settings: {},
    source: { find: async (model, version) => ({ record: recordOf(model, version) }) },
    ...(trialMaxMs === undefined ? {} : { trialMaxMs }),
  });
  t.after(() => alone.close());
  return alone;
}

/** Asks alone; `onTurn` is handed on. */
const turning = (alone: AloneRunner, onTurn: () => Promise<void>) => ({
  infer: (request: Parameters<AloneRunner["infer"]>[0], signal: AbortSignal) => alone.infer(request, signal, onTurn),
});

suite("a suspect that runs alone", { timeout: 60_000 }, () => {
  test("is told its turn when the one before it has ended, and waits for what is done then", async (t) => {
    const alone = runner(t);
    const steps: string[] = [];
    const one = async (name: string): Promise<void> => {
      const inferrer = turning(alone, async () => {
        steps.push(`turn ${name}`);
        await new Promise(setImmediate);
        steps.push(`written ${name}`);
      });
      steps.push(`ended ${outputOf(await ask(inferrer, { value: name, waitMs: 20 })).value}`);
    };
    await Promise.all([one("a"), one("b")]);
    assert.deepEqual(steps, ["turn a", "written a", "ended a", "turn b", "written b", "ended b"]);
  });

  test("is not told its turn when nobody waits for it any more", async (t) => {
    const alone = runner(t);
    const end = new AbortController();
    const first = ask(alone, { value: 1 });
    const second = ask(
      turning(alone, async () => assert.fail("it was told")),
      {},
      { signal: end.signal },
    );
    end.abort();
    assert.equal(outputOf(await first).value, 1);
    assert.equal(codeOf(await second), "TIMEOUT");
  });

  test("and does not end is ended, long before its deadline, and keeps nobody waiting behind it", async (t) => {
    const alone = runner(t, 2_000);
    const deadline = Date.now() + 86_400_000;
    const [spun, never] = await Promise.all([
      ask(alone, { spin: true }, { deadline }),
      ask(
        turning(alone, () => new Promise(() => {})),
        {},
        { deadline },
      ),
    ]);
    assert.deepEqual([codeOf(spun), codeOf(never)], ["TIMEOUT", "TIMEOUT"]);
    // On a busy machine a process may take longer than that to start.
    let last = await ask(alone, {}, { deadline });
    while ("failed" in last) last = await ask(alone, {}, { deadline });
    assert.equal(alone.deaths, 0);
  });
});
