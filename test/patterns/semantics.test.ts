/** The tables of docs/patterns.md say what matches; matcher and oracle find just that, in that order. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { readPage } from "../support/doc-page.ts";
import { MatcherRun } from "./matcher-run.ts";
import { findAll, readEvents, readPattern } from "./notation.ts";

const ROW = /^\| `(begin\([^`]*)` \| `([^`]*)` \| (?:`([^`]*)`|nothing)/;

suite("a row of the page", () => {
  const rows = readPage("docs/patterns.md")
    .split("\n")
    .flatMap((line) => ROW.exec(line) ?? [])
    .filter((_, i) => i % 4 !== 0);
  for (let i = 0; i < rows.length; i += 3) {
    const [pattern, events, matches = ""] = rows.slice(i, i + 3) as [string, string, string | undefined];
    test(`${pattern} over ${events}`, () => assert.deepEqual(findAll(pattern, events), { matcher: matches, oracle: matches }));
  }
  test("is one of many", () => assert(rows.length >= 30 * 3, `${rows.length / 3} rows`));
});

suite("a deadline", () => {
  const after = (until: number) => findAll("begin(a).notFollowedBy(b).within(5)", "a", until).matcher;

  test("is over with the instant at which no event belongs to the match any more", () => {
    assert.equal(after(4), "");
    assert.equal(after(5), "a");
    assert.equal(findAll("begin(a).followedBy(b).within(5)", "a b@4").matcher, "a b");
    assert.equal(findAll("begin(a).followedBy(b).within(5)", "a b@5").matcher, "");
  });

  test("comes before the events of its time", () => {
    assert.equal(findAll("begin(a).notFollowedBy(b).within(5)", "a b@5", 5).matcher, "a");
  });

  test("makes what lacks events time out, once, with what it has", () => {
    const run = new MatcherRun(readPattern("begin(a).followedBy(b).followedBy(c).within(5)").declaration());
    for (const event of readEvents("a b@1 a@3 d@6")) run.event(event);
    assert.deepEqual(run.found, [{ timedOut: true, at: 5, events: { a: [0], b: [1], c: [] } }]);
    run.time(8);
    assert.deepEqual(run.found.slice(1), [{ timedOut: true, at: 8, events: { a: [2], b: [], c: [] } }]);
    assert.deepEqual(run.state, { next: 0, partials: [] });
  });
});
