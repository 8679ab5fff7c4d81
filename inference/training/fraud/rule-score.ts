/** What the fraud model is measured against: the few rules that one would write by hand over the same features. */
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";

type Feature = (typeof FRAUD_FEATURES)[number];
type Rule = (feature: (name: Feature) => number) => boolean;

const RULES: readonly Rule[] = [
  (of) => of("speedKmh") > 900,
  (of) => of("count5m") >= 5,
  (of) => of("amountToMean30d") > 8,
  (of) => of("merchantRisk") > 0.7 && of("amountToMean30d") > 2,
  (of) => of("spent1hToMean30d") > 12,
];

/** Share of the rules that hold: 0, 0.2, … 1. */
export function ruleScore(row: ArrayLike<number>): number {
  const of = (name: Feature): number => row[FRAUD_FEATURES.indexOf(name)]!;
  return RULES.filter((rule) => rule(of)).length / RULES.length;
}
