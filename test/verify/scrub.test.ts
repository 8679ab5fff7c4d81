import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HASHED_TABLES, pumpedRow, TABLE, TOUCHED_ROW } from "../../actors/fold/keys.ts";
import { NO_SLOT } from "../../actors/fold/pump-state.ts";
import meter from "../../actors/meter/meter.ts";
import { systemClock } from "../../runtime/clock.ts";
import { indexPiece } from "../../runtime/node/touch-page.ts";
import { foldHistory } from "../../runtime/replay/fold-history.ts";
import type { Row } from "../../runtime/store/shard-store.ts";
import { type Scrubbed, scrubStore } from "../../runtime/verify/scrub.ts";
import { TestLog } from "../support/entries.ts";
import { everythingJob } from "../support/everything-app.ts";
import { anEverythingHistory } from "../support/everything-history.ts";
import { allRows, flipped, keyNamedBy, readerOf, storeOfRows } from "../support/flipped-rows.ts";
import { fedJob, PumpLog } from "../support/pump-log.ts";

const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);
const job = everythingJob(1);
const UNHASHED = { m: "meta", h: "sums", n: "hash" } as const;

const scrub = (rows: readonly Row[]): Promise<Scrubbed> =>
  scrubStore(readerOf(storeOfRows(rows)), { share: 1, clock: { ...systemClock, sleep: async () => {} }, progress: () => {} });

test("rows as they were committed hold, whatever the history", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, async (log) => {
      const { store } = foldHistory(log.history(job), { commitEveryUnits: 3 });
      assert.deepEqual((await scrub(allRows(store))).findings, []);
    }),
    { numRuns },
  );
});

test("a bit that changed in any row, its key or its value, is found, and the actor named where the row has one", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, fc.nat(), fc.nat(), async (log, pick, bit) => {
      const rows = allRows(foldHistory(log.history(job)).store);
      const at = pick % rows.length;
      const damaged = rows[at]!;
      const changed = flipped(damaged, bit);
      // Another row of that key would be no changed bit but two rows in one.
      fc.pre(rows.every(({ key }, i) => i === at || key !== changed.key));
      const { findings, count } = await scrub(rows.with(at, changed));
      const told = `${JSON.stringify(damaged.key)} bit ${bit}: ${JSON.stringify(findings)}`;
      const letter = damaged.key[0]!;
      if (!HASHED_TABLES.some((table) => table === letter) && !(letter in UNHASHED)) return;
      assert.ok(count > 0, told);
      const key = keyNamedBy(damaged);
      if (key !== undefined)
        assert.ok(
          findings.some((finding) => finding.key === key),
          told,
        );
    }),
    // Shrinking refolds and rereads for minutes, and what is found says by itself which bit it was.
    { numRuns: numRuns * 4, endOnFailure: true },
  );
});

test("a row that became one behind the single row of a table is found out, and named", async () => {
  const log = new TestLog("all");
  log.event({ id: "e1", key: "a", type: "run", time: log.logTime, data: { acts: [], later: [], fail: "first" } }, 1);
  const rows = allRows(foldHistory(log.history(job)).store);
  const at = rows.findIndex(({ key }) => key[0] === TABLE.failure);
  const moved = { ...rows[at]!, key: `${TABLE.hash}${rows[at]!.key.slice(1)}` };
  const { findings } = await scrub([...rows.toSpliced(at, 1), moved].sort((a, b) => (a.key < b.key ? -1 : 1)));
  assert.ok(
    findings.some(({ key }) => key === "a"),
    JSON.stringify(findings),
  );
});

test("a row that is gone is found", async () => {
  await fc.assert(
    fc.asyncProperty(anEverythingHistory, fc.nat(), async (log, pick) => {
      const rows = allRows(foldHistory(log.history(job)).store).filter(({ key }) => HASHED_TABLES.some((table) => table === key[0]));
      const { count } = await scrub(rows.toSpliced(pick % rows.length, 1));
      assert.ok(count > 0);
    }),
    { numRuns },
  );
});

test("a row of the index of touches that cannot be decoded is found, and a timeline is told of it by a code", async () => {
  const log = new TestLog("meter");
  for (let i = 0; i < 10; i++) log.batch([{ id: `e${i}`, key: "d1" }], 1);
  const rows = allRows(foldHistory(log.history(meter)).store);
  const row = rows.find(({ key }) => key.startsWith(TABLE.touches) && key.includes("d1"))!;
  assert.deepEqual(indexPiece(storeOfRows(rows), "d1", 1, 100).sequences, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  for (let bit = 0; bit < row.value.length * 8; bit++) {
    const damaged = rows.with(rows.indexOf(row), flipped(row, row.key.length * 8 + bit));
    const { count, findings } = await scrub(damaged);
    assert.deepEqual([count, findings[0]?.table, findings[0]?.key], [1, "touches", "d1"], `bit ${bit}: ${JSON.stringify(findings)}`);
    assert.throws(() => indexPiece(storeOfRows(damaged), "d1", 1, 100), { code: "STATE_DAMAGED" });
  }
  const covered = rows.find(({ key }) => key === TOUCHED_ROW)!;
  const { findings } = await scrub(rows.with(rows.indexOf(covered), flipped(covered, covered.key.length * 8)));
  assert.deepEqual([findings[0]?.table, findings.length], ["touches", 1], JSON.stringify(findings));
});

test("what pumps have brought holds too, also of events that have no key, which belong to no slot", async () => {
  const log = new PumpLog().pumped([{ at: "0:1.0", error: "Error: no user" }]).pumped([{ at: "0:2.0", key: "a", steps: [{ say: "a" }] }]);
  const rows = allRows(foldHistory(log.history(fedJob())).store);
  assert.deepEqual((await scrub(rows)).findings, []);
  const keyless = rows.findIndex(({ key }) => key.startsWith(pumpedRow(NO_SLOT, "", 0).slice(0, 3)));
  const { findings } = await scrub(rows.with(keyless, flipped(rows[keyless]!, rows[keyless]!.key.length * 8 + 3)));
  assert.deepEqual([findings[0]?.table, findings[0]?.slot], ["pumped", NO_SLOT], JSON.stringify(findings));
});
