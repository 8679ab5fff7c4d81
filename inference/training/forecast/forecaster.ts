/**
 * The forecaster: what the next hour's mean should be, and by how much it is off on average. It sees the last 48 hours on
 * a scale of their own (how far from their mean they are on average is 1), so it knows no units and no levels. A network
 * weighs plain forecasts against each other (as the hour before, as yesterday, …) by how well the hours repeat, and
 * corrects the mixture: where a device does the same every day, that is what it is expected to do.
 *
 * Source: R. Jacobs et al., "Adaptive Mixtures of Local Experts", Neural Computation 3, 1991.
 */
import { WINDOW_HOURS } from "../../../actors/sensors/hour-window.ts";
import { type DenseNetwork, newNetwork, outputsOf, trainNetwork } from "../dense-network.ts";
import { exp, sigmoid, softplus } from "../exact-math.ts";
import type { Rows } from "../rows.ts";

/** What is further out is an odd hour, whose size says nothing. */
export const SCALED_MAX = 8;
/** Of the mean, and of anything: what hours differ by that are all the same. These are float32, as the graph has them. */
export const SPREAD_MIN_SHARE = Math.fround(1e-5);
export const SPREAD_MIN = Math.fround(1e-9);
/** So that nothing is ever expected to be exact; on the window's scale. */
export const DEVIATION_MIN = Math.fround(0.01);
/** A step must not follow one hour that was expected with certainty and is off. */
const SLOPE_MAX = 10;

/** Weights of hours, by hours ago: 1 is the newest one, 24 the same hour of yesterday. */
type Weighted = readonly (readonly [ago: number, weight: number])[];

const EXPERTS: readonly Weighted[] = [
  [[1, 1]],
  [[24, 1]],
  [[48, 1]],
  [
    [24, 0.5],
    [48, 0.5],
  ],
  // What yesterday brought from this hour to the next.
  [
    [1, 1],
    [24, 1],
    [25, -1],
  ],
  [
    [1, 2],
    [2, -1],
  ],
  [
    [1, 0.4],
    [2, 0.3],
    [3, 0.2],
    [4, 0.1],
  ],
  Array.from({ length: 24 }, (_, i) => [i + 1, 1 / 24] as const),
];
/** From hour to hour, and from day to day: how well the hours repeat is in the sizes of these. */
const DIFFERENCES: readonly Weighted[] = [
  ...Array.from(
    { length: WINDOW_HOURS - 1 },
    (_, i): Weighted => [
      [i + 1, 1],
      [i + 2, -1],
    ],
  ),
  ...Array.from(
    { length: WINDOW_HOURS - 24 },
    (_, i): Weighted => [
      [i + 1, 1],
      [i + 25, -1],
    ],
  ),
];

export const EXPERT_COUNT = EXPERTS.length;
export const DIFFERENCE_COUNT = DIFFERENCES.length;
/** Weights from the hours of a window, the oldest first: that of hour i for column c lies at i * columns + c. */
export const EXPERT_WEIGHTS = matrixOf(EXPERTS);
export const DIFFERENCE_WEIGHTS = matrixOf(DIFFERENCES);

/** Outputs: a logit for each expert, the correction, and what becomes the deviation. */
const CORRECTION = EXPERT_COUNT;
const DEVIATION = EXPERT_COUNT + 1;
const OUTPUTS = EXPERT_COUNT + 2;
export const NETWORK_INPUTS = WINDOW_HOURS + DIFFERENCE_COUNT;

export interface Forecast {
  readonly forecast: number;
  /** Mean absolute error that is to be expected. */
  readonly deviation: number;
}

interface Scale {
  readonly centre: number;
  readonly spread: number;
}

export function scaleOf(hours: readonly number[]): Scale {
  const centre = hours.reduce((sum, hour) => sum + hour, 0) / hours.length;
  const spread = hours.reduce((sum, hour) => sum + Math.abs(hour - centre), 0) / hours.length;
  return { centre, spread: Math.max(spread, SPREAD_MIN_SHARE * Math.abs(centre), SPREAD_MIN) };
}

/** What the network is given: the scaled hours as float32 has them, and the sizes of their differences. */
export function networkInput(hours: readonly number[], { centre, spread }: Scale): Float64Array {
  const scaled = Float64Array.from(hours, (hour) => bounded(Math.fround((hour - centre) / spread)));
  const input = new Float64Array(NETWORK_INPUTS);
  input.set(scaled);
  for (let c = 0; c < DIFFERENCE_COUNT; c++) input[WINDOW_HOURS + c] = Math.abs(productOf(scaled, DIFFERENCE_WEIGHTS, c, DIFFERENCE_COUNT));
  return input;
}

