/**
 * Trains the fraud model: boosted trees over the features of the actor, with as many trees as other customers bear out,
 * its logits made probabilities by yet other ones, and all figures on customers that neither has seen.
 */
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";
import { type BoostedTrees, type BoostingOptions, leafValue, logitOf, rescaled, trainTrees } from "../boosted-trees.ts";
import {
  areaUnderCurve,
  atThreshold,
  averagePrecision,
  bestThreshold,
  brierScore,
  calibrationError,
  type Labelled,
  logLoss,
  plattScaling,
} from "../classification-metrics.ts";
import { newNetwork, outputsOf, trainNetwork } from "../dense-network.ts";
import { log, sigmoid } from "../exact-math.ts";
import { type Rows, rowAt } from "../rows.ts";
import { FRAUD_PATTERNS } from "./fraud-patterns.ts";
import { type LabelledRows, labelledTransactions } from "./labelled-transactions.ts";
import { ruleScore } from "./rule-score.ts";

export interface FraudOptions {
  readonly seed: number;
  /** To train, to choose with, to measure with; of each. */
  readonly customers: readonly [training: number, choice: number, test: number];
  readonly days: number;
  readonly boosting: BoostingOptions;
}

export const FRAUD_OPTIONS: FraudOptions = {
  seed: 20_260,
  customers: [700, 250, 400],
  days: 45,
  boosting: { trees: 160, depth: 5, learningRate: 0.12, l2: 2, leafWeightMin: 4, gainMin: 0.5 },
};

export interface TrainedFraud {
  readonly trees: BoostedTrees;
  /** Of the probability, where precision and recall are in balance on the customers to choose with. */
  readonly threshold: number;
  readonly training: LabelledRows;
  readonly test: LabelledRows;
}

export function trainFraud({ seed, customers, days, boosting }: FraudOptions): TrainedFraud {
  const drawn = (k: 0 | 1 | 2): LabelledRows => labelledTransactions({ seed: seed + k, customers: customers[k], days });
  const [training, choice, test] = [drawn(0), drawn(1), drawn(2)];
  const trees = bestOf(training, choice, boosting);
  const probabilities = probabilitiesOf(trees, choice.rows);
  return { trees, threshold: bestThreshold({ probabilities, labels: choice.reported }), test, training };
}

export function probabilitiesOf(trees: BoostedTrees, rows: Rows): Float64Array {
  return Float64Array.from({ length: rows.count }, (_, i) => sigmoid(logitOf(trees, rowAt(rows, i))));
}

/** Of the trees as many as make the loss on `choice` least, with logits as they fit there. */
function bestOf(training: LabelledRows, choice: LabelledRows, options: BoostingOptions): BoostedTrees {
  const sums = new Float64Array(choice.rows.count);
  let best = { count: 0, loss: Number.POSITIVE_INFINITY };
  let count = 0;
  const trained = trainTrees(training.rows, training.reported, options, (tree, base) => {
    count++;
    for (let i = 0; i < sums.length; i++) sums[i]! += leafValue(tree, rowAt(choice.rows, i));
    const loss = logLoss({ probabilities: sums.map((sum) => sigmoid(sum + base)), labels: choice.reported });
    if (loss < best.loss) best = { count, loss };
  });
  const kept = { ...trained, trees: trained.trees.slice(0, best.count) };
  const logits = Float64Array.from({ length: choice.rows.count }, (_, i) => logitOf(kept, rowAt(choice.rows, i)));
  const { scale, shift } = plattScaling(logits, choice.reported);
  return rescaled(kept, scale, shift);
}

