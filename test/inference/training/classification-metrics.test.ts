import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  areaUnderCurve,
  atThreshold,
  averagePrecision,
  bestThreshold,
  brierScore,
  calibrationError,
  logLoss,
  plattScaling,
} from "../../../inference/training/classification-metrics.ts";
import { sigmoid } from "../../../inference/training/exact-math.ts";
import { Noise } from "../../../inference/training/noise.ts";

const rows = fc
  .array(fc.record({ score: fc.integer({ min: 0, max: 6 }), label: fc.constantFrom(0, 1) }), { minLength: 2, maxLength: 40 })
  .filter((all) => new Set(all.map(({ label }) => label)).size === 2);

test("the area under the curve is the share of pairs in the right order, equal ones counting a half", () => {
  fc.assert(
    fc.property(rows, (all) => {
      const pairs = all
        .filter(({ label }) => label === 1)
        .flatMap((one) => all.filter(({ label }) => label === 0).map((zero) => one.score - zero.score));
      const expected = pairs.reduce((sum, by) => sum + (by > 0 ? 1 : by === 0 ? 0.5 : 0), 0) / pairs.length;
      const area = areaUnderCurve({ probabilities: all.map(({ score }) => score / 6), labels: all.map(({ label }) => label) });
      assert.ok(Math.abs(area - expected) < 1e-12);
    }),
  );
});

test("four rows by hand", () => {
  const four = { probabilities: [0.9, 0.8, 0.3, 0.1], labels: [1, 0, 1, 0] };
  assert.deepEqual(atThreshold(four, 0.3), { threshold: 0.3, precision: 2 / 3, recall: 1, flagged: 0.75 });
  assert.equal(averagePrecision(four), (1 + 2 / 3) / 2);
  assert.ok(Math.abs(brierScore(four) - (0.01 + 0.64 + 0.49 + 0.01) / 4) < 1e-12);
  assert.ok(Math.abs(logLoss(four) + (Math.log(0.9) + Math.log(0.2) + Math.log(0.3) + Math.log(0.9)) / 4) < 1e-12);
  assert.ok(bestThreshold(four) <= 0.3);
});

test("logits that are twice too sure and shifted: scaling makes them right", () => {
  const noise = new Noise(8);
  const truth = Array.from({ length: 20_000 }, () => noise.normal());
  const labels = truth.map((logit) => (noise.uniform() < sigmoid(logit) ? 1 : 0));
  const told = truth.map((logit) => 2 * logit + 1);
  const { scale, shift } = plattScaling(told, labels);
  assert.ok(Math.abs(scale - 0.5) < 0.03 && Math.abs(shift + 0.5) < 0.05, `${scale} ${shift}`);
  const before = calibrationError({ probabilities: told.map(sigmoid), labels });
  const after = calibrationError({ probabilities: told.map((logit) => sigmoid(scale * logit + shift)), labels });
  assert.ok(after < 0.02 && before > 0.1, `${before} ${after}`);
});
