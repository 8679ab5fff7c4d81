/** Models inside the fold: what each kind answers, beside plain definitions of it, and what is refused. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Condition } from "../../actors/model/scoring/conditions.ts";
import { exponential, sigmoid, softmax } from "../../actors/model/scoring/exponential.ts";
import type { Features } from "../../actors/model/scoring/features.ts";
import { readScoringModel, type ScoringModel, score, scoringModel } from "../../actors/model/scoring/scoring.ts";

const first = scoringModel({
  kind: "rules",
  mode: "first",
  rules: [
    { name: "huge", when: { field: "cents", op: ">=", value: 1_000_000 }, score: 1, label: "stop" },
    {
      name: "abroad",
      when: {
        all: [
          { field: "country", op: "!=", value: "AT" },
          { field: "cents", between: [10_000, 99_999] },
        ],
      },
      score: 0.6,
      label: "look",
      confidence: 0.7,
    },
    { name: "unknown", when: { missing: "country" }, score: 0.5, label: "look", confidence: 0.4 },
  ],
  otherwise: { score: 0, label: "pass", confidence: 0.9 },
  minConfidence: 0.5,
});
const sum = scoringModel({
  kind: "rules",
  mode: "sum",
  base: 0.125,
  rules: [
    { name: "night", when: { field: "hour", in: [0, 1, 2, 3] }, score: 0.25 },
    { name: "new", when: { not: { field: "known", op: "=", value: true } }, score: 0.5 },
    { name: "small", when: { field: "cents", op: "<", value: 500 }, score: -0.25 },
    {
      name: "many",
      when: {
        any: [
          { field: "count", op: ">", value: 10 },
          { field: "count10m", op: "<=", value: 0 },
        ],
      },
      score: 0.5,
    },
  ],
  labels: [
    { from: 0.125, label: "low" },
    { from: 0.75, label: "high" },
  ],
  minConfidence: 0.75,
});

suite("rules", () => {
  test("of which the first that fires decides", () => {
    assert.deepEqual(score(first, { cents: 1_000_000, country: "DE" }), {
      score: 1,
      label: "stop",
      confidence: 1,
      actionable: true,
      reasons: ["huge"],
    });
    assert.deepEqual(score(first, { cents: 10_000, country: "DE" }), {
      score: 0.6,
      label: "look",
      confidence: 0.7,
      actionable: true,
      reasons: ["abroad"],
    });
    assert.deepEqual(score(first, { cents: 5 }), { score: 0.5, label: "look", confidence: 0.4, actionable: false, reasons: ["unknown"] });
    assert.deepEqual(score(first, { cents: 5, country: "AT" }), {
      score: 0,
      label: "pass",
      confidence: 0.9,
      actionable: true,
      reasons: [],
    });
  });

  test("that are added up name all that fired", () => {
    assert.deepEqual(score(sum, { hour: 2, known: false, cents: 600, count: 11 }), {
      score: 1.375,
      label: "high",
      confidence: 1,
      actionable: true,
      reasons: ["night", "new", "many"],
    });
    assert.deepEqual(score(sum, { hour: 5, known: true, cents: 100, count: 1 }), {
      score: -0.125,
      label: null,
      confidence: 0,
      actionable: false,
      reasons: ["small"],
    });
  });

  test("have a label from its score on, that included", () => {
    assert.equal(score(sum, { hour: 5, known: true, cents: 600, count: 1 }).score, 0.125);
    assert.equal(score(sum, { hour: 5, known: true, cents: 600, count: 1 }).label, "low");
  });

  test("about a feature that is missing, null, of another type, or every object's own, do not hold", () => {
    const holds = (when: Condition, features: Features) =>
      score(scoringModel({ kind: "rules", mode: "sum", rules: [{ name: "r", when, score: 1 }] }), features).reasons.length === 1;
    for (const features of [{}, { a: null }, { a: "5" }, { a: true }, { a: undefined }]) {
      assert.equal(holds({ field: "a", op: "<", value: 9 }, features), false);
      assert.equal(holds({ field: "a", between: [-9, 9] }, features), false);
      assert.equal(holds({ field: "a", op: "=", value: 5 }, features), false);
    }
    assert.equal(holds({ field: "a", op: "!=", value: 5 }, { a: null }), false);
    assert.equal(holds({ field: "a", op: "!=", value: 5 }, { a: "5" }), true);
    assert.equal(holds({ missing: "toString" }, {}), true);
    assert.equal(holds({ missing: "a" }, { a: null }), true);
  });
});

const FIELDS = ["a", "b", "c"];
const scalar = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom("x", "y"), fc.boolean());
const features = fc.dictionary(fc.constantFrom(...FIELDS), fc.oneof(scalar, fc.constant(null)));
const field = fc.constantFrom(...FIELDS);
const small = fc.integer({ min: -3, max: 3 });
const { condition } = fc.letrec<{ condition: Condition }>((tie) => ({
  condition: fc.oneof(
    { depthSize: "small", maxDepth: 5 },
    fc.record({ field, op: fc.constantFrom("<" as const, "<=" as const, ">" as const, ">=" as const), value: small }),
    fc.record({ field, op: fc.constantFrom("=" as const, "!=" as const), value: scalar }),
    fc.record({ field, between: fc.tuple(small, small).map(([x, y]): [number, number] => (x < y ? [x, y] : [y, x])) }),
    fc.record({ field, in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }),
    fc.record({ missing: field }),
    fc.record({ all: fc.array(tie("condition"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ any: fc.array(tie("condition"), { minLength: 1, maxLength: 3 }) }),
    fc.record({ not: tie("condition") }),
  ),
}));

/** As JavaScript would say it. */
function plainly(c: Condition, f: Features): boolean {
  if ("all" in c) return !c.all.some((part) => !plainly(part, f));
  if ("any" in c) return c.any.map((part) => plainly(part, f)).includes(true);
  if ("not" in c) return plainly(c.not, f) === false;
  if ("missing" in c) return (f[c.missing] ?? "gone") === "gone";
  const v = f[c.field] ?? undefined;
  if ("in" in c) return v !== undefined && new Set<unknown>(c.in).has(v);
  if ("between" in c) return typeof v === "number" && !(v < c.between[0]) && !(v > c.between[1]);
  if (c.op === "=") return Object.is(v, c.value);
  if (c.op === "!=") return v !== undefined && !Object.is(v, c.value);
  const sign = typeof v === "number" ? Math.sign(v - (c.value as number)) : Number.NaN;
  return { "<": sign === -1, "<=": sign === -1 || sign === 0, ">": sign === 1, ">=": sign === 1 || sign === 0 }[c.op];
}

