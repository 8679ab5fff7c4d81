/** Whatever JSON comes: nothing that a declaration classifies, and nothing that none declares, is in the redacted copy. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Type } from "typebox";
import type { JsonSchema } from "../../actors/model/layout.ts";
import { classified } from "../../actors/model/privacy/classification.ts";
import { redacted, redactionOf } from "../../actors/model/privacy/redaction.ts";

const Hidden = classified("pii", Type.String());
const Leaf = Type.Union([Type.Object({ k: Type.Literal("x"), a: Hidden }), Type.Object({ k: Type.Literal("y"), a: Type.Integer() })]);
const Tree = Type.Cyclic({ Node: Type.Object({ a: Hidden, n: Type.Optional(Type.Number()), of: Type.Array(Type.Ref("Node")) }) }, "Node");
/** No text in it is shown but literals. */
const declared = [Type.Object({ a: Leaf, b: Tree, c: Type.Array(Hidden) }), Type.Object({ a: Type.Null(), n: Type.Boolean() }), Tree];
const json = declared.map((schema) => schema as unknown as JsonSchema);

const names = fc.constantFrom("a", "b", "c", "k", "n", "of", "other", "__proto__", "toString");
const texts = fc.constantFrom("x", "y", "zoe", "z\ud800oe");
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "medium" },
    texts,
    fc.constantFrom(null, true, 7, -0, 1e300),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(names, tie("value"), { maxKeys: 5 }),
  ),
}));

function* textsIn(part: unknown): Generator<string> {
  if (typeof part === "string") yield part;
  else if (typeof part === "object" && part !== null) for (const inner of Object.values(part)) yield* textsIn(inner);
}

suite("a redacted copy", () => {
  test("has no text that is classified or undeclared, of any JSON", () => {
    const redaction = redactionOf(json)!;
    let shown = 0;
    fc.assert(
      fc.property(value, (given) => {
        const copy = redacted(redaction, given);
        for (const text of textsIn(copy)) assert.match(text, /^(x|y|\[pii\]|\[undeclared\])$/);
        assert.doesNotMatch(JSON.stringify(copy), /other|toString/);
        if (/\[pii\]/.test(JSON.stringify(copy))) shown++;
      }),
      { numRuns: 2_000 },
    );
    assert.ok(shown > 100, `${shown}`);
  });

  test("is the same as far as it goes, however few parts matter", () => {
    const one = redactionOf([Type.Array(Type.Integer()) as unknown as JsonSchema])!;
    assert.deepEqual(redacted(one, [1, 2, 3, 4], 3), [1, 2]);
  });

  test("is none where a class stands in a way that cannot be seen through", () => {
    const below = { not: { type: "string", "x-tidemark-class": "pii" } };
    assert.equal(redactionOf([Type.Object({}) as unknown as JsonSchema, below]), undefined);
    const lost = { type: "object", properties: { a: { $ref: "nowhere" }, b: { type: "string" } } };
    assert.deepEqual(redacted(redactionOf([lost])!, { b: "zoe" }), "[undeclared]");
  });
});
