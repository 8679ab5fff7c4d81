/** What a declaration refuses, at run time and by its types. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { STEPS_MAX } from "../../actors/model/patterns/declaration.ts";
import { begin, type Matched } from "../../actors/model/patterns/pattern.ts";
import { readPattern } from "./notation.ts";

suite("a declaration is refused", () => {
  const cases: Record<string, [pattern: string, why: RegExp]> = {
    "when two steps have one name": ["begin(a).notNext(a).next(b)", /two steps are called "a"/],
    "when every step may be skipped": ["begin(a).optional().next(b).optional()", /every step is optional/],
    "when only time could tell that it ended, and has no bound": ["begin(a).notFollowedBy(b)", /notFollowedBy\("b"\).*Add within/],
    "when nothing ends a greedy step": ["begin(a).oneOrMore().greedy()", /nothing ends the greedy step "a"/],
    "when nothing tells that a greedy step at the end is skipped": ["begin(a).followedBy(b).optional().greedy()", /greedy step "b"/],
    "when a step is quantified twice": ["begin(a).times(2).oneOrMore()", /times after "a": it takes more than one already/],
    "when one event is to come one behind the other": ["begin(a).consecutive()", /consecutive after "a": it takes one event/],
    "when one event is to be combined": ["begin(a).allowCombinations()", /takes one event/],
    "when one event is to be greedy": ["begin(a).greedy()", /takes one event/],
    "when one event is to go on until another": ["begin(a).until(b)", /takes one event/],
    "when what may not come has a quantifier": ["begin(a).notNext(b).oneOrMore()", /times after "b": what may not come/],
    "when it counts backwards": ["begin(a).times(3,2)", /times\(3, 2\)/],
    "when it counts from nothing": ["begin(a).times(0)", /times\(0, 0\)/],
    "when it has no time": ["begin(a).within(0)", /at least 1 ms/],
    "when it skips to a step that it has not": ["begin(a).skipToLast(b)", /skip to "b"/],
    "when it has more steps than a number has bits": [
      `begin(a)${Array.from({ length: STEPS_MAX }, (_, i) => `.next(b${i})`).join("")}`,
      /25 steps are more than 24/,
    ],
  };
  for (const [when, [pattern, why]] of Object.entries(cases)) {
    test(when, () => {
      assert.throws(
        () => readPattern(pattern).declaration(),
        (error) => error instanceof TypeError && why.test(error.message),
      );
    });
  }

  test("when a name could be no field", () => {
    assert.throws(() => begin("a b", { where: (event: string) => event === "" }).declaration(), /the name "a b" does not match/);
  });
});

interface Login {
  readonly user: string;
  readonly result: "failed" | "ok";
}

/** Never called: only its types are looked at. */
export function typed(match: Matched<Login, "fail" | "ok">): readonly Login[] {
  const fails = begin("fail", { where: (login: Login, soFar) => login.result === "failed" && soFar.fail.length < 9 }).times(3);
  fails.followedBy("ok", { where: (login, { fail, ok }) => login.user === fail[0]?.user && ok.length === 0 }).skipToLast("fail");
  // @ts-expect-error: no step before has that name
  fails.followedBy("ok", { where: (login, { failed }) => login.user === failed[0]?.user });
  // @ts-expect-error: a login has no such field
  fails.followedBy("ok", { where: (login) => login.outcome === "ok" });
  // @ts-expect-error: what may not come is no part of a match
  fails.notNext("other", { where: (login, { other }) => login.user === other[0]?.user });
  // @ts-expect-error: it skips to no step
  fails.skipToFirst("ok");
  // @ts-expect-error: a condition answers with true or false
  fails.next("ok", { where: (login) => login.user });
  // @ts-expect-error: and at once
  fails.next("ok", { where: async () => true });
  // @ts-expect-error: a match has no such step
  match.other;
  return match.fail;
}
