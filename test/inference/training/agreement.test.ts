/** What ONNX Runtime makes of the files, against the trainers' own arithmetic. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SENTIMENT_BUCKETS, SENTIMENT_TOKENS } from "../../../actors/conversations/sentiment-features.ts";
import { WINDOW_HOURS } from "../../../actors/sensors/hour-window.ts";
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";
import { logitOf } from "../../../inference/training/boosted-trees.ts";
import { sigmoid } from "../../../inference/training/exact-math.ts";
import { forecastGraph, servedForecast } from "../../../inference/training/forecast/forecast-graph.ts";
import { forecastOf, newForecaster, scaleOf } from "../../../inference/training/forecast/forecaster.ts";
import { fraudGraph, servedFraud } from "../../../inference/training/fraud/fraud-graph.ts";
import { trainFraud } from "../../../inference/training/fraud/fraud-training.ts";
import { Noise } from "../../../inference/training/noise.ts";
import { rowAt, rowsOf } from "../../../inference/training/rows.ts";
import { MOODS } from "../../../inference/training/sentiment/labelled-contexts.ts";
import { sentimentGraph, servedSentiment } from "../../../inference/training/sentiment/sentiment-graph.ts";
import { probabilitiesOf } from "../../../inference/training/softmax-regression.ts";
import { servedGraph } from "./served.ts";
import { SMALL_FRAUD } from "./small-options.ts";

const NEAR = 1e-5;

test("random rows of fraud features: the served probability is the trainer's within 1e-5", async () => {
  const { trees, test: unseen } = trainFraud(SMALL_FRAUD);
  const noise = new Noise(1);
  const random = Array.from({ length: 500 }, () => FRAUD_FEATURES.map(() => noise.normal() * noise.logNormal(2)));
  // On a threshold itself, and a float32 away from it: where a row must turn the way that the trainer says.
  const edges = trees.trees.flat().flatMap(({ feature, threshold }) => {
    if (feature < 0) return [];
    return [threshold, threshold * (1 + 2 ** -22), threshold * (1 - 2 ** -22)].map((value) => random[0]!.with(feature, value));
  });
  const known = Array.from({ length: unseen.rows.count }, (_, i) => [...rowAt(unseen.rows, i)]);
  const rows = [...random, ...edges, ...known];
  assert.ok(edges.length > 100);
  await using served = await servedGraph(fraudGraph(trees), servedFraud(0.5));
  const answers = await served.answers(rows.map((features) => ({ features })));
  const inputs = rowsOf(rows, FRAUD_FEATURES.length);
  for (const [i, answer] of answers.entries()) {
    const { probability, verdict, confidence } = answer as { probability: number; verdict: string; confidence: number };
    const expected = sigmoid(logitOf(trees, rowAt(inputs, i)));
    near(probability, expected);
    near(confidence, Math.max(probability, 1 - probability));
    assert.equal(verdict, probability > 0.5 ? "fraud" : "honest");
  }
});

test("random bags of tokens, an empty one and a full one: the served probabilities are the trainer's within 1e-5", async () => {
  const noise = new Noise(2);
  const classes = MOODS.length;
  const weights = Float64Array.from({ length: SENTIMENT_BUCKETS * classes }, () => Math.fround(noise.normal()));
  const model = { classes, weights, biases: Float64Array.from([0.25, -0.5, 0.125]) };
  const bags = Array.from({ length: 300 }, (_, i) => {
    const size = i === 0 ? 0 : i === 1 ? SENTIMENT_TOKENS : Math.floor(noise.within(0, SENTIMENT_TOKENS));
    return Array.from({ length: SENTIMENT_TOKENS }, (_, k) => (k < size ? 1 + Math.floor(noise.within(0, SENTIMENT_BUCKETS - 1)) : 0));
  });
  await using served = await servedGraph(sentimentGraph({ ...model, weights: weights.fill(0, 0, classes) }), servedSentiment(0.6));
  const answers = await served.answers(bags.map((tokens) => ({ tokens })));
  for (const [i, answer] of answers.entries()) {
    const { sentiment, confidence, probabilities } = answer as {
      sentiment: string;
      confidence: number;
      probabilities: Record<string, number>;
    };
    const expected = probabilitiesOf(model, bags[i]!);
    for (const [c, mood] of MOODS.entries()) near(probabilities[mood]!, expected[c]!);
    near(confidence, Math.max(...expected));
    assert.equal(probabilities[sentiment], confidence);
  }
});

test("windows on many levels, constant ones and ones with spikes: the served forecast is the trainer's within 1e-5 of the window's spread", async () => {
  const noise = new Noise(3);
  const network = newForecaster({ hidden: [32, 16], seed: 4 });
  for (const values of [network.straight.weights, ...network.layers.flatMap(({ weights, biases }) => [weights, biases])])
    for (let i = 0; i < values.length; i++) values[i] = Math.fround(values[i]! + 0.1 * noise.normal());
  network.straight.biases.fill(0);
  const windows = Array.from({ length: 300 }, (_, i) => {
    const level = noise.within(-1, 1) * noise.logNormal(3);
    const spread = i % 10 === 0 ? 0 : noise.logNormal(3);
    return Array.from({ length: WINDOW_HOURS }, () => level + spread * (noise.uniform() < 0.03 ? 50 : noise.normal()));
  });
  await using served = await servedGraph(forecastGraph(network), servedForecast());
  const answers = await served.answers(windows.map((hours) => ({ hours })));
  for (const [i, answer] of answers.entries()) {
    const { forecast, deviation } = answer as { forecast: number; deviation: number };
    const expected = forecastOf(network, windows[i]!);
    const { spread } = scaleOf(windows[i]!);
    near((forecast - expected.forecast) / spread, 0);
    near(deviation / expected.deviation, 1);
    assert.ok(deviation > 0);
  }
});

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= NEAR, `${actual} is not ${expected}`);
}
