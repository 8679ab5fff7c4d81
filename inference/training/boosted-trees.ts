/**
 * Gradient boosted trees for two classes: logistic loss, second-order splits over at most 64 bands of each feature, trees
 * grown level by level. Deterministic: rows are summed up in their order, and of equal splits the first one is taken.
 *
 * Source: J. Friedman, "Greedy Function Approximation: A Gradient Boosting Machine", Annals of Statistics 29, 2001; the
 * gain and the bands after T. Chen, C. Guestrin, "XGBoost: A Scalable Tree Boosting System", KDD 2016.
 */
import { sigmoid } from "./exact-math.ts";
import type { Rows } from "./rows.ts";

export interface BoostingOptions {
  readonly trees: number;
  /** Splits from the root to a leaf, at the most. */
  readonly depth: number;
  readonly learningRate: number;
  /** What a leaf's weight is drawn to 0 by. */
  readonly l2: number;
  /** Of a leaf, least sum of second derivatives. */
  readonly leafWeightMin: number;
  /** Least gain of a split. */
  readonly gainMin: number;
}

/** `feature` is -1 for a leaf. A row goes to `yes` where its feature is at most `threshold`, else to `no`. */
export interface TreeNode {
  readonly feature: number;
  /** As float32 has it, like the features of a row. */
  readonly threshold: number;
  readonly yes: number;
  readonly no: number;
  /** Of a leaf, what it adds to the logit. */
  readonly value: number;
}

/** The root is node 0, and no node comes before its parent. */
export type Tree = readonly TreeNode[];

export interface BoostedTrees {
  readonly features: number;
  readonly base: number;
  readonly trees: readonly Tree[];
}

const BANDS_MAX = 64;

/** `after`: told of the model after each tree, so that the caller can see how far it is worth going. */
export function trainTrees(
  rows: Rows,
  labels: ArrayLike<number>,
  options: BoostingOptions,
  after?: (tree: Tree, base: number) => void,
): BoostedTrees {
  const bands = bandsOf(rows);
  const binned = binnedRows(rows, bands);
  const ones = Array.from(labels).reduce((sum, label) => sum + label, 0);
  const base = logit(ones / rows.count);
  const logits = new Float64Array(rows.count).fill(base);
  const slopes = new Float64Array(rows.count);
  const curves = new Float64Array(rows.count);
  const trees: Tree[] = [];
  for (let round = 0; round < options.trees; round++) {
    for (let i = 0; i < rows.count; i++) {
      const p = sigmoid(logits[i]!);
      slopes[i] = p - labels[i]!;
      curves[i] = p * (1 - p);
    }
    const tree = new Growing(binned, bands, slopes, curves, options).grow(logits);
    trees.push(tree);
    after?.(tree, base);
  }
  return { features: rows.width, base, trees };
}

export function logitOf({ base, trees }: BoostedTrees, row: ArrayLike<number>): number {
  let sum = base;
  for (const tree of trees) sum += leafValue(tree, row);
  return sum;
}

export function leafValue(tree: Tree, row: ArrayLike<number>): number {
  let node = tree[0]!;
  while (node.feature >= 0) node = tree[row[node.feature]! <= node.threshold ? node.yes : node.no]!;
  return node.value;
}

/** The same trees with logits scaled and shifted. */
export function rescaled({ features, base, trees }: BoostedTrees, scale: number, shift: number): BoostedTrees {
  const scaledTree = (tree: Tree): Tree => tree.map((node) => ({ ...node, value: Math.fround(node.value * scale) }));
  return { features, base: Math.fround(base * scale + shift), trees: trees.map(scaledTree) };
}

function logit(share: number): number {
  // Newton on the sigmoid, which is steep enough near every share that can be met.
  let x = 0;
  for (let i = 0; i < 60; i++) {
    const p = sigmoid(x);
    x -= Math.max(-1, Math.min(1, (p - share) / (p * (1 - p))));
  }
  return x;
}

/** Of each feature, thresholds between its values; equally many rows lie between two of them, as far as they differ. */
function bandsOf({ width, count, values }: Rows): Float64Array[] {
  return Array.from({ length: width }, (_, feature) => {
    const sorted = new Float64Array(count);
    for (let i = 0; i < count; i++) sorted[i] = values[i * width + feature]!;
    sorted.sort();
    const thresholds: number[] = [];
    for (let cut = 1; cut < BANDS_MAX; cut++) {
      let at = Math.max(1, Math.floor((cut * count) / BANDS_MAX));
      while (at < count && sorted[at] === sorted[at - 1]) at++;
      if (at >= count) break;
      const threshold = between(sorted[at - 1]!, sorted[at]!);
      if (threshold > (thresholds.at(-1) ?? Number.NEGATIVE_INFINITY)) thresholds.push(threshold);
    }
    return Float64Array.from(thresholds);
  });
}

/** A float32 that is at least the lower one and below the upper one. */
function between(lower: number, upper: number): number {
  const middle = Math.fround(lower / 2 + upper / 2);
  return middle >= lower && middle < upper ? middle : lower;
}

/** Row by row, the band of each feature: how many thresholds are below its value. */
function binnedRows({ width, count, values }: Rows, bands: readonly Float64Array[]): Uint8Array {
  const binned = new Uint8Array(count * width);
  for (const [feature, thresholds] of bands.entries()) {
    for (let at = feature; at < binned.length; at += width) {
      const value = values[at]!;
      let low = 0;
      let high = thresholds.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (value <= thresholds[middle]!) high = middle;
        else low = middle + 1;
      }
      binned[at] = low;
    }
  }
  return binned;
}

