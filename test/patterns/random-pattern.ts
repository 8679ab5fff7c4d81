/** Patterns and events at random: as plain data, so that a counterexample can be read, and built through the declaration that users write. */
import fc from "fast-check";
import { begin, type Pattern } from "../../actors/model/patterns/pattern.ts";
import type { OracleEvent } from "./oracle.ts";

export interface Letter {
  readonly id: string;
  readonly kind: string;
  readonly n: number;
}

type Where = (letter: Letter, soFar: Readonly<Record<string, readonly Letter[]>>) => boolean;
export type AnyPattern = Pattern<Letter, string>;

const aCondition = fc.record({
  kinds: fc.subarray(["a", "b", "c"], { minLength: 1 }),
  /** What it asks of earlier events. */
  earlier: fc.oneof({ weight: 4, arbitrary: fc.constant("nothing") }, fc.constantFrom("rising", "as-first", "small-sum")),
});

const aStep = fc.record({
  condition: aCondition,
  contiguity: fc.constantFrom("next", "followedBy", "followedBy", "followedByAny"),
  times: fc.constantFrom<(readonly [number, number])[]>([1, 1], [1, 1], [2, 2], [1, 2], [2, 3], [1, Infinity], [2, Infinity]),
  inner: fc.constantFrom("relaxed", "relaxed", "consecutive", "allowCombinations"),
  optional: fc.constantFrom(false, false, true),
  greedy: fc.boolean(),
  until: fc.option(aCondition, { freq: 4, nil: undefined }),
  /** What stands before it. */
  barrier: fc.option(fc.record({ word: fc.constantFrom("notNext", "notFollowedBy"), condition: aCondition }), { freq: 4, nil: undefined }),
});

const aSkip = fc.oneof(
  fc.constantFrom({ to: "none" }, { to: "next" }, { to: "past-last" }),
  fc.record({ to: fc.constantFrom("first", "last"), step: fc.nat(3) }),
);

export const aCase = fc.record({
  steps: fc.array(aStep, { minLength: 1, maxLength: 4 }),
  atEnd: fc.option(fc.record({ word: fc.constantFrom("notNext", "notFollowedBy"), condition: aCondition }), { freq: 3, nil: undefined }),
  within: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
  skip: aSkip,
  events: fc.array(
    fc.record({ kind: fc.constantFrom("a", "b", "c"), n: fc.nat(2), after: fc.nat(2), tick: fc.constantFrom(false, false, true) }),
    { minLength: 2, maxLength: 8 },
  ),
  /** How long after the last event time stops. */
  rest: fc.nat(10),
});

export type PatternCase = typeof aCase extends fc.Arbitrary<infer C> ? C : never;
type StepCase = PatternCase["steps"][number];

export function eventsOf({ events }: PatternCase): OracleEvent[] {
  let time = 0;
  return events.map(({ kind, n, after }, i) => {
    time += after;
    return { time, value: { id: `e${i}`, kind, n } };
  });
}

/** Throws TypeError where the declaration is none. */
export function patternOf({ steps, atEnd, within, skip }: PatternCase): AnyPattern {
  let pattern: AnyPattern | undefined;
  for (const [i, step] of steps.entries()) pattern = quantified(added(pattern, step, i), step);
  if (atEnd !== undefined) pattern = barred(pattern!, atEnd.word, "end", whereOf(atEnd.condition));
  if (within !== undefined) pattern = pattern!.within(within);
  return skipping(pattern!, skip, steps.length);
}

function added(pattern: AnyPattern | undefined, { condition, contiguity, barrier }: StepCase, i: number): AnyPattern {
  const step = { where: whereOf(condition) };
  if (pattern === undefined) return begin<Letter, string>("s0", step);
  const before = barrier === undefined ? pattern : barred(pattern, barrier.word, `n${i}`, whereOf(barrier.condition));
  if (contiguity === "next") return before.next(`s${i}`, step);
  return contiguity === "followedBy" ? before.followedBy(`s${i}`, step) : before.followedByAny(`s${i}`, step);
}

function barred(pattern: AnyPattern, word: string, name: string, where: Where): AnyPattern {
  return word === "notNext" ? pattern.notNext(name, { where }) : pattern.notFollowedBy(name, { where });
}

function quantified(pattern: AnyPattern, { times: [from, to], inner, optional, greedy, until }: StepCase): AnyPattern {
  const loops = to > 1;
  let next = loops ? pattern.times(from, to) : pattern;
  if (loops && inner === "consecutive") next = next.consecutive();
  if (loops && inner === "allowCombinations") next = next.allowCombinations();
  if (loops && until !== undefined) next = next.until(whereOf(until));
  if (optional) next = next.optional();
  return greedy && (loops || optional) ? next.greedy() : next;
}

function skipping(pattern: AnyPattern, skip: PatternCase["skip"], steps: number): AnyPattern {
  const step = "step" in skip ? `s${skip.step % steps}` : "s0";
  switch (skip.to) {
    case "next":
      return pattern.skipToNext();
    case "past-last":
      return pattern.skipPastLastEvent();
    case "first":
      return pattern.skipToFirst(step);
    case "last":
      return pattern.skipToLast(step);
    default:
      return pattern;
  }
}

function whereOf({ kinds, earlier }: { readonly kinds: readonly string[]; readonly earlier: string }): Where {
  return ({ kind, n }, soFar) => {
    const before = Object.values(soFar).flat();
    if (!kinds.includes(kind)) return false;
    if (earlier === "rising") return n >= (before.at(-1)?.n ?? 0);
    if (earlier === "as-first") return n === (before[0]?.n ?? n);
    return earlier !== "small-sum" || before.reduce((sum, each) => sum + each.n, n) < 3;
  };
}