test("any condition holds exactly when its definition says so", () => {
  let held = 0;
  fc.assert(
    fc.property(condition, features, (when, given) => {
      const { reasons } = score(scoringModel({ kind: "rules", mode: "sum", rules: [{ name: "r", when, score: 1 }] }), given);
      assert.equal(reasons.length === 1, plainly(when, given));
      held += reasons.length;
    }),
    { numRuns: 1_000 },
  );
  assert(held > 50 && held < 950, String(held));
});

const number = fc.double({ min: -100, max: 100, noNaN: true });

suite("a linear model", () => {
  test("is the weighted sum, through its activation", () => {
    fc.assert(
      fc.property(fc.array(number, { minLength: 2, maxLength: 2 }), number, number, number, (weights, bias, x, y) => {
        const raw = {
          kind: "linear",
          features: [{ name: "x" }, { name: "y" }],
          weights: [weights],
          bias: [bias],
          activation: "none",
        } as const;
        const z = bias + weights[0]! * x + weights[1]! * y;
        const mutable = structuredClone(raw) as unknown as ScoringModel;
        assert.equal(score(scoringModel(mutable), { x, y }).score, z === 0 ? 0 : z);
        assert.equal(score(scoringModel(mutable), { x, y }).confidence, null);
        const logistic = scoringModel({ ...structuredClone(raw), activation: "sigmoid", labels: ["no", "yes"] } as unknown as ScoringModel);
        const answer = score(logistic, { x, y });
        assert.equal(answer.score, sigmoid(z));
        assert.equal(answer.label, sigmoid(z) >= 0.5 ? "yes" : "no");
        assert.equal(answer.confidence, Math.max(sigmoid(z), 1 - sigmoid(z)));
      }),
    );
  });

  const languages = scoringModel({
    kind: "linear",
    features: [{ name: "x", missing: 2 }, { name: "country", is: "AT" }, { name: "vip" }],
    weights: [
      [1, 2, 0],
      [-1, 0, 1],
      [0, -1, 3],
    ],
    bias: [0, 0.5, 0],
    activation: "softmax",
    labels: ["a", "b", "c"],
    minConfidence: 0.9,
  });

  test("of several labels gives the likeliest, and what pushed towards it most", () => {
    const answer = score(languages, { country: "AT", vip: false });
    assert.equal(answer.label, "a");
    assert.equal(answer.score, softmax([4, -1.5, -1])[0]);
    assert.deepEqual([answer.confidence, answer.actionable, answer.reasons], [answer.score, true, ["x", "country"]]);
    assert.deepEqual(score(languages, { x: 0, country: "DE", vip: true }).reasons, ["vip"]);
  });

  test("names what spoke for the first of two labels too", () => {
    const model = scoringModel({
      kind: "linear",
      features: [{ name: "x" }, { name: "y" }],
      weights: [[-3, 1]],
      bias: [0],
      activation: "sigmoid",
      labels: ["no", "yes"],
      threshold: 0.2,
    });
    assert.deepEqual(score(model, { x: 1, y: 1 }), {
      score: sigmoid(-2),
      label: "no",
      confidence: 1 - sigmoid(-2),
      actionable: true,
      reasons: ["x"],
    });
    assert.equal(score(model, { x: 0.4, y: 0 }).label, "yes");
  });

  test("without a number for a missing feature, or with a text for a number, says so with a code", () => {
    assert.throws(() => score(languages, { country: "AT" }), { code: "FEATURE_MISSING", message: /"vip" is missing/ });
    assert.throws(() => score(languages, { country: "AT", vip: "yes" }), { code: "FEATURE_TYPE" });
    for (const vip of [Number.NaN, Number.POSITIVE_INFINITY, 1e101])
      assert.throws(() => score(languages, { country: "AT", vip }), { code: "FEATURE_TYPE" });
    assert.throws(() => score(languages, { vip: 1 }), { code: "FEATURE_MISSING" });
  });
});

