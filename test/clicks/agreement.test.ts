/**
 * The job and the oracle, which was written from the README's rules and not from the job, agree on every output and its
 * place: over the sample, over generated evenings with everything that goes wrong, and over a few users whose events fall
 * on every edge of gap and lateness; wherever commits and crashes fall. CLICKS_RUNS and CLICKS_SEED make it longer.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { suite, test } from "node:test";
import { clickEvents } from "../../actors/clicks/generate.ts";
import { Dice } from "../../actors/random.ts";
import { assertAgrees, type FoldedClicks, foldClicks, type Line, lineOf } from "./folded.ts";
import type { PairsVersion } from "./oracle.ts";

const RUNS = Number(process.env.CLICKS_RUNS ?? 4);
const SEED = Number(process.env.CLICKS_SEED ?? Math.floor(Math.random() * 1e9));
const START = Date.UTC(2026, 2, 2, 18);
const SECOND = 1_000;
const MINUTE = 60_000;

const evenings = (seed: number, more: object = {}) => [...clickEvents({ seed, users: 40, evenings: 3, start: START, ...more })];

test("the sample", () => {
  const lines = readFileSync(new URL("../../actors/clicks/sample.ndjson", import.meta.url), "utf8")
    .trimEnd()
    .split("\n");
  const folded = foldClicks(lines.map(lineOf), { partitions: 4 });
  assertAgrees(folded);
  const told = typesOf(folded);
  for (const type of ["session.closed", "alert.cart-abandoned", "alert.cross-sell", "affinity.updated"])
    assert.ok(told.get(type)! >= 50, `${type}: ${told.get(type)}`);
  for (const type of ["tidemark.late", "tidemark.quarantine", "tidemark.duplicate-conflict"])
    assert.ok(told.get(type)! >= 5, `${type}: ${told.get(type)}`);
  const closed = outputsOf(folded, "session.closed");
  assert.ok(closed.filter(({ data }) => data.revision === 1).length >= 20);
});

suite("generated evenings", () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    test(`with everything that goes wrong (CLICKS_SEED=${seed})`, () => assertAgrees(foldClicks(evenings(seed), { partitions: 2 })));

    test(`in another order within the out-of-orderness, with duplicates, give the same sessions and alerts (CLICKS_SEED=${seed})`, () => {
      const plain = evenings(seed, { disorder: false, jitterMs: 1 });
      const shuffled = foldClicks(reordered(plain, seed));
      assertAgrees(shuffled);
      for (const type of ["session.closed", "alert.cart-abandoned"])
        assert.deepEqual(factsOf(shuffled, type), factsOf(foldClicks(plain), type));
    });
  }
});

suite("a few users on every edge", () => {
  for (let seed = SEED; seed < SEED + 5 * RUNS; seed++)
    test(`of the gap and of lateness (CLICKS_SEED=${seed})`, () => assertAgrees(foldClicks(edges(seed), { reference: pairsOf(seed) })));

  test(`give the same bytes and state wherever commits and crashes fall (CLICKS_SEED=${SEED})`, () => {
    for (const lines of [edges(SEED), evenings(SEED, { users: 12, evenings: 2 })]) {
      const whole = foldClicks(lines);
      for (const commitEveryUnits of [1, 3, 7]) {
        const cut = foldClicks(lines, { interruptions: { commitEveryUnits, crash: true, liveRowsMax: 2 } });
        assert.deepEqual(cut.outputs, whole.outputs);
        assert.deepEqual(cut.stateHashes, whole.stateHashes);
      }
    }
  });
});

test("the oracle finds an output that is missing, one too many, and one that says something else", () => {
  const folded = foldClicks(evenings(1, { users: 10 }));
  const own = folded.outputs[0]!;
  for (const [i, output] of own.entries()) {
    if (i % 7 !== 0) continue;
    const other = { ...output, data: { ...output.data, durationMs: -1 } };
    for (const outputs of [own.toSpliced(i, 1), own.toSpliced(i, 0, output), own.with(i, other)]) {
      if (outputs.length === own.length && output.type.startsWith("tidemark.")) continue;
      assert.throws(() => assertAgrees({ ...folded, outputs: [outputs] }), assert.AssertionError);
    }
  }
});

/** Users whose events are a gap apart, or a millisecond more or less, and come in time, behind, late, twice or before a watermark. */
function edges(seed: number): Line[] {
  const dice = new Dice(seed);
  const lines: Line[] = [];
  const steps = [0, 1, SECOND, MINUTE, 29 * MINUTE, 30 * MINUTE - 1, 30 * MINUTE, 30 * MINUTE + 1, 31 * MINUTE, 70 * MINUTE];
  const backs = [30 * SECOND - 1, 30 * SECOND, 31 * SECOND, 5 * MINUTE, 330 * SECOND - 1, 330 * SECOND, 330 * SECOND + 1];
  const types = ["page_view", "product_view", "product_view", "add_to_cart", "purchase"];
  let now = START;
  for (let i = 0; i < 250; i++) {
    // Many small steps, so that what is behind joins what is there.
    now += dice.chance(0.4) ? dice.pick(steps) : dice.between(0, 3 * MINUTE);
    if (dice.chance(0.01)) now += dice.between(1, 40) * 24 * 60 * MINUTE;
    const back = dice.chance(0.5) ? 0 : dice.chance(0.3) ? dice.pick(backs) : dice.between(0, 6 * MINUTE);
    const key = dice.pick(["ann", "ben", "cid"]);
    const time = now - back;
    const data = {
      userId: key,
      ...(dice.chance(0.7) ? { productId: `p${dice.between(0, 6)}` } : {}),
      ...(dice.chance(0.6) ? { category: dice.pick(["a", "b", "c", "d", "electronics", "accessories", ""]) } : {}),
    };
    const event = { specversion: "1.0", id: `e${i}`, source: "/test", type: dice.pick(types), subject: key, time: iso(time), data };
    lines.push({ key, text: JSON.stringify(event), time });
    if (dice.chance(0.05)) lines.push(lines[dice.between(0, lines.length)]!);
    if (dice.chance(0.03)) lines.push({ watermark: now + dice.between(-10, 35) * MINUTE });
  }
  return lines;
}

