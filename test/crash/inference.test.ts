/**
 * Inferences while the node that asks for them is killed, and the process that runs its models, and the broker restarts.
 * A model may be asked again; the result used cannot be another one.
 */
import { test } from "node:test";
import { assertOneResultEach, inferenceScenario, startJudge } from "../support/crash-inference.ts";
import { assertEqualsFreshFold, assertReplays, assertStateEqualsFreshFold, crashRun } from "../support/crash-run.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 500) * 0.4;
const KILLS = Number(process.env.CRASH_KILLS ?? 2);
const BROKER_RESTARTS = Number(process.env.CRASH_BROKER_RESTARTS ?? 1);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const OPTIONS = { seed: SEED, events: EVENTS, kills: KILLS, brokerRestarts: BROKER_RESTARTS };

test(`inferences: ${KILLS} kills and ${BROKER_RESTARTS} broker restarts change no result (CRASH_SEED=${SEED})`, async (t) => {
  const server = await startJudge(t, SEED);
  const scenario = inferenceScenario(server, SEED);
  const run = await crashRun(t, scenario, OPTIONS);
  const job = scenario.jobs[0]!;
  await run.stop();
  await t.test("each payment has one result, the first in the log that counts, and it is what the model says", async (s) => {
    const { events, failed, repeated, unused } = await assertOneResultEach(run.nc, server, { lines: run.lines, job });
    const { together, alone } = scenario.killed;
    s.diagnostic(`${together} processes with models were killed, and ${alone} that ran suspects`);
    s.diagnostic(`${events} inferences, failed of them: ${JSON.stringify(failed)}`);
    s.diagnostic(
      `${repeated} of the ${server.seen.length} requests to the server were repeated; ${unused} results in the log were not used`,
    );
  });
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc, job)} outputs`);
  });
  await t.test("folded again, with a crash between every two units, they are the same", async (s) => {
    s.diagnostic(`${await assertReplays(run.nc, scenario.app, job)} outputs`);
  });
  await t.test("the rows in LMDB are those of a fresh fold in memory", async (s) => {
    s.diagnostic(`${await assertStateEqualsFreshFold(run, job)} rows`);
  });
});
