/** How well probabilities of two classes fit what was the case. Labels are 1 and 0. */
import { exp, log } from "./exact-math.ts";

export interface Labelled {
  readonly probabilities: ArrayLike<number>;
  readonly labels: ArrayLike<number>;
}

/** Chance that one of the 1s has a higher score than one of the 0s; a half counts where they are equal. */
export function areaUnderCurve({ probabilities, labels }: Labelled): number {
  const order = Array.from({ length: labels.length }, (_, i) => i).sort((a, b) => probabilities[a]! - probabilities[b]!);
  let ranks = 0;
  let ones = 0;
  for (let from = 0; from < order.length; ) {
    let until = from;
    while (until < order.length && probabilities[order[until]!] === probabilities[order[from]!]) until++;
    // Ranks of equal ones are their mean.
    const rank = (from + 1 + until) / 2;
    for (let i = from; i < until; i++) {
      if (labels[order[i]!] !== 1) continue;
      ranks += rank;
      ones++;
    }
    from = until;
  }
  const zeros = order.length - ones;
  return (ranks - (ones * (ones + 1)) / 2) / (ones * zeros);
}

/** Mean of the precision at each 1, from the highest score down. Of equal scores the order is that of the rows. */
export function averagePrecision({ probabilities, labels }: Labelled): number {
  const order = Array.from({ length: labels.length }, (_, i) => i).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  let ones = 0;
  let sum = 0;
  for (const [rank, i] of order.entries()) {
    if (labels[i] !== 1) continue;
    ones++;
    sum += ones / (rank + 1);
  }
  return sum / ones;
}

export interface AtThreshold {
  readonly threshold: number;
  readonly precision: number;
  readonly recall: number;
  /** Of all rows, those at or above the threshold. */
  readonly flagged: number;
}

export function atThreshold({ probabilities, labels }: Labelled, threshold: number): AtThreshold {
  let flagged = 0;
  let hits = 0;
  let ones = 0;
  for (let i = 0; i < labels.length; i++) {
    const isFlagged = probabilities[i]! >= threshold;
    if (isFlagged) flagged++;
    if (labels[i] !== 1) continue;
    ones++;
    if (isFlagged) hits++;
  }
  return { threshold, precision: hits / Math.max(1, flagged), recall: hits / Math.max(1, ones), flagged: flagged / labels.length };
}

/** Of hundredths, the one at which the harmonic mean of precision and recall is greatest. */
export function bestThreshold(labelled: Labelled): number {
  let best = { threshold: 0.5, f1: -1 };
  for (let percent = 1; percent < 100; percent++) {
    const threshold = percent / 100;
    const { precision, recall } = atThreshold(labelled, threshold);
    const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
    if (f1 > best.f1) best = { threshold, f1 };
  }
  return best.threshold;
}

export function logLoss({ probabilities, labels }: Labelled): number {
  let sum = 0;
  for (let i = 0; i < labels.length; i++) {
    const p = labels[i] === 1 ? probabilities[i]! : 1 - probabilities[i]!;
    sum -= log(Math.max(p, 1e-12));
  }
  return sum / labels.length;
}

/** Mean square of what a probability is off by. */
export function brierScore({ probabilities, labels }: Labelled): number {
  let sum = 0;
  for (let i = 0; i < labels.length; i++) sum += (probabilities[i]! - labels[i]!) ** 2;
  return sum / labels.length;
}

/** Of ten bands of probability, by how many are in each, the mean of what the share of 1s is off by. */
export function calibrationError({ probabilities, labels }: Labelled): number {
  const bands = Array.from({ length: 10 }, () => ({ count: 0, ones: 0, sum: 0 }));
  for (let i = 0; i < labels.length; i++) {
    const band = bands[Math.min(9, Math.floor(probabilities[i]! * 10))]!;
    band.count++;
    band.ones += labels[i]!;
    band.sum += probabilities[i]!;
  }
  return bands.reduce((sum, { ones, sum: expected }) => sum + Math.abs(ones - expected), 0) / labels.length;
}

/** `scale` and `shift` by which logits become right as probabilities: a logistic regression on one number, by Newton's method. */
export function plattScaling(logits: ArrayLike<number>, labels: ArrayLike<number>): { readonly scale: number; readonly shift: number } {
  let scale = 1;
  let shift = 0;
  for (let step = 0; step < 50; step++) {
    let [gs, gb, ss, sb, bb] = [0, 0, 1e-9, 0, 1e-9];
    for (let i = 0; i < labels.length; i++) {
      const x = logits[i]!;
      const p = 1 / (1 + exp(-(scale * x + shift)));
      const w = p * (1 - p);
      gs += (p - labels[i]!) * x;
      gb += p - labels[i]!;
      ss += w * x * x;
      sb += w * x;
      bb += w;
    }
    const determinant = ss * bb - sb * sb;
    const ds = (gs * bb - gb * sb) / determinant;
    const db = (gb * ss - gs * sb) / determinant;
    scale -= ds;
    shift -= db;
    if (Math.abs(ds) + Math.abs(db) < 1e-12) break;
  }
  return { scale, shift };
}
