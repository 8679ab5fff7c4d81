/**
 * The job and the oracle, which was written from the README's rules and not from the job, agree on every output: over the sample,
 * and over generated transactions with everything that goes wrong, in whatever order they come within the lateness that is
 * allowed, with duplicates, batches of commits and crashes in between. No model answers here: scores are those that could
 * not be asked for (scoring.test.ts has the others). TRANSACTIONS_EVENTS, TRANSACTIONS_RUNS and
 * TRANSACTIONS_SEED make it longer.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from "../../actors/model/time.ts";
import { mulberry32 } from "../../actors/random.ts";
import { transactionEvents } from "../../actors/transactions/generate.ts";
import { edgeLines } from "./edges.ts";
import { type FoldedTransactions, findingsOf, foldTransactions, type Line, sampleLines, TABLES } from "./folded.ts";
import { expectedOf, findings } from "./oracle.ts";

const README = readFileSync(new URL("../../actors/transactions/README.md", import.meta.url), "utf8");
const EVENTS = Number(process.env.TRANSACTIONS_EVENTS ?? 900);
const RUNS = Number(process.env.TRANSACTIONS_RUNS ?? 2);
const EDGE_RUNS = 20 * RUNS;
const SEED = Number(process.env.TRANSACTIONS_SEED ?? Math.floor(Math.random() * 1e9));
const START = Date.UTC(2026, 1, 3, 22);
const PARTITIONS = 2;
/** Of `npm start`. */
const SHIPPED_PARTITIONS = 4;
const BEYOND_MS = 30 * DAY_MS;

function generated(seed: number, more: object = {}): Line[] {
  return [...transactionEvents({ seed, customers: 12, events: EVENTS, start: START, everyMs: 20 * MINUTE_MS, ...more })];
}

function assertAgrees(folded: FoldedTransactions): void {
  const letters = folded.outputs.filter(({ type }) => type === "tidemark.dead-letter");
  assert.deepEqual(
    letters.map(({ data }) => data),
    [],
  );
  assert.deepEqual(findingsOf(folded).slice(0, 5), []);
}

test("the sample, whose outputs are as many as the README says", () => {
  const folded = foldTransactions(sampleLines(), SHIPPED_PARTITIONS, BEYOND_MS);
  assertAgrees(folded);
  const counts = Map.groupBy(folded.outputs, ({ type }) => type);
  const rows = [...README.matchAll(/^\| `([a-z]+\.[a-z0-9-]+)` \| (\d+) \|$/gm)].map(([, type, count]) => [type, Number(count)]);
  // With a model each transaction that was applied gives two more: what it answers, and that it did.
  const applied = counts.get("transaction.enriched")!.length;
  const answers = ["transaction.scored", "tidemark.inference"].map((type) => [type, applied]);
  assert.deepEqual(rows.toSorted(), [...[...counts].map(([type, outputs]) => [type, outputs.length]), ...answers].sort());
  for (const { referenceversions } of counts.get("transaction.enriched")!)
    assert.match(referenceversions ?? "", /^customer:[^ ]+ merchant:[^ ]+$/);
});

suite("generated transactions", () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    test(`with everything that goes wrong (TRANSACTIONS_SEED=${seed})`, (t) => {
      const folded = foldTransactions(generated(seed), PARTITIONS, BEYOND_MS);
      assertAgrees(folded);
      t.diagnostic(`${folded.outputs.length} outputs`);
    });

    test(`of few customers who are always about, each line up to the allowed lateness behind (TRANSACTIONS_SEED=${seed})`, () => {
      const busy = { customers: 3, everyMs: 4 * MINUTE_MS, start: Date.UTC(2026, 1, 3, 23, 30), disorder: { behind: 0 } };
      const folded = foldTransactions(delayed(generated(seed, busy), seed, 310 * SECOND_MS), PARTITIONS, BEYOND_MS);
      assertAgrees(folded);
      const revised = folded.outputs.filter(({ data }) => data.revision !== undefined);
      assert(revised.length > 50, `${revised.length} revisions`);
    });

    test(`of which some come hours behind the others (TRANSACTIONS_SEED=${seed})`, () => {
      assertAgrees(foldTransactions(delayed(generated(seed), seed, 2 * HOUR_MS), PARTITIONS, BEYOND_MS));
    });

    test(`in another order within the out-of-orderness, with duplicates, give the same facts (TRANSACTIONS_SEED=${seed})`, () => {
      const lines = apart(generated(seed, { disorder: false, jitterMs: 1 }));
      const plain = foldTransactions(lines, PARTITIONS, BEYOND_MS);
      const shuffled = foldTransactions(delayed([...lines, ...lines], seed, 10 * SECOND_MS), PARTITIONS, BEYOND_MS);
      assertAgrees(shuffled);
      assert.deepEqual(factsOf(shuffled), factsOf(plain));
    });
  }

  test(`give the same bytes and state wherever commits and crashes fall (TRANSACTIONS_SEED=${SEED})`, () => {
    const lines = delayed(generated(SEED, { customers: 4, events: 300, everyMs: 6 * MINUTE_MS }), SEED, 310 * SECOND_MS);
    const whole = foldTransactions(lines, PARTITIONS, BEYOND_MS);
    for (const commitEveryUnits of [1, 7]) {
      const cut = foldTransactions(lines, PARTITIONS, BEYOND_MS, { commitEveryUnits, crash: true, liveRowsMax: 8 });
      assert.deepEqual(cut.outputs, whole.outputs);
      assert.deepEqual(
        cut.partitions.map(({ stateHash }) => stateHash),
        whole.partitions.map(({ stateHash }) => stateHash),
      );
    }
  });
});

