/** Windows agree with their definition, under disorder, duplicates, lateness and crashes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { collect } from "../../actors/model/operators/windows/aggregates/elements.ts";
import { count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { sliding } from "../../actors/model/operators/windows/time-window.ts";
import { mulberry32 } from "../../actors/random.ts";
import { arrivals, moments } from "./arrivals.ts";
import { type Data, jobAround, toldBy } from "./fired.ts";
import { cutsOf, RUNS, SEED } from "./runs.ts";
import { toldWindows, type WindowRules } from "./window-oracle.ts";

interface Case extends WindowRules {
  readonly outOfOrdernessMs: number;
  readonly allowedLatenessMs: number;
  readonly late: "update" | "drop";
}

suite("tumbling and sliding windows", () => {
  test(`agree with their definition in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    let told = 0;
    for (let run = 0; run < RUNS; run++) told += check(SEED + run);
    assert(told > RUNS, "hardly any window was told");
  });
});

function check(seed: number): number {
  const rules = randomRules(seed);
  const all = arrivals({ seed, count: 60, stepMs: 10, ...rules });
  const window = sliding(
    rules.sizeMs,
    rules.slideMs,
    { count: count(), sum: sum((e: Data) => e.value), ids: collect((e: Data & { id: string }) => e.id) },
    {
      offset: rules.offsetMs,
      late: rules.late,
      ...(rules.grouped ? { by: (e: Data) => e.group } : {}),
      ...(rules.closedAfterMs === Number.POSITIVE_INFINITY || rules.late === "drop" ? {} : { allowedLateness: rules.closedAfterMs }),
    },
  );
  const of = jobAround(window, (handle, element) => handle.add(element), rules);
  const told = toldBy(of, all, cutsOf(seed)).map(({ key, time, fired }) => ({ key, time, ...fired }));
  const expected = toldWindows(moments(all, rules.outOfOrdernessMs, rules.allowedLatenessMs), rules).map(
    ({ key, start, end, by, revision, elements }) => ({
      key,
      time: end - 1,
      start,
      end,
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

function randomRules(seed: number): Case {
  const random = mulberry32(seed ^ 0x5bd1e995);
  const below = (n: number): number => Math.floor(random() * n);
  const slideMs = 1 + below(60);
  const sizeMs = random() < 0.4 ? slideMs : random() < 0.7 ? slideMs * (1 + below(6)) : slideMs + below(200);
  const late = random() < 0.8 ? "update" : "drop";
  return {
    sizeMs,
    slideMs,
    offsetMs: random() < 0.3 ? below(slideMs) : 0,
    grouped: random() < 0.3,
    outOfOrdernessMs: below(40),
    allowedLatenessMs: random() < 0.3 ? 0 : below(300),
    late,
    closedAfterMs: late === "drop" ? 0 : random() < 0.7 ? Number.POSITIVE_INFINITY : below(100),
  };
}
