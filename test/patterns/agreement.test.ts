/**
 * The matcher and the oracle find the same, in the same order: over random patterns with every operator, and random events. PATTERN_CASES
 * and PATTERN_SEED make it longer, or the same again: npm run operators
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Declaration } from "../../actors/model/patterns/declaration.ts";
import { MatcherRun } from "./matcher-run.ts";
import { findings } from "./oracle.ts";
import { aCase, eventsOf, type PatternCase, patternOf } from "./random-pattern.ts";

const CASES = Number(process.env.PATTERN_CASES ?? 1_000);
const SEED = Number(process.env.PATTERN_SEED ?? Math.floor(Math.random() * 2 ** 31));

test(`random patterns over random events find what the oracle finds (PATTERN_SEED=${SEED})`, (t) => {
  const counts = { matches: 0, timedOut: 0, ruledOut: 0, refused: 0 };
  let atBound = 0;
  const property = fc.property(aCase, (drawn) => {
    const declaration = declarationOf(drawn);
    if (declaration === undefined) counts.refused++;
    fc.pre(declaration !== undefined);
    const events = eventsOf(drawn);
    const until = (events.at(-1)?.time ?? 0) + drawn.rest;
    const run = new MatcherRun(declaration);
    for (const [i, event] of events.entries()) {
      if (drawn.events[i]!.tick) run.time(event.time);
      run.event(event);
    }
    run.time(until);
    // The oracle has no bounds.
    if (run.dropped > 0) atBound++;
    fc.pre(run.dropped === 0);
    const expected = findings(declaration, events, until);
    assert.deepEqual(run.found, expected);
    counts.matches += expected.filter(({ timedOut }) => !timedOut).length;
    counts.timedOut += expected.filter(({ timedOut }) => timedOut).length;
    counts.ruledOut += findings({ ...declaration, skip: { to: "none" } }, events, until).length - expected.length;
  });
  fc.assert(property, { numRuns: CASES, seed: SEED, maxSkipsPerRun: 1_000 });
  assert(atBound <= CASES / 100, `${atBound} cases came to a bound`);
  t.diagnostic(JSON.stringify(counts));
  for (const [what, count] of Object.entries(counts)) assert(count > CASES / 50, `only ${count} ${what}: the cases say too little`);
});

/** `undefined` where the declaration refuses itself. */
function declarationOf(drawn: PatternCase): Declaration | undefined {
  try {
    return patternOf(drawn).declaration();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
