import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PARTITIONS, type PumpRun, pumpRun, untilEnd } from "../support/crash-pump.ts";
import { assertEqualsFreshFold, assertStateEqualsFreshFold } from "../support/crash-run.ts";
import { SPAN_MS, spans, visitors } from "../support/pump-app.ts";

const events = Number(process.env.CRASH_EVENTS ?? 3_000);
const kills = Number(process.env.CRASH_KILLS ?? 2);
const brokerRestarts = Number(process.env.CRASH_BROKER_RESTARTS ?? 1);
const seed = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1e9));

test(`two stages of pumps: ${kills} kills and ${brokerRestarts} broker restarts lose, double and reorder nothing (CRASH_SEED=${seed})`, async (t) => {
  const run = await pumpRun(t, { seed, events, kills, brokerRestarts });
  await t.test("each visit comes to its visitor once, and of each page in its order", async (s) => {
    s.diagnostic(`${await assertEachOnce(run)} visits`);
  });
  await t.test("the second stage has a total for each span, once, of all parts: no watermark went ahead of what it was about", () =>
    assertTotals(run),
  );
  for (const [job, partitions] of [
    [visitors, PARTITIONS.visitors],
    [spans, PARTITIONS.spans],
  ] as const) {
    await t.test(`the outputs of ${job.name} are what a fresh fold of the same log gives, byte for byte`, async (s) => {
      s.diagnostic(`${await assertEqualsFreshFold(run.nc, job, partitions)} outputs`);
    });
    await t.test(`the rows of ${job.name} in LMDB are those of a fresh fold in memory`, async (s) => {
      s.diagnostic(`${await assertStateEqualsFreshFold(run, job, partitions)} rows`);
    });
  }
  await t.test("a shard that has lost its state folds its log again to the same, and takes nothing twice", async () => {
    const before = await run.outputsOf("visitors");
    rmSync(join(run.dataDir, "shards", "visitors-0"), { recursive: true });
    await untilEnd(run.start(), run.end + SPAN_MS);
    assert.deepEqual(await run.outputsOf("visitors"), before);
    await assertStateEqualsFreshFold(run, visitors, PARTITIONS.visitors);
  });
});

async function assertEachOnce({ visits, outputsOf }: PumpRun): Promise<number> {
  const seen = (await outputsOf("visitors")).filter(({ type }) => type === "visit.seen");
  const actual = seen.map(({ subject, data }) => ({
    visitor: subject!,
    page: String(data.page).slice(1),
    ordinal: data.ordinal as number,
  }));
  assert.deepEqual(ordinals(actual), ordinals(visits));
  return actual.length;
}

/** In their order, by visitor and page. */
function ordinals(
  visits: readonly { readonly visitor: string; readonly page: string; readonly ordinal: number }[],
): Record<string, number[]> {
  const by: Record<string, number[]> = {};
  for (const { visitor, page, ordinal } of visits) {
    by[`${visitor} ${page}`] ??= [];
    by[`${visitor} ${page}`]!.push(ordinal);
  }
  return by;
}

async function assertTotals({ visits, outputsOf }: PumpRun): Promise<void> {
  const expected = new Map<number, number>();
  for (const { time } of visits) expected.set(Math.floor(time / SPAN_MS), (expected.get(Math.floor(time / SPAN_MS)) ?? 0) + 1);
  const totals = (await outputsOf("spans")).map(({ type, data }) => [type, data.span, data.visits] as const);
  assert.deepEqual(
    totals.sort((a, b) => Number(a[1]) - Number(b[1])),
    [...expected].sort((a, b) => a[0] - b[0]).map(([span, count]) => ["span.total", span, count]),
  );
}