suite("a forest", () => {
  const forest = scoringModel({
    kind: "trees",
    trees: [
      [
        { feature: "x", below: 5, left: 1, right: 2 },
        { leaf: [1, 0] },
        { feature: "country", is: "AT", left: 3, right: 4, missing: "right" },
        { leaf: [0.5, 0.5] },
        { leaf: [0, 1] },
      ],
      [{ feature: "x", atMost: 5, left: 1, right: 2, missing: "left" }, { leaf: [1, 0] }, { leaf: [0, 1] }],
    ],
    combine: "average",
    activation: "probabilities",
    labels: ["calm", "odd"],
  });

  test("goes left where the condition holds, and averages", () => {
    assert.deepEqual(score(forest, { x: 4 }), { score: 1, label: "calm", confidence: 1, actionable: true, reasons: [] });
    assert.deepEqual(score(forest, { x: 5, country: "AT" }).score, 0.75);
    assert.deepEqual(score(forest, { x: 6 }), { score: 1, label: "odd", confidence: 1, actionable: true, reasons: [] });
    assert.throws(() => score(forest, {}), { code: "FEATURE_MISSING", message: /"x"/ });
  });

  test("of boosted trees adds up, and gives what their definition does", () => {
    const stump = fc.record({ feature: field, at: small, left: number, right: number });
    fc.assert(
      fc.property(
        fc.array(stump, { minLength: 1, maxLength: 10 }),
        fc.record({ a: small, b: small, c: small }),
        number,
        (stumps, given, bias) => {
          const trees = stumps.map(({ feature, at, left, right }) => [
            { feature, below: at, left: 1, right: 2 },
            { leaf: [left] },
            { leaf: [right] },
          ]);
          const model = scoringModel({ kind: "trees", trees, combine: "sum", bias: [bias], activation: "none" });
          const total = stumps.reduce((all, { feature, at, left, right }) => all + (given[feature as "a"] < at ? left : right), 0);
          assert.equal(score(model, given).score, total + bias);
        },
      ),
    );
  });
});