interface Split {
  readonly feature: number;
  readonly band: number;
  readonly gain: number;
}

/** Rows that have come to one node, with the sums over them: by feature and band the slope, then the curve. */
interface Open {
  readonly rows: Uint32Array;
  readonly depth: number;
  readonly sums: Float64Array;
  /** Its place among the nodes. */
  readonly at: number;
}

/** One tree while it grows. */
class Growing {
  readonly #binned: Uint8Array;
  readonly #bands: readonly Float64Array[];
  readonly #slopes: Float64Array;
  readonly #curves: Float64Array;
  readonly #options: BoostingOptions;
  readonly #nodes: TreeNode[] = [];

  constructor(binned: Uint8Array, bands: readonly Float64Array[], slopes: Float64Array, curves: Float64Array, options: BoostingOptions) {
    this.#binned = binned;
    this.#bands = bands;
    this.#slopes = slopes;
    this.#curves = curves;
    this.#options = options;
  }

  /** Adds what its leaves say to the logits of their rows. */
  grow(logits: Float64Array): Tree {
    const all = Uint32Array.from({ length: logits.length }, (_, i) => i);
    const open = [this.#open(all, 0, this.#sumsOf(all))];
    for (let next = open.shift(); next !== undefined; next = open.shift()) {
      const split = next.depth < this.#options.depth ? this.#bestSplit(next) : undefined;
      if (split === undefined) this.#close(next, logits);
      else open.push(...this.#split(next, split));
    }
    return this.#nodes;
  }

  #open(rows: Uint32Array, depth: number, sums: Float64Array): Open {
    const at = this.#nodes.push({ feature: -1, threshold: 0, yes: 0, no: 0, value: 0 }) - 1;
    return { rows, depth, sums, at };
  }

  #close({ rows, sums, at }: Open, logits: Float64Array): void {
    const { learningRate, l2 } = this.#options;
    const { slope, curve } = totalOf(sums);
    const value = Math.fround((-learningRate * slope) / (curve + l2));
    this.#nodes[at] = { feature: -1, threshold: 0, yes: 0, no: 0, value };
    for (const i of rows) logits[i]! += value;
  }

  #split({ rows, depth, sums, at }: Open, { feature, band }: Split): [Open, Open] {
    const [below, above] = this.#parted(rows, feature, band);
    // The larger half is what the smaller one leaves of the whole.
    const [fewer, isBelow] = below.length <= above.length ? [below, true] : [above, false];
    const own = this.#sumsOf(fewer);
    const other = sums.map((sum, k) => sum - own[k]!);
    const yes = this.#open(below, depth + 1, isBelow ? own : other);
    const no = this.#open(above, depth + 1, isBelow ? other : own);
    this.#nodes[at] = { feature, threshold: this.#bands[feature]![band]!, yes: yes.at, no: no.at, value: 0 };
    return [yes, no];
  }

  /** Rows up to the band, and the others, each in their order. */
  #parted(rows: Uint32Array, feature: number, band: number): [Uint32Array, Uint32Array] {
    const width = this.#bands.length;
    const parted = new Uint32Array(rows.length);
    let below = 0;
    let above = rows.length;
    for (const i of rows) {
      if (this.#binned[i * width + feature]! <= band) parted[below++] = i;
      else parted[--above] = i;
    }
    return [parted.subarray(0, below), parted.subarray(below).reverse()];
  }

  #sumsOf(rows: Uint32Array): Float64Array {
    const width = this.#bands.length;
    const sums = new Float64Array(width * BANDS_MAX * 2);
    const binned = this.#binned;
    for (const i of rows) {
      const slope = this.#slopes[i]!;
      const curve = this.#curves[i]!;
      for (let feature = 0, at = i * width; feature < width; feature++, at++) {
        const k = (feature * BANDS_MAX + binned[at]!) * 2;
        sums[k]! += slope;
        sums[k + 1]! += curve;
      }
    }
    return sums;
  }

  #bestSplit({ sums }: Open): Split | undefined {
    const total = totalOf(sums);
    let best: Split | undefined;
    for (let feature = 0; feature < this.#bands.length; feature++) {
      const found = this.#bestOf(feature, sums, total);
      if (found !== undefined && found.gain > (best?.gain ?? this.#options.gainMin)) best = found;
    }
    return best;
  }

  #bestOf(feature: number, sums: Float64Array, { slope, curve }: { readonly slope: number; readonly curve: number }): Split | undefined {
    const { l2, leafWeightMin } = this.#options;
    const whole = (slope * slope) / (curve + l2);
    let best: Split | undefined;
    let yesSlope = 0;
    let yesCurve = 0;
    for (let band = 0; band < this.#bands[feature]!.length; band++) {
      yesSlope += sums[(feature * BANDS_MAX + band) * 2]!;
      yesCurve += sums[(feature * BANDS_MAX + band) * 2 + 1]!;
      const noSlope = slope - yesSlope;
      const noCurve = curve - yesCurve;
      if (yesCurve < leafWeightMin || noCurve < leafWeightMin) continue;
      const gain = (yesSlope * yesSlope) / (yesCurve + l2) + (noSlope * noSlope) / (noCurve + l2) - whole;
      if (gain > (best?.gain ?? 0)) best = { feature, band, gain };
    }
    return best;
  }
}

/** Every row lies in one band of the first feature. */
function totalOf(sums: Float64Array): { readonly slope: number; readonly curve: number } {
  let slope = 0;
  let curve = 0;
  for (let k = 0; k < BANDS_MAX * 2; k += 2) {
    slope += sums[k]!;
    curve += sums[k + 1]!;
  }
  return { slope, curve };
}
