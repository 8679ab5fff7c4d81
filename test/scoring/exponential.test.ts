/** The own exponential beside that of the engine. Its exact results stand here: they are folded into state for ever. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { exponential, sigmoid, softmax } from "../../actors/model/scoring/exponential.ts";

const apart = (one: number, other: number) => (one === other ? 0 : Math.abs(one - other) / Math.abs(other));

test("e^x is within 1e-15 of the engine's, from the least normal result to the greatest", () => {
  fc.assert(
    fc.property(fc.double({ min: -708, max: 709.78, noNaN: true }), (x) => assert(apart(exponential(x), Math.exp(x)) <= 1e-15, String(x))),
    { numRuns: 20_000 },
  );
  for (let x = -708; x <= 709.78; x += 0.01) assert(apart(exponential(x), Math.exp(x)) <= 1e-15, String(x));
});

test("beyond that it fades to 0 and grows to infinity where the engine's does", () => {
  for (const x of [-708.5, -720.25, -740, -745.1]) assert(Math.abs(exponential(x) - Math.exp(x)) <= Number.MIN_VALUE, String(x));
  for (const x of [0, -0, 1e-300, -1e-300, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 710, -746, 1e308])
    assert.equal(exponential(x), Math.exp(x), String(x));
  assert(Number.isNaN(exponential(Number.NaN)));
});

test("the results are these, to the bit", () => {
  const view = new DataView(new ArrayBuffer(8));
  const bits = (x: number) => {
    view.setFloat64(0, x);
    return view.getBigUint64(0).toString(16);
  };
  const xs = [1, -1, 0.5, -0.5, Math.LN10, 10, -10, 100.25, -700.5, 0.34657359, -0.34657359, 1e-9];
  assert.deepEqual(
    xs.map((x) => bits(exponential(x))),
    EXPONENTIALS,
  );
  assert.deepEqual(
    [0.1, -3.7, 35].map((x) => bits(sigmoid(x))),
    SIGMOIDS,
  );
});

const EXPONENTIALS = [
  "4005bf0a8b14576a",
  "3fd78b56362cef38",
  "3ffa61298e1e069c",
  "3fe368b2fc6f960a",
  "4024000000000001",
  "40d5829dcf950560",
  "3f07cd79b5647c9a",
  "48f8c39b9134bac4",
  "c4ff475c68ca02",
  "3ff6a09e66640654",
  "3fe6a09e669a7145",
  "3ff000000044b830",
];
const SIGMOIDS = ["3fe0cca12729afb8", "3f98b4c0ffc14fbf", "3feffffffffffffa"];

suite("sigmoid and softmax", () => {
  test("sigmoid is from 0 to 1, rises, and of x and -x gives 1", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (x, y) => {
        const [low, high] = x < y ? [x, y] : [y, x];
        assert(sigmoid(low) >= 0 && sigmoid(high) <= 1 && sigmoid(low) <= sigmoid(high) + 1e-15);
        assert(Math.abs(sigmoid(x) + sigmoid(-x) - 1) <= 1e-15);
      }),
    );
    assert.equal(sigmoid(0), 0.5);
  });

  test("softmax gives shares of 1 in the order of the values, however great they are", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e100, max: 1e100, noNaN: true }), { minLength: 1, maxLength: 20 }), (values) => {
        const shares = softmax(values);
        assert(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) <= 1e-12);
        for (const [i, value] of values.entries())
          for (const [j, other] of values.entries()) if (value > other) assert(shares[i]! >= shares[j]!);
      }),
    );
  });
});