export function bounded(scaled: number): number {
  return Math.max(-SCALED_MAX, Math.min(SCALED_MAX, scaled));
}

export function forecastOf(network: DenseNetwork, hours: readonly number[]): Forecast {
  const scale = scaleOf(hours);
  const input = networkInput(hours, scale);
  const outputs = outputsOf(network, input);
  const { value } = mixed(outputs, expertsOf(input));
  return { forecast: scale.centre + value * scale.spread, deviation: (softplus(outputs[DEVIATION]!) + DEVIATION_MIN) * scale.spread };
}

export interface ForecastOptions {
  readonly seed: number;
  readonly hidden: readonly number[];
  readonly epochs: number;
}

export function newForecaster({ hidden, seed }: Pick<ForecastOptions, "hidden" | "seed">): DenseNetwork {
  return newNetwork([NETWORK_INPUTS, ...hidden, OUTPUTS], seed);
}

/**
 * `inputs` as the network is given them, `targets` on the scale of their windows. The loss is that of a Laplace
 * distribution: an odd hour does not weigh by its square.
 */
export function trainForecaster(inputs: Rows, targets: Float64Array, how: ForecastOptions): DenseNetwork {
  const network = newForecaster(how);
  const candidates = Array.from({ length: inputs.count }, (_, i) =>
    expertsOf(inputs.values.subarray(i * inputs.width, (i + 1) * inputs.width)),
  );
  const slopeOf = (outputs: Float64Array, i: number, slopes: Float64Array): void => {
    const { value, shares } = mixed(outputs, candidates[i]!);
    const error = value - targets[i]!;
    const expected = softplus(outputs[DEVIATION]!) + DEVIATION_MIN;
    const slope = clipped(Math.sign(error) / expected);
    const mixture = value - outputs[CORRECTION]!;
    for (let k = 0; k < EXPERT_COUNT; k++) slopes[k] = slope * shares[k]! * (candidates[i]![k]! - mixture);
    slopes[CORRECTION] = slope;
    slopes[DEVIATION] = clipped(1 / expected - Math.abs(error) / (expected * expected)) * sigmoid(outputs[DEVIATION]!);
  };
  trainNetwork(network, inputs, slopeOf, { seed: how.seed + 1, epochs: how.epochs, batch: 64, learningRate: 3e-3, decay: 1e-3 });
  return rounded(network);
}

function mixed(outputs: Float64Array, candidates: Float64Array): { readonly value: number; readonly shares: Float64Array } {
  let most = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < EXPERT_COUNT; k++) most = Math.max(most, outputs[k]!);
  const shares = new Float64Array(EXPERT_COUNT);
  let all = 0;
  for (let k = 0; k < EXPERT_COUNT; k++) {
    shares[k] = exp(outputs[k]! - most);
    all += shares[k]!;
  }
  let value = outputs[CORRECTION]!;
  for (let k = 0; k < EXPERT_COUNT; k++) {
    shares[k]! /= all;
    value += shares[k]! * candidates[k]!;
  }
  return { value, shares };
}

function expertsOf(input: Float64Array): Float64Array {
  return Float64Array.from({ length: EXPERT_COUNT }, (_, k) => productOf(input, EXPERT_WEIGHTS, k, EXPERT_COUNT));
}

function productOf(hours: Float64Array, weights: Float64Array, column: number, columns: number): number {
  let sum = 0;
  for (let i = 0; i < WINDOW_HOURS; i++) sum += hours[i]! * weights[i * columns + column]!;
  return sum;
}

function matrixOf(columns: readonly Weighted[]): Float64Array {
  const weights = new Float64Array(WINDOW_HOURS * columns.length);
  for (const [c, column] of columns.entries()) {
    for (const [ago, weight] of column) weights[(WINDOW_HOURS - ago) * columns.length + c] = Math.fround(weight);
  }
  return weights;
}

function clipped(slope: number): number {
  return Math.max(-SLOPE_MAX, Math.min(SLOPE_MAX, slope));
}

/** Weights as float32 has them, which is what ships. */
function rounded({ layers, straight }: DenseNetwork): DenseNetwork {
  const round = <L extends DenseNetwork["straight"]>(layer: L): L => ({
    ...layer,
    weights: layer.weights.map(Math.fround),
    biases: layer.biases.map(Math.fround),
  });
  return { layers: layers.map(round), straight: round(straight) };
}
