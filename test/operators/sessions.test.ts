/** Sessions, those that merge too, agree with their definition, under disorder, duplicates, lateness and crashes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { collect } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { mulberry32 } from "../../actors/random.ts";
import { arrivals, moments } from "./arrivals.ts";
import { type Data, jobAround, toldBy } from "./fired.ts";
import { cutsOf, RUNS, SEED } from "./runs.ts";
import { type SessionRules, toldSessions } from "./session-oracle.ts";

suite("session windows", () => {
  test(`agree with their definition in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    let told = 0;
    for (let run = 0; run < RUNS; run++) told += check(SEED + run);
    assert(told > RUNS, "hardly any session was told");
  });
});

function check(seed: number): number {
  const rules = randomRules(seed);
  const all = arrivals({ seed, count: 60, stepMs: 10, ...rules });
  const sessions = session(
    rules.gapMs,
    { count: count(), sum: sum((e: Data) => e.value), ids: collect((e: Data & { id: string }) => e.id) },
    { late: rules.closed ? "drop" : "update", ...(rules.grouped ? { by: (e: Data) => e.group } : {}) },
  );
  const of = jobAround(sessions, (handle, element) => handle.add(element), rules);
  const told = toldBy(of, all, cutsOf(seed)).map(({ key, time, fired }) => ({ key, time, ...fired }));
  const expected = toldSessions(moments(all, rules.outOfOrdernessMs, rules.allowedLatenessMs), rules).map(
    ({ key, by, revision, elements }) => ({
      key,
      time: elements.at(-1)!.time,
      start: elements[0]!.time,
      end: elements.at(-1)!.time,
      by,
      events: elements.length,
      count: elements.length,
      sum: Math.round(elements.reduce((total, { value }) => total + value * 10, 0)) / 10,
      ids: elements.map(({ id }) => id),
      revision,
      early: false,
    }),
  );
  assert.deepEqual(told, expected, `OPERATOR_SEED=${seed} ${JSON.stringify(rules)}`);
  return told.length;
}

function randomRules(seed: number): SessionRules & { readonly outOfOrdernessMs: number; readonly allowedLatenessMs: number } {
  const random = mulberry32(seed ^ 0x2545f491);
  const below = (n: number): number => Math.floor(random() * n);
  return {
    gapMs: 1 + below(60),
    grouped: random() < 0.3,
    closed: random() < 0.2,
    outOfOrdernessMs: below(40),
    allowedLatenessMs: random() < 0.3 ? 0 : below(300),
  };
}