function pairsOf(seed: number): PairsVersion[] {
  if (seed % 3 === 0) return [];
  const first = {
    version: 1,
    effectiveFrom: 0,
    pairs: [
      ["a", "b"],
      ["c", "a"],
    ],
  } as const;
  return seed % 3 === 1
    ? [first]
    : [
        first,
        {
          version: 2,
          effectiveFrom: START + 5 * 60 * MINUTE,
          pairs: [
            ["b", "a"],
            ["d", "c"],
          ],
        },
      ];
}

/** Each line up to half a minute late, and every tenth one twice. */
function reordered(lines: readonly { readonly key: string; readonly text: string; readonly time: number }[], seed: number): Line[] {
  const dice = new Dice(seed);
  const arrivals = lines.flatMap((line) => {
    const once = { line, at: line.time + dice.between(0, 30 * SECOND) };
    return dice.chance(0.1) ? [once, { line, at: line.time + dice.between(0, 30 * SECOND) }] : [once];
  });
  return arrivals.sort((a, b) => a.at - b.at).map(({ line }) => line);
}

function outputsOf({ outputs }: FoldedClicks, type: string) {
  return outputs.flat().filter((output) => output.type === type);
}

function typesOf({ outputs }: FoldedClicks): Map<string, number> {
  return new Map([...Map.groupBy(outputs.flat(), ({ type }) => type)].map(([type, own]) => [type, own.length]));
}

function factsOf(folded: FoldedClicks, type: string): string[] {
  return outputsOf(folded, type)
    .map(({ subject, time, data }) => JSON.stringify([subject, time, data]))
    .sort();
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
