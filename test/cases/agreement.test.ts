/**
 * The job and the oracle, which was written from the README's rules and not from the job, agree on every output: over the sample, and
 * over generated cases with everything that goes wrong, in whatever order they come within the out-of-orderness, with duplicates,
 * batches of commits and crashes in between. CASES_EVENTS, CASES_RUNS and CASES_SEED make it longer: `npm run cases`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { type CaseLine, caseEvents } from "../../actors/cases/generate.ts";
import { DAY_MS, MINUTE_MS } from "../../actors/model/time.ts";
import { mulberry32 } from "../../actors/random.ts";
import { type FoldedCases, findingsOf, foldCases, type Line } from "./folded.ts";

const EVENTS = Number(process.env.CASES_EVENTS ?? 2_500);
const RUNS = Number(process.env.CASES_RUNS ?? 2);
const SEED = Number(process.env.CASES_SEED ?? Math.floor(Math.random() * 1e9));
const START = Date.UTC(2026, 0, 5);
const PARTITIONS = 2;
/** No event comes so much behind its time that another one's watermark has passed it. */
const WITHIN_MS = 5 * MINUTE_MS;

function generated(seed: number, more: object = {}): CaseLine[] {
  return [...caseEvents({ seed, cases: Math.ceil(EVENTS / 25), events: EVENTS, start: START, everyMs: 4 * 3_600_000, ...more })];
}

function assertAgrees(folded: FoldedCases): void {
  assert.deepEqual(
    folded.outputs.filter(({ type }) => type === "tidemark.dead-letter").map(({ data }) => data),
    [],
  );
  assert.deepEqual(findingsOf(folded).slice(0, 5), []);
}

test("the sample", () => {
  const lines = readFileSync(new URL("../../actors/cases/sample.ndjson", import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  const folded = foldCases(lines.map(lineOf), PARTITIONS, DAY_MS);
  assertAgrees(folded);
  const types = new Set(folded.outputs.map(({ type }) => type));
  for (const type of ["sla-breached", "sla-near-breach", "escalation-candidate", "correction-required", "correction-impact"])
    assert(types.has(`case.${type}`), type);
});

suite("generated cases", () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = SEED + run;
    test(`with everything that goes wrong (CASES_SEED=${seed})`, (t) => {
      const folded = foldCases(generated(seed), PARTITIONS, DAY_MS);
      assertAgrees(folded);
      t.diagnostic(`${folded.outputs.length} outputs`);
    });

    test(`some of which come days behind the others (CASES_SEED=${seed})`, () => {
      assertAgrees(foldCases(delayed(generated(seed), seed), PARTITIONS, DAY_MS));
    });

    test(`in another order within the out-of-orderness, with duplicates, give the same facts (CASES_SEED=${seed})`, () => {
      const lines = generated(seed, { disorder: false, unsequenced: 0, outOfOrdernessMs: MINUTE_MS });
      const plain = foldCases(lines, PARTITIONS, 60 * DAY_MS);
      const shuffled = foldCases(reordered(lines, seed), PARTITIONS, 60 * DAY_MS);
      assertAgrees(shuffled);
      assert.deepEqual(factsOf(shuffled), factsOf(plain));
    });
  }

  test(`give the same bytes and state wherever commits and crashes fall (CASES_SEED=${SEED})`, () => {
    const lines = generated(SEED, { cases: 40, events: 800 });
    const whole = foldCases(lines, PARTITIONS, DAY_MS);
    for (const commitEveryUnits of [1, 7]) {
      const cut = foldCases(lines, PARTITIONS, DAY_MS, { commitEveryUnits, crash: true, liveRowsMax: 8 });
      assert.deepEqual(cut.outputs, whole.outputs);
      assert.deepEqual(cut.stateHashes, whole.stateHashes);
    }
  });
});

test("the oracle finds a job that forgets what it knows", () => {
  const folded = foldCases(generated(1, { cases: 30, events: 600 }), PARTITIONS, DAY_MS);
  const breaches = folded.outputs.filter(({ type }) => type === "case.sla-breached");
  assert(breaches.length > 0);
  const without = folded.outputs.filter((output) => output !== breaches[0]);
  assert.notDeepEqual(findingsOf({ ...folded, outputs: without }), []);
});

/** Each line up to five minutes late, and every tenth one twice. */
function reordered(lines: readonly Line[], seed: number): Line[] {
  const random = mulberry32(seed);
  const arrivals = lines.flatMap((line) => {
    const once = { line, at: line.time + random() * WITHIN_MS };
    return random() < 0.1 ? [once, { line, at: line.time + random() * WITHIN_MS }] : [once];
  });
  return arrivals.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

/** Each case's lines in their order, each up to three days late: most of a log that was filled by a crowd of sources. */
function delayed(lines: readonly Line[], seed: number): Line[] {
  const random = mulberry32(seed);
  const arrived = new Map<string, number>();
  const arrivals = lines.map((line) => {
    const at = Math.max((arrived.get(line.key) ?? 0) + 1, line.time + random() * 3 * DAY_MS);
    arrived.set(line.key, at);
    return { line, at };
  });
  return arrivals.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

/** Facts by case, without what hangs on when the log revealed them. */
function factsOf({ outputs }: FoldedCases): string[] {
  const facts = outputs.map(({ type, subject, data }) => {
    const { processingDetectedAt: _at, position: _position, affectedOutputIds: _ids, ...fact } = data;
    return `${subject} ${type} ${JSON.stringify(fact)}`;
  });
  return facts.filter((fact) => !fact.includes(" case.current-state ")).sort();
}

function lineOf(text: string): Line {
  try {
    const { subject, time } = JSON.parse(text) as { subject?: unknown; time?: unknown };
    return { key: typeof subject === "string" ? subject : "sample", text, time: typeof time === "string" ? Date.parse(time) || 0 : 0 };
  } catch {
    return { key: "sample", text, time: 0 };
  }
}
