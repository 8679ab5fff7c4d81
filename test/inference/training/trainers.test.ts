/** Each trainer on a problem whose answer is known. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { logitOf, trainTrees } from "../../../inference/training/boosted-trees.ts";
import { type DenseNetwork, newNetwork, outputsOf, trainNetwork } from "../../../inference/training/dense-network.ts";
import { sigmoid } from "../../../inference/training/exact-math.ts";
import { Noise } from "../../../inference/training/noise.ts";
import { rowAt, rowsOf } from "../../../inference/training/rows.ts";
import { probabilitiesOf, trainSoftmax } from "../../../inference/training/softmax-regression.ts";

const BOOSTING = { trees: 60, depth: 3, learningRate: 0.3, l2: 1, leafWeightMin: 1, gainMin: 0 };

test("a rule of two features among noise: the trees learn where it turns, and split by nothing else first", () => {
  const noise = new Noise(1);
  const drawn = Array.from({ length: 4_000 }, () => Array.from({ length: 5 }, () => noise.within(-1, 1)));
  const isOne = ([a, , b]: readonly number[]): boolean => a! > 0.25 !== b! > -0.5;
  const trees = trainTrees(
    rowsOf(drawn, 5),
    Uint8Array.from(drawn, (row) => (isOne(row) ? 1 : 0)),
    BOOSTING,
  );
  const fresh = Array.from({ length: 2_000 }, () => Array.from({ length: 5 }, () => noise.within(-1, 1)));
  const right = fresh.filter((row) => sigmoid(logitOf(trees, row)) > 0.5 === isOne(row)).length;
  assert.ok(right > 1_920, `${right} of 2000`);
  const thresholds = trees.trees[0]!.filter(({ feature }) => feature >= 0);
  assert.ok(
    thresholds.some(({ feature, threshold }) => feature === 0 && Math.abs(threshold - 0.25) < 0.05) ||
      thresholds.some(({ feature, threshold }) => feature === 2 && Math.abs(threshold + 0.5) < 0.05),
  );
});

test("features that say nothing: every row gets the share of ones", () => {
  const rows = rowsOf(new Array<readonly number[]>(1_000).fill([1, 2]), 2);
  const labels = Uint8Array.from({ length: 1_000 }, (_, i) => (i % 10 === 0 ? 1 : 0));
  const trees = trainTrees(rows, labels, BOOSTING);
  assert.ok(Math.abs(sigmoid(logitOf(trees, [1, 2])) - 0.1) < 1e-6);
});

test("the same rows and labels give the same trees", () => {
  const noise = new Noise(2);
  const drawn = Array.from({ length: 500 }, () => [noise.normal(), noise.normal()]);
  const labels = Uint8Array.from(drawn, ([a, b]) => (a! + b! + noise.normal() > 0 ? 1 : 0));
  assert.deepEqual(trainTrees(rowsOf(drawn, 2), labels, BOOSTING), trainTrees(rowsOf(drawn, 2), labels, BOOSTING));
});

test("one step along the slopes of a network is what nudging each weight says", () => {
  const network = newNetwork([3, 4, 3, 2], 7);
  const row = Float64Array.from([0.5, -1.25, 2]);
  const targets = [0.3, -0.7];
  const lossOf = (): number => outputsOf(network, row).reduce((sum, y, o) => sum + (y - targets[o]!) ** 2 / 2, 0);
  const weights = [...network.layers.flatMap((layer) => [layer.weights, layer.biases]), network.straight.weights];
  const nudged = weights.flatMap((values) => [...values.keys()].map((i) => slopeBy(values, i, lossOf)));
  const before = weights.flatMap((values) => [...values]);
  const slopeOf = (outputs: Float64Array, _: number, slopes: Float64Array): void => {
    for (let o = 0; o < 2; o++) slopes[o] = outputs[o]! - targets[o]!;
  };
  trainNetwork(network, { width: 3, count: 1, values: row }, slopeOf, { seed: 1, epochs: 1, batch: 1, learningRate: 1, decay: 0 });
  // The first step of Adam is as long for every weight: what it tells of a slope is its sign.
  const moved = weights.flatMap((values) => [...values]).map((after, i) => after - before[i]!);
  const told = nudged.filter((slope) => Math.abs(slope) > 1e-6).length;
  assert.ok(told > 20, `${told}`);
  for (const [i, slope] of nudged.entries()) {
    if (Math.abs(slope) > 1e-6) assert.equal(Math.sign(moved[i]!), -Math.sign(slope), `weight ${i}`);
    else assert.ok(Math.abs(moved[i]!) < 1e-2, `weight ${i}`);
  }
});

test("a sum with a bend in it: the network learns it", () => {
  const noise = new Noise(3);
  const wanted = (row: ArrayLike<number>): number => 2 * row[0]! - row[1]! + 3 * Math.abs(row[1]!);
  const drawn = Array.from({ length: 2_000 }, () => [noise.within(-1, 1), noise.within(-1, 1)]);
  const network: DenseNetwork = newNetwork([2, 8, 1], 4);
  const rows = rowsOf(drawn, 2);
  const slopeOf = ([y]: Float64Array, i: number, slopes: Float64Array): void => {
    slopes[0] = y! - wanted(rowAt(rows, i));
  };
  trainNetwork(network, rows, slopeOf, { seed: 5, epochs: 30, batch: 16, learningRate: 0.01, decay: 0 });
  const off = Array.from({ length: 200 }, () => {
    const row = [noise.within(-1, 1), noise.within(-1, 1)];
    return Math.abs(outputsOf(network, row)[0]! - wanted(row));
  });
  assert.ok(Math.max(...off) < 0.15, `${Math.max(...off)}`);
});

test("bags with a telling token: the regression finds it among others, and knows nothing of an empty one", () => {
  const noise = new Noise(6);
  const bags = Array.from({ length: 3_000 }, () => {
    const label = Math.floor(noise.within(0, 3));
    const others = Array.from({ length: 6 }, () => 10 + Math.floor(noise.within(0, 50)));
    return { label, tokens: [...others, 1 + label, 0, 0] };
  });
  const model = trainSoftmax(bags, {
    seed: 1,
    tokens: 64,
    classes: 3,
    epochs: 5,
    learningRate: 0.3,
    l2: 1e-5,
    smoothing: 0.03,
    dropout: 0,
  });
  for (let label = 0; label < 3; label++) assert.ok(probabilitiesOf(model, [20, 30, 1 + label])[label]! > 0.8);
  for (const probability of probabilitiesOf(model, [0, 0, 0])) assert.ok(Math.abs(probability - 1 / 3) < 0.15, `${probability}`);
});

function slopeBy(values: Float64Array, i: number, lossOf: () => number): number {
  const kept = values[i]!;
  values[i] = kept + 1e-6;
  const above = lossOf();
  values[i] = kept - 1e-6;
  const below = lossOf();
  values[i] = kept;
  return (above - below) / 2e-6;
}
