/** Joins agree with their definitions, under disorder, duplicates, lateness and crashes. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Type } from "typebox";
import { intervalJoin, type JoinType } from "../../actors/model/operators/joins/interval-join.ts";
import { tableJoin } from "../../actors/model/operators/joins/table-join.ts";
import { temporalJoin } from "../../actors/model/operators/joins/temporal-join.ts";
import { mulberry32 } from "../../actors/random.ts";
import { arrivals, moments } from "./arrivals.ts";
import { jobAround, type Told, toldBy } from "./fired.ts";
import { intervalPairs, type Pair, tablePairs, temporalPairs } from "./join-oracles.ts";
import { cutsOf, RUNS, SEED } from "./runs.ts";

const Side = Type.Object({ id: Type.String(), group: Type.String() });
const SAME_GROUP = { left: groupOf, right: groupOf };
const TYPES: readonly JoinType[] = ["inner", "left", "right", "outer"];

function rulesOf(seed: number) {
  const random = mulberry32(seed ^ 0x85ebca6b);
  const below = (n: number): number => Math.floor(random() * n);
  return {
    beforeMs: below(4) === 0 ? 0 : below(80),
    afterMs: below(4) === 0 ? 0 : below(80),
    keepMs: 20 + below(400),
    grouped: below(3) === 0,
    type: TYPES[below(4)]!,
    outOfOrdernessMs: below(60),
    allowedLatenessMs: below(3) === 0 ? 0 : below(200),
  };
}

suite("an interval join", () => {
  test(`agrees with its definition in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    let pairs = 0;
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const rules = rulesOf(seed);
      const all = arrivals({ seed, count: 60, stepMs: 10, ...rules });
      const joining = intervalJoin({
        left: Side,
        right: Side,
        before: rules.beforeMs,
        after: rules.afterMs,
        type: rules.type,
        ...(rules.grouped ? { on: SAME_GROUP } : {}),
      });
      const of = jobAround(
        joining,
        (handle, { id, group, side }) => (side === "left" ? handle.addLeft({ id, group }) : handle.addRight({ id, group })),
        rules,
      );
      const told = toldBy(of, all, cutsOf(seed)).map(pairOf);
      assert.deepEqual(
        told,
        intervalPairs(moments(all, rules.outOfOrdernessMs, rules.allowedLatenessMs), rules),
        `OPERATOR_SEED=${seed} ${JSON.stringify(rules)}`,
      );
      pairs += told.length;
    }
    assert(pairs > RUNS, "hardly anything was joined");
  });

  test("without bounds is refused with the reason", () => {
    assert.throws(() => intervalJoin({ left: Side, right: Side } as never), /without bounds in time would keep both streams for ever/);
    assert.throws(() => tableJoin({ left: Side, right: Side } as never), /without bounds in time/);
  });
});

suite("a temporal join", () => {
  test(`agrees with its definition in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const rules = rulesOf(seed);
      const type = rules.type === "inner" ? "inner" : "left";
      const all = arrivals({ seed, count: 60, stepMs: 10, ...rules });
      const joining = temporalJoin({ stream: Side, table: Side, type });
      const of = jobAround(
        joining,
        (handle, { id, group, side }) => (side === "left" ? handle.add({ id, group }) : handle.set({ id, group })),
        rules,
      );
      const told = toldBy(of, all, cutsOf(seed)).map(({ key, time, fired }) => ({
        key,
        time,
        id: idOf(fired.element)!,
        row: idOf(fired.row),
        behind: fired.behind,
      }));
      assert.deepEqual(told, temporalPairs(moments(all, rules.outOfOrdernessMs, rules.allowedLatenessMs), type), `OPERATOR_SEED=${seed}`);
    }
  });
});

suite("a table-table join", () => {
  test(`agrees with its definition in ${RUNS} cases (OPERATOR_SEED=${SEED})`, () => {
    for (let run = 0; run < RUNS; run++) {
      const seed = SEED + run;
      const rules = rulesOf(seed);
      const all = arrivals({ seed, count: 60, stepMs: 10, ...rules });
      const joining = tableJoin({ left: Side, right: Side, keep: rules.keepMs, type: rules.type });
      const of = jobAround(
        joining,
        (handle, { id, group, side }) => (side === "left" ? handle.addLeft({ id, group }) : handle.addRight({ id, group })),
        rules,
      );
      const told = toldBy(of, all, cutsOf(seed)).map(pairOf);
      assert.deepEqual(
        told,
        tablePairs(moments(all, rules.outOfOrdernessMs, rules.allowedLatenessMs), rules.keepMs, rules.type),
        `OPERATOR_SEED=${seed}`,
      );
    }
  });
});

function groupOf({ group }: { readonly group: string }): string {
  return group;
}

function pairOf({ key, time, fired }: Told): Pair {
  return { key, time, left: idOf(fired.left), right: idOf(fired.right) };
}

function idOf(element: unknown): string | undefined {
  return (element as { readonly id: string } | undefined)?.id;
}
