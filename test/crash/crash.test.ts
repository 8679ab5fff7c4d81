import assert from "node:assert/strict";
import { test } from "node:test";
import { storedOutputs } from "../../runtime/replay/stored-history.ts";
import { assertOracleAgrees, CASES } from "../support/crash-cases.ts";
import { CELLS } from "../support/crash-cells.ts";
import { assertEqualsUndisturbedRun, assertSumsAgree, METER } from "../support/crash-meter.ts";
import { OPERATORS } from "../support/crash-operators.ts";
import { assertEqualsFreshFold, assertReplays, assertStateEqualsFreshFold, crashRun, PARTITIONS } from "../support/crash-run.ts";
import { SHIPPED } from "../support/crash-shipped.ts";
import { readOutputs } from "../support/entries.ts";
import { everyOperator } from "../support/operators-app.ts";
import { wide } from "../support/wide.ts";

const EVENTS = Number(process.env.CRASH_EVENTS ?? 4_000);
const KILLS = Number(process.env.CRASH_KILLS ?? 2);
const BROKER_RESTARTS = Number(process.env.CRASH_BROKER_RESTARTS ?? 1);
const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));
const OPTIONS = { seed: SEED, events: EVENTS, kills: KILLS, brokerRestarts: BROKER_RESTARTS };
const WHAT = `${KILLS} kills and ${BROKER_RESTARTS} broker restarts lose, double and change nothing (CRASH_SEED=${SEED})`;

test(`the meter: ${WHAT}`, async (t) => {
  const run = await crashRun(t, METER, OPTIONS);
  const [job] = METER.jobs;
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc, job!)} outputs`);
  });
  await run.stop();
  await t.test("the rows in LMDB are those of a fresh fold in memory", async (s) => {
    s.diagnostic(`${await assertStateEqualsFreshFold(run, job!)} rows`);
  });
  await t.test("key by key they are those of an undisturbed run", () => assertEqualsUndisturbedRun(t, run));
  await t.test("plain SQL agrees with the sums", async (s) => {
    s.diagnostic(`${await assertSumsAgree(run)} totals`);
  });
});

wide(`cases: ${WHAT}`, async (t) => {
  const run = await crashRun(t, CASES, OPTIONS);
  const [job] = CASES.jobs;
  await run.stop();
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc, job!)} outputs`);
  });
  await t.test("the rows in LMDB are those of a fresh fold in memory", async (s) => {
    s.diagnostic(`${await assertStateEqualsFreshFold(run, job!)} rows`);
  });
  await t.test("the oracle, which knows the rules alone, finds nothing", async (s) => {
    s.diagnostic(`${await assertOracleAgrees(run.nc)} outputs`);
  });
});

test(`two jobs on one log, cells of every kind, redrives: ${WHAT}`, async (t) => {
  const run = await crashRun(t, CELLS, OPTIONS);
  await run.stop();
  for (const job of CELLS.jobs) {
    await t.test(`the outputs of ${job.name} are what a fresh fold of the same log gives, byte for byte`, async (s) => {
      s.diagnostic(`${await assertEqualsFreshFold(run.nc, job)} outputs`);
    });
    await t.test(`${job.name} folded again, with a crash between every two units, is the same`, async (s) => {
      s.diagnostic(`${await assertReplays(run.nc, CELLS.app, job)} outputs`);
    });
    await t.test(`the rows of ${job.name} in LMDB are those of a fresh fold in memory`, async (s) => {
      s.diagnostic(`${await assertStateEqualsFreshFold(run, job)} rows`);
    });
  }
  await t.test("no dead letter was redriven twice", async (s) => {
    const outcomes = new Map<string, string[]>();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const { type, data } of readOutputs(await storedOutputs(run.nc, CELLS.jobs[0]!.name, partition))) {
        if (type !== "tidemark.audit") continue;
        const { deadLetter, outcome } = data.detail as { readonly deadLetter: string; readonly outcome: string };
        outcomes.set(deadLetter, [...(outcomes.get(deadLetter) ?? []), outcome]);
      }
    }
    const counted = [...outcomes.values()].flatMap((of) => of.filter((outcome) => outcome !== "refused"));
    for (const [letter, of] of outcomes)
      assert.equal(of.filter((outcome) => outcome !== "refused").length, 1, `${letter}: ${of.join(", ")}`);
    assert(counted.length > 0, "the run redrives something");
    s.diagnostic(`${counted.length} redriven`);
  });
});

test(`an operator of every kind: ${WHAT}`, async (t) => {
  const run = await crashRun(t, OPERATORS, { ...OPTIONS, events: EVENTS / 2 });
  const [job] = OPERATORS.jobs;
  await run.stop();
  await t.test("the outputs are what a fresh fold of the same log gives, byte for byte", async (s) => {
    s.diagnostic(`${await assertEqualsFreshFold(run.nc, job!)} outputs`);
  });
  await t.test("folded again, with a crash between every two units, it is the same", async (s) => {
    s.diagnostic(`${await assertReplays(run.nc, OPERATORS.app, job!)} outputs`);
  });
  await t.test("the rows in LMDB are those of a fresh fold in memory", async (s) => {
    s.diagnostic(`${await assertStateEqualsFreshFold(run, job!)} rows`);
  });
  await t.test("each operator has told something", async () => {
    const told = new Set<unknown>();
    for (let partition = 0; partition < PARTITIONS; partition++) {
      for (const { type, data } of readOutputs(await storedOutputs(run.nc, job!.name, partition))) {
        assert(type === "told" || type === "tidemark.late" || type === "tidemark.duplicate-conflict", `${type}: ${JSON.stringify(data)}`);
        if (type === "told") told.add(data.operator);
      }
    }
    assert.deepEqual([...told].sort(), everyOperator.cells.flatMap(({ name, handler }) => (handler === undefined ? [] : [name])).sort());
  });
});

wide(`every shipped job with its sample: ${WHAT}`, async (t) => {
  const run = await crashRun(t, SHIPPED, OPTIONS);
  await run.stop();
  for (const job of SHIPPED.jobs) {
    await t.test(`the outputs of ${job.name} are what a fresh fold of the same log gives, byte for byte`, async (s) => {
      s.diagnostic(`${await assertEqualsFreshFold(run.nc, job)} outputs`);
    });
    await t.test(`${job.name} folded again, with a crash between every two units, is the same`, async (s) => {
      s.diagnostic(`${await assertReplays(run.nc, SHIPPED.app, job)} outputs`);
    });
    await t.test(`the rows of ${job.name} in LMDB are those of a fresh fold in memory`, async (s) => {
      s.diagnostic(`${await assertStateEqualsFreshFold(run, job)} rows`);
    });
  }
});
