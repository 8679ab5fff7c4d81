/** Calls of effects while the node that makes them is killed and the broker restarts. The call may repeat; the result used cannot. */
import { test } from "node:test";
import { assertEachAnsweredOnce, effectsScenario, startLookup } from "../support/crash-effects.ts";
import { assertEqualsFreshFold, assertReplays, assertStateEqualsFreshFold, crashRun } from "../support/crash-run.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 4_000) / 8;
const KILLS = Number(process.env.CRASH_KILLS ?? 2);
const BROKER_RESTARTS = Number(process.env.CRASH_BROKER_RESTARTS ?? 1);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const OPTIONS = { seed: SEED, events: EVENTS, kills: KILLS, brokerRestarts: BROKER_RESTARTS };

test(`effects: ${KILLS} kills and ${BROKER_RESTARTS} broker restarts change no result (CRASH_SEED=${SEED})`, async (t) => {
  const server = await startLookup(t, SEED);
  const scenario = effectsScenario(server);
  const run = await crashRun(t, scenario, OPTIONS);
  const [job] = scenario.jobs;
  await run.stop();
  await t.test("each call has one result, and it is what the service says", async (s) => {
    const { asked, failed, repeated } = await assertEachAnsweredOnce(run.nc, server, run);
    s.diagnostic(`${asked} calls, ${failed} of them failed; ${repeated} requests were repeated`);
  });
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc, job!)} outputs`);
  });
  await t.test("folded again, with a crash between every two units, they are the same", async (s) => {
    s.diagnostic(`${await assertReplays(run.nc, scenario.app, job!)} outputs`);
  });
  await t.test("the rows in LMDB are those of a fresh fold in memory", async (s) => {
    s.diagnostic(`${await assertStateEqualsFreshFold(run, job!)} rows`);
  });
});
