/**
 * A pattern as an operator finds what the oracle finds in the events sorted by hand: under disorder, duplicates, lateness, watermarks and
 * crashes. OPERATOR_RUNS and OPERATOR_SEED make it longer: `npm run operators`.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import type { Declaration } from "../../actors/model/patterns/declaration.ts";
import { pattern } from "../../actors/model/patterns/pattern-operator.ts";
import { mulberry32 } from "../../actors/random.ts";
import { arrivals, type Element, moments } from "../operators/arrivals.ts";
import { jobAround, toldBy } from "../operators/fired.ts";
import { cutsOf, RUNS, SEED } from "../operators/runs.ts";
import { MatcherRun } from "./matcher-run.ts";
import { type Finding, findings, type OracleEvent } from "./oracle.ts";
import { type AnyPattern, aCase, type Letter, patternOf } from "./random-pattern.ts";

/** The oracle tries every way. */
const ELEMENTS = 16;
const STEP_MS = 10;

const LetterSchema = Type.Object({ kind: Type.String(), n: Type.Integer(), id: Type.String() });
test(`patterns find what the oracle finds in ${RUNS} cases (OPERATOR_SEED=${SEED})`, (t) => {
  let told = 0;
  let behind = 0;
  for (let run = 0; run < RUNS; run++) {
    const counts = check(SEED + run);
    told += counts.told;
    behind += counts.behind;
  }
  t.diagnostic(`${told} found, ${behind} events behind`);
  assert(told > RUNS / 2, "hardly anything was found");
  assert(behind > RUNS / 2, "hardly any event came too late");
});

function check(seed: number): { readonly told: number; readonly behind: number } {
  const steps = randomPattern(seed);
  const declaration = steps.declaration();
  const random = mulberry32(seed);
  const outOfOrdernessMs = Math.floor(random() * 40);
  const allowedLatenessMs = Math.floor(random() * 100);
  const all = arrivals({ seed, count: ELEMENTS, stepMs: STEP_MS, outOfOrdernessMs, allowedLatenessMs });
  const seen = moments(all, outOfOrdernessMs, allowedLatenessMs);
  const until = Math.max(...seen.map(({ watermark }) => watermark));
  const applied = seen.flatMap((moment) => (moment.kind === "element" ? [moment] : []));
  const onTime = applied.filter(({ element, watermark }) => element.time >= watermark).map(({ element }) => element);
  const byKey = [...Map.groupBy(onTime, ({ key }) => key)].map(([key, elements]) => [key, inOrder(elements)] as const);
  if (byKey.some(([, elements]) => comesToBound(declaration, elements))) return { told: 0, behind: 0 };

  const cell = pattern(LetterSchema, steps, { timeouts: true });
  const of = jobAround(cell, (handle, element) => handle.add(letterOf(element)), { outOfOrdernessMs, allowedLatenessMs });
  const told = toldBy(of, all, cutsOf(seed));
  for (const [key, elements] of byKey) {
    const expected = findings(declaration, eventsOf(elements), until).map((finding) => firedOf(declaration, elements, finding));
    const found = told.filter((each) => each.key === key).map(({ time, fired }) => ({ time, fired }));
    assert.deepEqual(found, expected, `OPERATOR_SEED=${seed}`);
  }
  const keys = byKey.map(([key]) => key);
  assert.deepEqual(
    told.filter(({ key }) => !keys.includes(key)),
    [],
  );
  return { told: told.length, behind: applied.length - onTime.length };
}

/** Of one time, in the order of the log. */
function inOrder(elements: readonly Element[]): readonly Element[] {
  return elements.toSorted((a, b) => a.time - b.time);
}

function eventsOf(elements: readonly Element[]): OracleEvent[] {
  return elements.map((element) => ({ time: element.time, value: letterOf(element) }));
}

/** The oracle has no bounds. */
function comesToBound(declaration: Declaration, elements: readonly Element[]): boolean {
  const run = new MatcherRun(declaration, { thorough: false });
  for (const event of eventsOf(elements)) run.event(event);
  return run.dropped > 0;
}

function firedOf({ withinMs }: Declaration, elements: readonly Element[], { at, events, timedOut }: Finding): object {
  const places = Object.values(events).flat();
  const start = elements[places[0]!]!.time;
  const end = elements[places.at(-1)!]!.time;
  const byStep = Object.entries(events).map(([name, taken]) => [name, taken.map((place) => letterOf(elements[place]!))]);
  const isDeadline = withinMs !== undefined && at === start + withinMs;
  return { time: isDeadline ? at - 1 : at, fired: { ...Object.fromEntries(byStep), start, end, timedOut } };
}

function letterOf({ id, group, value }: Pick<Element, "id" | "group" | "value">): Letter {
  const kind = { x: "a", y: "b", z: "c" }[group]!;
  return { kind, n: Math.abs(Math.round(value * 10)) % 3, id };
}

/** The first of the seed that is no wrong declaration, with its time stretched to that of the arrivals. */
function randomPattern(seed: number): AnyPattern {
  for (const drawn of fc.sample(aCase, { seed, numRuns: 20 })) {
    try {
      const pattern = patternOf({ ...drawn, within: drawn.within === undefined ? undefined : drawn.within * STEP_MS });
      pattern.declaration();
      return pattern;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
  throw new Error(`OPERATOR_SEED=${seed}: no pattern of twenty can be declared`);
}
