/**
 * A small feed-forward network: hidden layers with ReLU, a linear last one, and beside them a linear way straight from
 * the input to the output, so that the hidden layers need only learn what is not linear. Trained with Adam. The loss is
 * the caller's: it gives the slope of each output. Deterministic: one thread, rows in a seeded order.
 *
 * Source: D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015; initial weights after K. He et al.,
 * "Delving Deep into Rectifiers", ICCV 2015.
 */
import { exp, log } from "./exact-math.ts";
import { Noise } from "./noise.ts";
import { type Rows, rowAt } from "./rows.ts";

/** Weight of input i for output o lies at i * outputs + o, as ONNX multiplies a row with a matrix. */
export interface DenseLayer {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: Float64Array;
  readonly biases: Float64Array;
}

export interface DenseNetwork {
  /** At least the last one. */
  readonly layers: readonly DenseLayer[];
  /** Its biases stay 0. */
  readonly straight: DenseLayer;
}

export interface DenseOptions {
  readonly seed: number;
  readonly epochs: number;
  readonly batch: number;
  /** Of the first step; it falls along a half cosine to a hundredth of that. */
  readonly learningRate: number;
  /** What weights are drawn to 0 by in each step, times the learning rate. */
  readonly decay: number;
}

/** Puts into `slopes` how the loss of row i changes with each output. */
export type LossSlope = (outputs: Float64Array, i: number, slopes: Float64Array) => void;

const FIRST_MOMENT = 0.9;
const SECOND_MOMENT = 0.999;
const TINY = 1e-8;

export function newNetwork(sizes: readonly number[], seed: number): DenseNetwork {
  const noise = new Noise(seed);
  const layers = sizes.slice(1).map((outputs, k) => {
    const inputs = sizes[k]!;
    const spread = Math.sqrt(2 / inputs) * (k === sizes.length - 2 ? 0.1 : 1);
    return {
      inputs,
      outputs,
      weights: Float64Array.from({ length: inputs * outputs }, () => spread * noise.normal()),
      biases: new Float64Array(outputs),
    };
  });
  const [inputs, outputs] = [sizes[0]!, sizes.at(-1)!];
  return { layers, straight: { inputs, outputs, weights: new Float64Array(inputs * outputs), biases: new Float64Array(outputs) } };
}

/** Changes the network. */
export function trainNetwork(network: DenseNetwork, rows: Rows, slopeOf: LossSlope, options: DenseOptions): void {
  const training = new Training(network);
  const noise = new Noise(options.seed);
  const steps = options.epochs * Math.ceil(rows.count / options.batch);
  let step = 0;
  for (let epoch = 0; epoch < options.epochs; epoch++) {
    const order = noise.order(rows.count);
    for (let from = 0; from < rows.count; from += options.batch) {
      const until = Math.min(rows.count, from + options.batch);
      for (let k = from; k < until; k++) training.add(rowAt(rows, order[k]!), order[k]!, slopeOf);
      step++;
      const rate = options.learningRate * (0.01 + 0.99 * (1 - step / steps) * (1 - step / steps));
      training.step(rate, options.decay, until - from, step);
    }
  }
}

export function outputsOf(network: DenseNetwork, row: ArrayLike<number>): Float64Array {
  const run = new Run(network);
  run.forward(row);
  return run.outputs.slice();
}

/** Values of every layer for one row, kept between the way forth and the way back. */
class Run {
  readonly values: readonly Float64Array[];
  readonly outputs: Float64Array;
  readonly #network: DenseNetwork;

  constructor(network: DenseNetwork) {
    this.#network = network;
    this.values = network.layers.map(({ outputs }) => new Float64Array(outputs));
    this.outputs = this.values.at(-1)!;
  }

  forward(row: ArrayLike<number>): void {
    const { layers, straight } = this.#network;
    let below = row;
    for (const [k, layer] of layers.entries()) {
      const values = this.values[k]!;
      values.set(layer.biases);
      addProduct(layer, below, values);
      if (k === layers.length - 1) addProduct(straight, row, values);
      else for (let o = 0; o < values.length; o++) values[o] = Math.max(0, values[o]!);
      below = values;
    }
  }
}

