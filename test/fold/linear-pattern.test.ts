import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { createContext, Script } from "node:vm";
import fc from "fast-check";
import { PATTERN_MAX_CHARS } from "../../actors/fold/bounds.ts";
import { type LinearPattern, linearPattern } from "../../actors/fold/linear-pattern.ts";

const SIZE_MAX = 2_000;

function patternOf(source: string): LinearPattern {
  const pattern = linearPattern(source, SIZE_MAX);
  if (typeof pattern === "string") assert.fail(`${source}: ${pattern}`);
  return pattern;
}

const character = fc.constantFrom(
  "a",
  "b",
  "é",
  "😀",
  ".",
  "\\d",
  "\\W",
  "[ab]",
  "[^a]",
  "[]",
  "[^]",
  "[a-c\\]]",
  "\\.",
  "\\u0061",
  "\\u{1F600}",
  "\\ud83d\\ude00",
  "\\p{L}",
  "\\x62",
  "\\n",
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "?", "{0}", "{2}", "{1,}", "{0,2}", "*?", "+?", "{1,3}?");
const { choice } = fc.letrec<{ choice: string; sequence: string; part: string }>((tie) => ({
  choice: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("|")),
  sequence: fc.array(tie("part"), { maxLength: 4 }).map((parts) => parts.join("")),
  part: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.tuple(character, quantifier).map(([one, times]) => one + times),
    fc.constantFrom("^", "$"),
    fc.tuple(fc.constantFrom("(", "(?:", "(?<n>"), tie("choice"), quantifier).map(([open, inner, times]) => `${open}${inner})${times}`),
  ),
}));
const text = fc.array(fc.constantFrom("a", "b", "c", "1", "é", "😀", ".", "]", "\n", " "), { maxLength: 8 }).map((parts) => parts.join(""));

const judge = { expression: /x/u, text: "" };
const context = createContext(judge);
const asking = new Script("expression.test(text)");

/** What JavaScript says; `undefined` where it goes back and forth for so long that nobody waits for it. */
function javascriptSays(expression: RegExp, given: string): boolean | undefined {
  Object.assign(judge, { expression, text: given });
  try {
    return asking.runInContext(context, { timeout: 500 }) as boolean;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return undefined;
    throw error;
  }
}

suite("a pattern", () => {
  test("matches what JavaScript's regular expressions match", () => {
    fc.assert(
      fc.property(choice, fc.array(text, { minLength: 1, maxLength: 5 }), (source, texts) => {
        let expected: RegExp;
        try {
          expected = new RegExp(source, "u");
        } catch {
          return assert.equal(typeof linearPattern(source, SIZE_MAX), "string");
        }
        const pattern = patternOf(source);
        for (const one of texts) {
          const says = javascriptSays(expected, one);
          if (says !== undefined) assert.equal(pattern.test(one), says, `/${source}/u on ${JSON.stringify(one)}`);
        }
      }),
      { numRuns: Number(process.env.PROPERTY_RUNS ?? 2_000) },
    );
  });

  for (const source of ["(a|a)*$", "^(a+)+$", "^(?:a?){500}a{400}$", "^(.*)*b$", "a*a*a*a*b"]) {
    test(`${source} takes time in proportion to the text, where one that goes back would not end`, () => {
      const pattern = patternOf(source);
      const begun = performance.now();
      pattern.test(`${"a".repeat(20_000)}!`);
      assert.ok(performance.now() - begun < 10_000);
    });
  }

  const REFUSED: Readonly<Record<string, readonly [source: string, reason: RegExp]>> = {
    "that is none": ["(", /no regular expression/],
    "with a look-ahead": ["a(?=b)", /"\(\?=b" at 1/],
    "with a look-behind": ["(?<!b)a", /"\(\?<!" at 0/],
    "with a back-reference": ["(a)\\1", /"\\1" at 3/],
    "with a named back-reference": ["(?<n>a)\\k<n>", /"\\k<n" at 7/],
    "with a word boundary": ["a\\b", /"\\b" at 1/],
    "with a flag within": ["(?i:a)", /"\(\?i:" at 0/],
    "whose repetitions multiply": ["((a{50}){50}){50}", /too large/],
    "that repeats nothing a billion times": ["(){1000000000}", /too large/],
    "that is over-long": ["a".repeat(PATTERN_MAX_CHARS + 1), /more than 1000 characters/],
  };
  for (const [what, [source, reason]] of Object.entries(REFUSED)) {
    test(`${what} is refused with the reason`, () => {
      const refused = linearPattern(source, SIZE_MAX);
      assert.ok(typeof refused === "string");
      assert.match(refused, reason);
    });
  }
});
