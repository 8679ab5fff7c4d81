/** A thread that hangs is found; a process that was stopped as a whole is not taken for one. */
import assert from "node:assert/strict";
import { suite, type TestContext, test } from "node:test";
import { watch } from "../../runtime/node/watchdog.ts";
import { ManualClock } from "../support/manual-clock.ts";

const LOOK_MS = 500;
const HANG_MS = 5_000;

function watched(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const clock = new ManualClock();
  const heartbeat = new SharedArrayBuffer(4);
  const beats = new Int32Array(heartbeat);
  const hung: string[] = [];
  const stop = watch([{ name: "worker 0", heartbeat }], clock, HANG_MS, (name) => hung.push(name));
  t.after(stop);
  return {
    hung,
    beat: () => void Atomics.add(beats, 0, 1),
    /** Time in which the watching thread runs, or at whose end it looks for the first time. */
    pass(ms: number, asleep = false) {
      if (asleep) clock.pass(ms - LOOK_MS);
      for (let left = asleep ? LOOK_MS : ms; left > 0; left -= LOOK_MS) {
        clock.pass(LOOK_MS);
        t.mock.timers.tick(LOOK_MS);
      }
    },
  };
}

suite("a watchdog", () => {
  test("finds a thread that shows no sign of life for the time set, and not before", (t) => {
    const { hung, beat, pass } = watched(t);
    pass(LOOK_MS);
    pass(HANG_MS - LOOK_MS);
    beat();
    pass(HANG_MS);
    assert.deepEqual(hung, []);
    pass(LOOK_MS);
    assert.deepEqual(hung, ["worker 0"]);
  });

  test("leaves a process alone that was stopped and goes on", (t) => {
    const { hung, beat, pass } = watched(t);
    pass(LOOK_MS);
    pass(60_000, true);
    assert.deepEqual(hung, []);
    beat();
    pass(HANG_MS);
    assert.deepEqual(hung, []);
  });

  test("finds a thread that does not wake with the others", (t) => {
    const { hung, pass } = watched(t);
    pass(LOOK_MS);
    pass(60_000, true);
    pass(HANG_MS - LOOK_MS);
    assert.deepEqual(hung, ["worker 0"]);
  });
});