function addProduct({ inputs, outputs, weights }: DenseLayer, row: ArrayLike<number>, into: Float64Array): void {
  for (let i = 0; i < inputs; i++) {
    const x = row[i]!;
    if (x === 0) continue;
    for (let o = 0, at = i * outputs; o < outputs; o++, at++) into[o]! += x * weights[at]!;
  }
}

/** Slopes of one batch, and the moments of Adam. */
class Training {
  readonly #network: DenseNetwork;
  readonly #run: Run;
  readonly #slopes: readonly Float64Array[];
  readonly #parameters: readonly Parameters[];

  constructor(network: DenseNetwork) {
    this.#network = network;
    this.#run = new Run(network);
    this.#slopes = network.layers.map(({ outputs }) => new Float64Array(outputs));
    this.#parameters = [...network.layers, network.straight].map((layer) => new Parameters(layer));
  }

  add(row: Float64Array, i: number, slopeOf: LossSlope): void {
    const { layers } = this.#network;
    this.#run.forward(row);
    const last = layers.length - 1;
    const top = this.#slopes[last]!;
    slopeOf(this.#run.outputs, i, top);
    this.#parameters[layers.length]!.addSlopes(row, top, undefined);
    for (let k = last; k >= 0; k--) {
      const below = k === 0 ? row : this.#run.values[k - 1]!;
      this.#parameters[k]!.addSlopes(below, this.#slopes[k]!, k === 0 ? undefined : this.#slopes[k - 1]!);
    }
  }

  step(rate: number, decay: number, count: number, step: number): void {
    for (const [k, parameters] of this.#parameters.entries()) parameters.step(rate, decay, count, step, k < this.#network.layers.length);
  }
}

/** One layer's weights and biases with their slopes and moments. */
class Parameters {
  readonly #layer: DenseLayer;
  readonly #weights: Moments;
  readonly #biases: Moments;

  constructor(layer: DenseLayer) {
    this.#layer = layer;
    this.#weights = new Moments(layer.weights.length);
    this.#biases = new Moments(layer.biases.length);
  }

  /** `slopes`: of what the layer gives. `into`: becomes those of what it was given, through its ReLU. */
  addSlopes(below: Float64Array, slopes: Float64Array, into: Float64Array | undefined): void {
    const { inputs, outputs, weights } = this.#layer;
    const sums = this.#weights.slopes;
    for (let o = 0; o < outputs; o++) this.#biases.slopes[o]! += slopes[o]!;
    for (let i = 0; i < inputs; i++) {
      const x = below[i]!;
      // A unit that gave 0 is cut off: neither does its weight matter nor does anything go down through it.
      if (x === 0) {
        if (into !== undefined) into[i] = 0;
        continue;
      }
      let down = 0;
      for (let o = 0, at = i * outputs; o < outputs; o++, at++) {
        sums[at]! += x * slopes[o]!;
        down += weights[at]! * slopes[o]!;
      }
      if (into !== undefined) into[i] = down;
    }
  }

  step(rate: number, decay: number, count: number, step: number, hasBiases: boolean): void {
    this.#weights.step(this.#layer.weights, rate, decay, count, step);
    if (hasBiases) this.#biases.step(this.#layer.biases, rate, 0, count, step);
  }
}

class Moments {
  readonly slopes: Float64Array;
  readonly #first: Float64Array;
  readonly #second: Float64Array;

  constructor(length: number) {
    this.slopes = new Float64Array(length);
    this.#first = new Float64Array(length);
    this.#second = new Float64Array(length);
  }

  step(values: Float64Array, rate: number, decay: number, count: number, step: number): void {
    const first = 1 - exp(step * LOG_FIRST);
    const second = 1 - exp(step * LOG_SECOND);
    for (let i = 0; i < values.length; i++) {
      const slope = this.slopes[i]! / count;
      this.#first[i] = FIRST_MOMENT * this.#first[i]! + (1 - FIRST_MOMENT) * slope;
      this.#second[i] = SECOND_MOMENT * this.#second[i]! + (1 - SECOND_MOMENT) * slope * slope;
      const moved = this.#first[i]! / first / (Math.sqrt(this.#second[i]! / second) + TINY);
      values[i]! -= rate * (moved + decay * values[i]!);
    }
    this.slopes.fill(0);
  }
}

const LOG_FIRST = log(FIRST_MOMENT);
const LOG_SECOND = log(SECOND_MOMENT);
