/**
 * Nodes that lose their data directory with each kill: what the next one begins from is the newest snapshot, and the
 * log has the rest. Snapshots are taken all the time, so that many a kill falls into one.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CELLS } from "../support/crash-cells.ts";
import { OPERATORS } from "../support/crash-operators.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold, crashRun } from "../support/crash-run.ts";
import { wide } from "../support/wide.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 4_000);
const KILLS = Number(process.env.CRASH_KILLS ?? 2);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const OPTIONS = {
  seed: SEED,
  events: EVENTS,
  kills: KILLS,
  brokerRestarts: 0,
  loseDataDir: true,
  env: { TIDEMARK_SNAPSHOT_EVERY: "100ms" },
};

for (const [what, scenario, run] of [
  ["cells of every kind and redrives", CELLS, test],
  ["an operator of every kind", OPERATORS, wide],
] as const) {
  run(`${what}: ${KILLS} kills that take the data directory lose, double and change nothing (CRASH_SEED=${SEED})`, async (t) => {
    const nodes = await crashRun<never>(t, scenario as never, OPTIONS);
    await nodes.stop();
    const restored = nodes.log().match(/restored up to entry/g)?.length ?? 0;
    t.diagnostic(`${restored} shards began from a snapshot`);
    assert(restored > 0);
    for (const job of scenario.jobs) {
      await t.test(`the outputs of ${job.name} are what a fresh fold of the same log gives, byte for byte`, async (s) => {
        s.diagnostic(`${await assertEqualsFreshFold(nodes.nc, job)} outputs`);
      });
      await t.test(`the rows of ${job.name} in LMDB are those of a fresh fold in memory`, async (s) => {
        s.diagnostic(`${await assertStateEqualsFreshFold(nodes, job)} rows`);
      });
    }
  });
}