/** On customers that the model has not seen, by what was the case and not by what was reported. */
export function fraudFigures({ trees, threshold, test, training }: TrainedFraud): string[] {
  const { labels, rows } = test;
  const own: Labelled = { probabilities: probabilitiesOf(trees, rows), labels };
  const rules: Labelled = { probabilities: Float64Array.from({ length: rows.count }, (_, i) => ruleScore(rowAt(rows, i))), labels };
  const linear: Labelled = { probabilities: networkProbabilities([], training, rows), labels };
  const network: Labelled = { probabilities: networkProbabilities([32, 16], training, rows), labels };
  const share = (sum: number): string => `${(100 * sum).toFixed(2)} %`;
  const count = labels.reduce((sum, label) => sum + label, 0);
  const line = (name: string, one: Labelled): string =>
    `| ${name} | ${areaUnderCurve(one).toFixed(4)} | ${averagePrecision(one).toFixed(3)} |`;
  const at = (name: string, one: Labelled, from: number): string => {
    const { precision, recall, flagged } = atThreshold(one, from);
    return `| ${name} | ${from.toFixed(2)} | ${share(precision)} | ${share(recall)} | ${share(flagged)} |`;
  };
  return [
    `Measured on ${rows.count} transactions of customers that training has not seen, ${count} of them fraud (${share(count / rows.count)}); trained on ${training.rows.count}. The model has ${trees.trees.length} trees.`,
    "",
    "| | area under the ROC curve | average precision |",
    "|---|---|---|",
    line("boosted trees (ships)", own),
    line("network, 32 and 16 units", network),
    line("logistic regression", linear),
    line("five rules, by how many hold", rules),
    "",
    "| | flagged from | precision | recall | flagged |",
    "|---|---|---|---|---|",
    at("boosted trees", own, threshold),
    at("boosted trees", own, 0.5),
    at("boosted trees", own, 0.9),
    at("one rule", rules, 0.2),
    at("two rules", rules, 0.4),
    "",
    `Probabilities: Brier score ${brierScore(own).toFixed(5)}, off by ${share(calibrationError(own))} on average over ten bands.`,
    "",
    `| pattern | transactions | found at ${threshold.toFixed(2)} | found by one rule |`,
    "|---|---|---|---|",
    ...FRAUD_PATTERNS.map(({ name }) => patternLine(name, test, own, rules, threshold)),
  ];
}

function patternLine(name: string, { patterns }: LabelledRows, own: Labelled, rules: Labelled, threshold: number): string {
  const of = patterns.flatMap((pattern, i) => (pattern === name ? [i] : []));
  const found = (one: Labelled, from: number): string =>
    `${Math.round((100 * of.filter((i) => one.probabilities[i]! >= from).length) / Math.max(1, of.length))} %`;
  return `| ${name} | ${of.length} | ${found(own, threshold)} | ${found(rules, 0.2)} |`;
}

/** A network over the same features, its inputs on a scale that suits it. Without hidden layers it is a logistic regression. */
function networkProbabilities(hidden: readonly number[], { rows, reported }: LabelledRows, test: Rows): Float64Array {
  const scales = Array.from({ length: rows.width }, (_, j) => scaleOf(rows, j));
  const scaled = (from: Rows): Rows => ({ ...from, values: from.values.map((value, at) => scales[at % from.width]!(value)) });
  const network = newNetwork([FRAUD_FEATURES.length, ...hidden, 1], 5);
  const options = { seed: 6, epochs: 6, batch: 64, learningRate: 3e-3, decay: 1e-3 };
  const slopeOf = ([logit]: Float64Array, i: number, slopes: Float64Array): void => {
    slopes[0] = sigmoid(logit!) - reported[i]!;
  };
  trainNetwork(network, scaled(rows), slopeOf, options);
  const inputs = scaled(test);
  return Float64Array.from({ length: test.count }, (_, i) => sigmoid(outputsOf(network, rowAt(inputs, i))[0]!));
}

function scaleOf({ values, width, count }: Rows, j: number): (value: number) => number {
  const bent = (value: number): number => Math.sign(value) * log(1 + Math.abs(value));
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const value = bent(values[i * width + j]!);
    sum += value;
    squares += value * value;
  }
  const mean = sum / count;
  const spread = Math.sqrt(Math.max(1e-9, squares / count - mean * mean));
  return (value) => (bent(value) - mean) / spread;
}
