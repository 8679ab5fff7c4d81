/** What a matcher keeps is bounded; what it drops it counts. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PARTIAL_MATCHES_MAX, TAKEN_EVENTS_MAX } from "../../actors/model/patterns/matcher.ts";
import { begin } from "../../actors/model/patterns/pattern.ts";
import { MatcherRun } from "./matcher-run.ts";
import { readPattern } from "./notation.ts";

const MANY = Array.from({ length: PARTIAL_MATCHES_MAX + 5 }, (_, time) => ({ time, value: "a" }));

suite("a matcher", () => {
  test("drops the partial matches that began first, and counts them", () => {
    const run = new MatcherRun(readPattern("begin(a).followedByAny(b).skipToNext()").declaration(), { thorough: false });
    for (const event of MANY) run.event(event);
    assert.equal(run.dropped, 5);
    assert.equal(run.state.partials.length, PARTIAL_MATCHES_MAX);
    run.event({ time: MANY.length, value: "b" });
    assert.equal(run.found.length, PARTIAL_MATCHES_MAX);
    assert.deepEqual(run.found[0]?.events, { a: [5], b: [MANY.length] });
  });

  test("doubles its partial matches no further than to the bound", () => {
    const run = new MatcherRun(readPattern("begin(a).oneOrMore().allowCombinations().followedBy(b)").declaration(), { thorough: false });
    for (const event of MANY.slice(0, 30)) run.event(event);
    assert.equal(run.state.partials.length, PARTIAL_MATCHES_MAX);
    assert(run.dropped > PARTIAL_MATCHES_MAX);
  });

  test("keeps no more events than the bound, however long one match goes on", () => {
    const run = new MatcherRun(readPattern("begin(a).oneOrMore().consecutive().next(b)").declaration(), { thorough: false });
    for (const event of MANY.slice(0, 200)) run.event(event);
    const taken = run.state.partials.reduce((sum, partial) => sum + partial.taken.length, 0);
    assert(taken <= TAKEN_EVENTS_MAX && taken > TAKEN_EVENTS_MAX - 200, String(taken));
    assert(run.dropped > 0);
  });

  test("fits into one slot with all that it may keep", () => {
    const run = new MatcherRun(readPattern("begin(a).followedByAny(a2=a).times(9).allowCombinations().followedBy(b)").declaration(), {
      thorough: false,
    });
    for (const event of MANY.slice(0, 100)) run.event({ ...event, time: event.time + 250_000_000_000_000 });
    assert.equal(run.state.partials.length, PARTIAL_MATCHES_MAX);
    assert(JSON.stringify(run.state).length < 256 * 1024);
  });

  test("asks each partial match once for an event, and each begins at most once", () => {
    let asked = 0;
    const where = (letter: string) => (event: string) => {
      asked++;
      return event === letter;
    };
    const pattern = begin("a", { where: where("a") }).followedBy("b", { where: where("b") });
    const run = new MatcherRun(pattern.declaration(), { thorough: false });
    for (const event of MANY.slice(0, 100)) run.event(event);
    asked = 0;
    run.event({ time: 200, value: "c" });
    assert.equal(asked, 101);
  });
});

test("a condition that answers with no boolean is an error with a code", () => {
  const where = (async () => true) as unknown as (event: string) => boolean;
  const run = new MatcherRun(begin("a", { where }).declaration());
  assert.throws(() => run.event({ time: 0, value: "a" }), { code: "PATTERN_CONDITION", message: /step "a"/ });
});
