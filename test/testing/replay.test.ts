import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { isTidemarkError } from "../../runtime/errors.ts";
import { testJob } from "../../runtime/testing/testing.ts";
import accounts from "./apps/accounts.ts";
import { clean, configurable, configure, counting, silent } from "./apps/hidden.ts";

const HIDDEN = import.meta.resolve("./apps/hidden.ts");
const ACCOUNTS = new URL("./apps/accounts.ts", import.meta.url);

async function noted(job: typeof clean) {
  const kit = await testJob(job);
  for (const key of ["a", "b", "a"]) await kit.send("note", key, { text: `note of ${key}` });
  return kit;
}

function differs(...parts: readonly RegExp[]) {
  return (error: unknown): boolean => {
    assert.ok(isTidemarkError(error, "REPLAY_DIFFERS"), String(error));
    for (const part of parts) assert.match(error.message, part);
    return true;
  };
}

suite("verifyReplay", () => {
  test("passes a job that depends on its entries alone, and says what it has looked at", async () => {
    const kit = await noted(clean);
    assert.deepEqual(await kit.verifyReplay(), { outputs: 3, moduleState: "not checked" });
    assert.deepEqual(await kit.verifyReplay(HIDDEN), { outputs: 3, moduleState: "checked" });
  });

  test("passes timers, both clocks, expiry, failures, crashes and several partitions", async () => {
    const kit = await testJob(accounts, { partitions: 2, onFailure: "dead-letter" });
    for (let i = 0; i < 30; i++) {
      await kit.send("paid", `k${i % 5}`, { amount: (i % 15) - 1, shop: `s${i % 3}` });
      await kit.advanceClock(i * 1_000);
      if (i % 10 === 5) await kit.crash();
      if (i % 10 === 7) await kit.recover();
    }
    await kit.advanceWatermark(kit.now + 7_200_000);
    for (const letter of kit.deadLetters()) await kit.redrive(letter);
    const { outputs, moduleState } = await kit.verifyReplay(ACCOUNTS);
    assert.equal(outputs, kit.outputs().length);
    assert.equal(moduleState, "checked");
  });

  test("names the first output that differs, its key, its position and both values", async () => {
    const kit = await noted(counting);
    const [first] = kit.outputs();
    for (const module of [undefined, HIDDEN]) {
      await assert.rejects(
        kit.verifyReplay(module),
        differs(
          /output 1, noted of key "a"/,
          new RegExp(`at position ${first!.position}`),
          /it was: .*note of a \d/,
          /it is: {2}.*note of a \d/,
        ),
      );
    }
  });

  test("names the cell that differs when no output does, and the first position that shows it", async () => {
    const kit = await noted(silent);
    await assert.rejects(
      kit.verifyReplay(HIDDEN),
      differs(/cell last of actor silent of key "[ab]", at position 0:3\.0/, /it was: "note of/),
    );
  });

  test("finds what a test did to the job's module, in a fresh thread only", async () => {
    configure(" (configured)");
    const kit = await noted(configurable);
    assert.equal((await kit.verifyReplay()).moduleState, "not checked");
    await assert.rejects(kit.verifyReplay(HIDDEN), differs(/output 1, noted of key "a"/, /folded again/, /\(configured\)/));
  });

  test("of a module that is not there, or has no such job, says so", async () => {
    const kit = await noted(clean);
    const isInput = (detail: RegExp) => (error: unknown) => isTidemarkError(error, "TEST_INPUT") && detail.test(error.message);
    await assert.rejects(kit.verifyReplay("./no-such-app.ts"), isInput(/no module/));
    await assert.rejects(kit.verifyReplay(ACCOUNTS), isInput(/exports no job "clean"/));
  });
});
