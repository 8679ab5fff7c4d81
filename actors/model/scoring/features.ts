/** What models are asked about: named values of an event or of state. And what they answer. */
import { HandlerError } from "../handler-error.ts";
import { NUMBER_MAX } from "./bounds.ts";

export type FeatureValue = string | number | boolean | null | undefined;

/** A field that is null or undefined is missing. */
export type Features = Readonly<Record<string, FeatureValue>>;

export interface Score {
  readonly score: number;
  readonly label: string | null;
  /** From 0 to 1: how sure the model is of the label. `null` for a model that cannot say. */
  readonly confidence: number | null;
  /** The confidence reaches the model's `minConfidence`. Without one: true. */
  readonly actionable: boolean;
  /** Names of the rules that fired, or of the features that weighed most. */
  readonly reasons: readonly string[];
}

/** `undefined` for what is missing. Never what Object.prototype has. */
export function featureOf(features: Features, name: string): Exclude<FeatureValue, null> {
  return Object.hasOwn(features, name) ? (features[name] ?? undefined) : undefined;
}

/** As a number: true is 1, false 0. `undefined` for what is missing. Throws HandlerError FEATURE_TYPE for any other value. */
export function numberOf(features: Features, name: string): number | undefined {
  const value = featureOf(features, name);
  if (value === undefined) return undefined;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "number" && value >= -NUMBER_MAX && value <= NUMBER_MAX) return value;
  throw new HandlerError("FEATURE_TYPE", `the feature "${name}" is no number from -${NUMBER_MAX} to ${NUMBER_MAX}; the model takes one.`);
}

export function clamped(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

export function scoreOf(minConfidence: number | undefined, { score, label, confidence, reasons }: Omit<Score, "actionable">): Score {
  const actionable = minConfidence === undefined || (confidence !== null && confidence >= minConfidence);
  return { score: score === 0 ? 0 : score, label, confidence, actionable, reasons };
}
