/** From the sums of a linear model or of a forest to a score: what they share. */
import { type Static, Type } from "typebox";
import { LABELS_MAX } from "./bounds.ts";
import { sigmoid, softmax } from "./exponential.ts";
import { clamped, type Score } from "./features.ts";
import { Label, Share } from "./rules-model.ts";

/** How sums become shares. */
export const Activation = Type.Union([
  /** The sum is the score. There is one, and no confidence. */
  Type.Literal("none"),
  /** The score is the probability of the second of two labels; there is one sum. */
  Type.Literal("sigmoid"),
  /** One sum for each label; the score is the probability of the likeliest. */
  Type.Literal("softmax"),
  /** As they are: each sum is the probability of its label already. */
  Type.Literal("probabilities"),
]);

export const Outcome = {
  activation: Activation,
  labels: Type.Optional(Type.Array(Label, { minItems: 2, maxItems: LABELS_MAX })),
  /** Of a sigmoid: from which probability on it is the second label. Default 0.5. */
  threshold: Type.Optional(Share),
  minConfidence: Type.Optional(Share),
};

const OutcomeObject = Type.Object(Outcome);
export type Outcome = Static<typeof OutcomeObject>;

export function outcomeFault({ activation, labels, threshold }: Outcome, sums: number): string | undefined {
  const names = labels?.length ?? 0;
  if (labels !== undefined && new Set(labels).size < names) return "has two labels of one name";
  if (threshold !== undefined && activation !== "sigmoid") return `has a threshold, which only goes with "sigmoid"`;
  if (activation === "none") return sums === 1 && names === 0 ? undefined : `with "none" has one sum and no labels`;
  if (activation === "sigmoid") return sums === 1 && names === 2 ? undefined : `with "sigmoid" has one sum and two labels`;
  return sums === names ? undefined : `with "${activation}" has one sum for each label`;
}

/** Score, label and confidence; and which of the sums decided. */
export function outcomeOf(
  { activation, labels = [], threshold = 0.5 }: Outcome,
  sums: readonly number[],
): Pick<Score, "score" | "label" | "confidence"> & { readonly sum: number } {
  const sum = sums[0]!;
  if (activation === "none") return { score: sum, label: null, confidence: null, sum: 0 };
  if (activation === "sigmoid") {
    const score = sigmoid(sum);
    const isSecond = score >= threshold;
    return { score, label: labels[isSecond ? 1 : 0]!, confidence: isSecond ? score : 1 - score, sum: 0 };
  }
  const shares = activation === "softmax" ? softmax(sums) : sums;
  let likeliest = 0;
  for (let i = 1; i < shares.length; i++) if (shares[i]! > shares[likeliest]!) likeliest = i;
  const score = shares[likeliest]!;
  return { score, label: labels[likeliest]!, confidence: clamped(score, 0, 1), sum: likeliest };
}
