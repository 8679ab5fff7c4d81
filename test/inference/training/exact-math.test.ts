import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cosineOf, exp, log, sigmoid, softplus } from "../../../inference/training/exact-math.ts";
import { Noise } from "../../../inference/training/noise.ts";

const within = (min: number, max: number) => fc.double({ min, max, noNaN: true });

function near(actual: number, expected: number, relative = 4e-15): void {
  assert.ok(Math.abs(actual - expected) <= relative * Math.max(Math.abs(expected), 1e-300), `${actual} is not ${expected}`);
}

test("exp is the engine's to some last bits", () => {
  fc.assert(fc.property(within(-690, 690), (x) => near(exp(x), Math.exp(x), 2e-15 * Math.max(1, Math.abs(x) / 4))));
});

test("what is beyond 700 does not leave the numbers", () => {
  assert.ok(exp(1e9) < Number.POSITIVE_INFINITY);
  assert.ok(exp(-1e9) > 0);
});

test("log is the engine's to some last bits, and undoes exp", () => {
  fc.assert(
    fc.property(within(1e-300, 1e300), (x) => assert.ok(Math.abs(log(x) - Math.log(x)) <= 4e-15 * Math.max(1, Math.abs(Math.log(x))))),
  );
  fc.assert(fc.property(within(-300, 300), (x) => assert.ok(Math.abs(log(exp(x)) - x) <= 1e-13 * Math.max(1, Math.abs(x)))));
});

test("the cosine of so many turns is the engine's, and repeats with every turn", () => {
  fc.assert(fc.property(within(-4, 4), (turns) => assert.ok(Math.abs(cosineOf(turns) - Math.cos(turns * 2 * Math.PI)) < 1e-13)));
});

test("sigmoid and softplus stay right far out", () => {
  near(sigmoid(40), 1);
  near(sigmoid(-40), Math.exp(-40));
  near(softplus(100), 100);
  near(softplus(-100), Math.exp(-100), 1);
  assert.ok(softplus(-100) >= 0);
});

test("a normal draw has mean 0 and deviation 1, and a shuffle loses nothing", () => {
  const noise = new Noise(1);
  const drawn = Array.from({ length: 20_000 }, () => noise.normal());
  const mean = drawn.reduce((sum, x) => sum + x, 0) / drawn.length;
  const square = drawn.reduce((sum, x) => sum + x * x, 0) / drawn.length;
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(square - 1) < 0.03, `${mean} ${square}`);
  assert.deepEqual(
    [...noise.order(100)].sort((a, b) => a - b),
    [...Array(100).keys()],
  );
});
