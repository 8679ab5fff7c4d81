/**
 * Multinomial logistic regression over bags of numbered tokens: the logits of a bag are the sum of the weights of its
 * tokens by the square root of how many they are. Token 0 fills up and counts for nothing. Trained by stochastic gradient
 * descent with a step of its own for each weight.
 *
 * Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive Subgradient Methods", JMLR 12, 2011.
 */
import { exp } from "./exact-math.ts";
import { Noise } from "./noise.ts";

export interface Bag {
  readonly tokens: readonly number[];
  readonly label: number;
}

/** Weight of token t for class c lies at t * classes + c. */
export interface SoftmaxRegression {
  readonly classes: number;
  readonly weights: Float64Array;
  readonly biases: Float64Array;
}

export interface SoftmaxOptions {
  readonly seed: number;
  readonly tokens: number;
  readonly classes: number;
  readonly epochs: number;
  readonly learningRate: number;
  /** What a weight is drawn to 0 by whenever its token is met. */
  readonly l2: number;
  /** Of a label, what is given to the other classes: so that nothing is ever quite certain. */
  readonly smoothing: number;
  /** Of the tokens of a bag, what is left out each time, so that no label hangs on one token alone. */
  readonly dropout: number;
}

/** Weights become what float32 has. */
export function trainSoftmax(bags: readonly Bag[], options: SoftmaxOptions): SoftmaxRegression {
  const { classes, learningRate, l2, smoothing } = options;
  const model = { classes, weights: new Float64Array(options.tokens * classes), biases: new Float64Array(classes) };
  const squares = new Float64Array(model.weights.length).fill(1e-6);
  const biasSquares = new Float64Array(classes).fill(1e-6);
  const noise = new Noise(options.seed);
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    for (const i of noise.order(bags.length)) {
      const { label } = bags[i]!;
      const tokens = bags[i]!.tokens.filter((token) => token !== 0 && noise.uniform() >= options.dropout);
      const probabilities = probabilitiesOf(model, tokens);
      const scale = 1 / Math.sqrt(sizeOf(tokens));
      for (let c = 0; c < classes; c++) {
        const meant = c === label ? 1 - smoothing : smoothing / (classes - 1);
        const slope = probabilities[c]! - meant;
        biasSquares[c]! += slope * slope;
        model.biases[c]! -= (learningRate * slope) / Math.sqrt(biasSquares[c]!);
        for (const token of tokens) {
          const at = token * classes + c;
          const own = slope * scale + l2 * model.weights[at]!;
          squares[at]! += own * own;
          model.weights[at]! -= (learningRate * own) / Math.sqrt(squares[at]!);
        }
      }
    }
  }
  return { classes, weights: model.weights.map(Math.fround), biases: model.biases.map(Math.fround) };
}

export function probabilitiesOf({ classes, weights, biases }: SoftmaxRegression, tokens: readonly number[]): number[] {
  const sums = new Array<number>(classes).fill(0);
  for (const token of tokens) {
    if (token === 0) continue;
    for (let c = 0; c < classes; c++) sums[c]! += weights[token * classes + c]!;
  }
  const scale = 1 / Math.sqrt(sizeOf(tokens));
  const logits = sums.map((sum, c) => sum * scale + biases[c]!);
  const most = Math.max(...logits);
  const powers = logits.map((logit) => exp(logit - most));
  const all = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / all);
}

/** Never 0, so that an empty bag can be divided by it. */
function sizeOf(tokens: readonly number[]): number {
  return Math.max(
    1,
    tokens.reduce((count, token) => (token === 0 ? count : count + 1), 0),
  );
}