test(`a flood of one customer, more than may wait for a score (TRANSACTIONS_SEED=${SEED})`, () => {
  const folded = foldTransactions(generated(SEED, { customers: 1, events: 1_100, disorder: false }), 1, BEYOND_MS);
  assertAgrees(folded);
  assert(folded.outputs.some(({ type }) => type === "transaction.scored"));
});

test(`transactions on every edge, in ${EDGE_RUNS} logs (TRANSACTIONS_SEED=${SEED})`, () => {
  const types = new Map<string, number>();
  for (let seed = SEED; seed < SEED + EDGE_RUNS; seed++) {
    const lines = edgeLines(seed, 70);
    const folded = foldTransactions(lines, 1, BEYOND_MS);
    assert.deepEqual(findingsOf(folded).slice(0, 5), [], `TRANSACTIONS_SEED=${seed}`);
    for (const { type } of folded.outputs) types.set(type, (types.get(type) ?? 0) + 1);
    if (seed % 10 !== 0) continue;
    const cut = foldTransactions(lines, 1, BEYOND_MS, { commitEveryUnits: 1, crash: true, liveRowsMax: 1 });
    assert.deepEqual(cut.outputs, folded.outputs, `TRANSACTIONS_SEED=${seed}`);
  }
  for (const alert of ["alert.location-jump", "alert.category-switch"]) assert((types.get(alert) ?? 0) > EDGE_RUNS, alert);
});

test("the oracle finds every output that is missing, comes twice or says something else", () => {
  const folded = foldTransactions(generated(1, { events: 300 }), 1, BEYOND_MS);
  const [partition] = folded.partitions;
  const outputs = partition!.outputs;
  const expected = expectedOf(partition!.rows, TABLES);
  const found = (changed: typeof outputs): number => findings(expected, changed).length;
  for (const type of new Set(outputs.map((output) => output.type))) {
    const at = outputs.findIndex((output) => output.type === type);
    const one = outputs[at]!;
    assert.equal(found(outputs.toSpliced(at, 1)), 1, type);
    assert.equal(found([...outputs, one]), 1, type);
    if (type.startsWith("tidemark.")) continue;
    for (const field of Object.keys(one.data)) {
      const { [field]: _left, ...rest } = one.data;
      assert.equal(found(outputs.toSpliced(at, 1, { ...one, data: rest })), 2, `${type} ${field}`);
    }
    assert.equal(found(outputs.toSpliced(at, 1, { ...one, time: "2026-01-01T00:00:00.000Z" })), 2, type);
  }
});

/** Each line up to so much late. */
function delayed(lines: readonly Line[], seed: number, mostMs: number): Line[] {
  const random = mulberry32(seed);
  const arrivals = lines.map((line) => ({ line, at: line.time + random() * mostMs }));
  return arrivals.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

/** Without those of one customer and time: their order is that of the log. */
function apart(lines: readonly Line[]): Line[] {
  return [...new Map(lines.map((line) => [`${line.key} ${line.time}`, line])).values()];
}

/** What does not hang on the order of the log: all but values as they stood when a transaction came. */
function factsOf({ outputs }: FoldedTransactions): string[] {
  return outputs
    .filter(({ type }) => !["features.credit-utilisation", "alert.category-switch"].includes(type))
    .map(({ type, subject, data }) => `${subject} ${type} ${JSON.stringify(data)}`)
    .sort();
}
