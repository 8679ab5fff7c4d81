/** Over random schemas and values: what has a class is not in the masked copy, and what has none is. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { type TSchema, Type } from "typebox";
import { classified } from "../../actors/model/privacy/classification.ts";
import { masked, masking } from "../../actors/model/privacy/masking.ts";
import { schemaOf } from "../../actors/model/schema.ts";

const sha256 = (data: string | Uint8Array) => createHash("sha256").update(data).digest("hex");

/** A schema, a value of it, and the marks that stand in the value: those below a class and the others. */
interface Case {
  readonly schema: TSchema;
  readonly value: unknown;
  readonly hidden: readonly string[];
  readonly shown: readonly string[];
}

let marks = 0;
const markArbitrary = fc.constant(null).map(() => `mark${marks++}z`);

function hiding({ schema, value, hidden, shown }: Case): Case {
  return { schema: classified("pii", schema), value, hidden: [...hidden, ...shown], shown: [] };
}

const { node } = fc.letrec<{ node: Case; leaf: Case }>((tie) => ({
  leaf: markArbitrary.map((mark) => ({ schema: Type.String(), value: mark, hidden: [], shown: [mark] })),
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    tie("leaf").map(hiding),
    fc.tuple(tie("node"), fc.boolean()).map(([of, hide]) => (hide && !("x-tidemark-class" in of.schema) ? hiding(of) : of)),
    fc.tuple(tie("node"), tie("node"), markArbitrary).map(([a, b, extra]) => ({
      schema: Type.Object({ a: a.schema, b: Type.Optional(b.schema) }),
      value: { a: a.value, b: b.value, [`field${extra}`]: extra },
      hidden: [...a.hidden, ...b.hidden],
      shown: [...a.shown, ...b.shown],
    })),
    tie("node").map((of) => ({ ...of, schema: Type.Array(of.schema), value: [of.value] })),
    tie("node").map((of) => ({ ...of, schema: Type.Record(Type.String(), of.schema), value: { key: of.value } })),
    tie("node").map((of) => ({ ...of, schema: Type.Tuple([Type.Number(), of.schema]), value: [1, of.value] })),
    tie("node").map((of) => ({ ...of, schema: Type.Union([Type.Null(), of.schema, Type.Object({ kind: Type.Literal("never") })]) })),
    fc.tuple(tie("node"), tie("node")).map(([a, b]) => ({
      schema: Type.Intersect([Type.Object({ a: a.schema }), Type.Object({ b: b.schema })]),
      value: { a: a.value, b: b.value },
      hidden: [...a.hidden, ...b.hidden],
      shown: [...a.shown, ...b.shown],
    })),
  ),
}));

test("no mark below a class is in the masked copy, and every other one is", () => {
  let [hiddenSeen, shownSeen] = [0, 0];
  fc.assert(
    fc.property(node, ({ schema, value, hidden, shown }) => {
      assert(schemaOf(schema).check(value));
      const text = JSON.stringify(masked(masking(schema), value, { sha256 }));
      for (const mark of hidden) assert(!text.includes(mark), `${mark} in ${text}`);
      for (const mark of shown) assert(text.includes(mark), `${mark} not in ${text}`);
      if (hidden.length > 0) assert.doesNotMatch(text, /fieldmark/);
      hiddenSeen += hidden.length;
      shownSeen += shown.length;
    }),
    { numRuns: 1_000 },
  );
  assert(hiddenSeen > 100 && shownSeen > 100, `${hiddenSeen} hidden, ${shownSeen} shown`);
});
