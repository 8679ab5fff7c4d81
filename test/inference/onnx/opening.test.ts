/** What is opened once and kept, and tried again after a while when it could not be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { REOPEN_MAX_MS, REOPEN_MS } from "../../../inference/onnx/bounds.ts";
import { Opening } from "../../../inference/onnx/opening.ts";

test("what could not be opened is tried again after a pause, twice as long each time up to a bound, and kept once it is open", async () => {
  let now = 0;
  let tries = 0;
  let fails = true;
  const opening = new Opening(
    async () => {
      tries++;
      if (fails) throw new Error(`try ${tries}`);
      return tries;
    },
    () => now,
  );
  for (let pause = REOPEN_MS, n = 1; n <= 10; pause = Math.min(pause * 2, REOPEN_MAX_MS), n++) {
    await assert.rejects(opening.get(), { message: `try ${n}` });
    now += pause - 1;
    await assert.rejects(opening.get(), { message: `try ${n}` });
    now += 1;
  }
  fails = false;
  assert.deepEqual(await Promise.all([opening.get(), opening.get()]), [11, 11]);
  now += 10 * REOPEN_MAX_MS;
  assert.equal(await opening.get(), 11);
});
