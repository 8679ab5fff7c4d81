import { test } from "node:test";
import {
  assertEqualsFreshFold,
  assertEqualsUndisturbedRun,
  assertStateEqualsFreshFold,
  assertSumsAgree,
  crashRun,
} from "../support/crash-run.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 4_000);
const KILLS = Number(process.env.CRASH_KILLS ?? 4);
const BROKER_RESTARTS = Number(process.env.CRASH_BROKER_RESTARTS ?? 1);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));

test(`a node killed ${KILLS} times and a broker restarted ${BROKER_RESTARTS} times lose, double and change nothing (CRASH_SEED=${SEED})`, async (t) => {
  const run = await crashRun(t, { seed: SEED, events: EVENTS, kills: KILLS, brokerRestarts: BROKER_RESTARTS });
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc)} outputs`);
  });
  await t.test("the rows in LMDB are those of a fresh fold in memory", () => assertStateEqualsFreshFold(run));
  await t.test("key by key they are those of an undisturbed run", () => assertEqualsUndisturbedRun(t, run));
  await t.test("plain SQL agrees with the sums", async (s) => {
    s.diagnostic(`${await assertSumsAgree(run)} totals`);
  });
});