suite("a model is refused", () => {
  const rules = { kind: "rules", mode: "sum", rules: [{ name: "r", when: { missing: "a" }, score: 1 }] };
  const linear = { kind: "linear", features: [{ name: "x" }], weights: [[1]], bias: [0], activation: "none" };
  const leaf = { leaf: [1] };
  const tree = (...nodes: unknown[]) => ({ kind: "trees", trees: [nodes], combine: "sum", activation: "none" });
  const split = (left: number, right: number) => ({ feature: "x", below: 1, left, right });
  const nested = (levels: number, inner: unknown): unknown => (levels === 0 ? inner : { not: nested(levels - 1, inner) });
  const chain = Array.from({ length: 34 }, (_, i) => [split(i * 2 + 1, i * 2 + 2), leaf]).flatMap(([node, end], i) =>
    i === 0 ? [node] : [node, end],
  );
  const refused: readonly (readonly [situation: string, model: unknown, reason: RegExp])[] = [
    ["that is no object", "return 1", /is no object/],
    ["of an unknown kind", { kind: "toString" }, /no kind that there is: rules, linear, trees/],
    ["with a field that no model has", { ...rules, code: "x" }, /another shape/],
    ["with a number that is none", { ...linear, bias: [Number.NaN] }, /another shape/],
    ["with a number out of bounds", { ...linear, bias: [1e101] }, /another shape/],
    ["with two rules of one name", { ...rules, rules: [rules.rules[0], rules.rules[0]] }, /two rules of one name/],
    [
      "with labels out of order",
      {
        ...rules,
        labels: [
          { from: 1, label: "a" },
          { from: 1, label: "b" },
        ],
      },
      /rising scores/,
    ],
    ["with an end before its begin", { ...rules, rules: [{ name: "r", when: { field: "a", between: [2, 1] }, score: 1 }] }, /end is below/],
    [
      "with conditions nested too deep",
      { ...rules, rules: [{ name: "r", when: nested(8, { missing: "a" }), score: 1 }] },
      /nested deeper than 8/,
    ],
    [
      "nested beyond any stack",
      { ...rules, rules: [{ name: "r", when: nested(5_000, { missing: "a" }), score: 1 }] },
      /nested deeper than 24/,
    ],
    [
      "with too many conditions",
      {
        ...rules,
        rules: [
          { name: "r", when: { all: [1, 2].map(() => ({ any: Array.from({ length: 1_500 }, () => ({ missing: "a" })) })) }, score: 1 },
        ],
      },
      /more than 2000/,
    ],
    ["with too few weights", { ...linear, weights: [[]] }, /one weight for each feature/],
    ["with too many biases", { ...linear, bias: [0, 1] }, /one bias for each row/],
    ["with labels that do not go with its activation", { ...linear, activation: "sigmoid" }, /one sum and two labels/],
    ["with a softmax of one sum", { ...linear, activation: "softmax", labels: ["a", "b"] }, /one sum for each label/],
    ["that is linear and gives probabilities", { ...linear, activation: "probabilities", labels: ["a", "b"] }, /are no probabilities/],
    ["with a threshold of nothing", { ...linear, threshold: 0.5 }, /only goes with "sigmoid"/],
    ["with a node that leads back", tree(split(1, 2), split(1, 2), leaf), /no node behind it/],
    ["with a node that leads nowhere", tree(split(1, 3), leaf, leaf), /no node behind it/],
    ["with a node that two lead to", tree(split(1, 1), leaf), /that two lead to/],
    ["with a node that none leads to", tree(leaf, leaf), /no other leads to/],
    ["with a leaf of another size", tree(split(1, 2), leaf, { leaf: [1, 2] }), /as many numbers/],
    ["with a tree that is too deep", tree(...chain, leaf, leaf), /deeper than 32/],
  ];
  for (const [situation, model, reason] of refused) test(situation, () => assert.match(String(readScoringModel(model)), reason));

  test("in code, when it is declared", () =>
    assert.throws(() => scoringModel({ ...linear, bias: [] } as never), /scoringModel: the model has another shape/));

  test("or else it is given as it is", () => {
    for (const model of [rules, linear, tree(split(1, 2), leaf, leaf)]) assert.equal(readScoringModel(model), model);
  });
});

test("e^x is what the shares are made of", () =>
  assert.deepEqual(softmax([1, 0]), [1 / (1 + exponential(-1)), exponential(-1) / (1 + exponential(-1))]));
