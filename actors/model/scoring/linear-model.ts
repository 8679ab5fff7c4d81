/** Weighted sums of features: linear and logistic regression. */
import { type Static, Type } from "typebox";
import { HandlerError } from "../handler-error.ts";
import { FEATURES_MAX, LABELS_MAX, REASONS_MAX } from "./bounds.ts";
import { BoundedNumber, FieldName, Scalar } from "./conditions.ts";
import { type Features, featureOf, numberOf, type Score, scoreOf } from "./features.ts";
import { Outcome, outcomeFault, outcomeOf } from "./outcome.ts";

const STRICT = { additionalProperties: false } as const;

const Feature = Type.Object(
  {
    name: FieldName,
    /** 1 when the feature has this value and 0 when it has another, instead of its number. */
    is: Type.Optional(Scalar),
    /** Its number where it is missing. Without it the model cannot be scored then. */
    missing: Type.Optional(BoundedNumber),
  },
  STRICT,
);

export const LinearModel = Type.Object(
  {
    kind: Type.Literal("linear"),
    features: Type.Array(Feature, { minItems: 1, maxItems: FEATURES_MAX }),
    /** For each sum one for each feature. */
    weights: Type.Array(Type.Array(BoundedNumber, { maxItems: FEATURES_MAX }), { minItems: 1, maxItems: LABELS_MAX }),
    /** For each sum. */
    bias: Type.Array(BoundedNumber, { minItems: 1, maxItems: LABELS_MAX }),
    ...Outcome,
  },
  STRICT,
);
export type LinearModel = Static<typeof LinearModel>;

/** Why a model of the right shape cannot be scored; `undefined` when it can. */
export function linearFault(model: LinearModel): string | undefined {
  const { features, weights, bias } = model;
  if (weights.some((row) => row.length !== features.length)) return "has not one weight for each feature";
  if (bias.length !== weights.length) return "has not one bias for each row of weights";
  if (model.activation === "probabilities") return `is linear, and its sums are no probabilities: use "sigmoid" or "softmax"`;
  return outcomeFault(model, weights.length);
}

/** Reasons are the features that pushed most towards the label, the strongest first. Throws HandlerError FEATURE_MISSING, FEATURE_TYPE. */
export function scoreLinear(model: LinearModel, features: Features): Score {
  const values = model.features.map((feature) => inputOf(feature, features));
  const sums = model.weights.map((row, i) => {
    let sum = model.bias[i]!;
    for (let j = 0; j < row.length; j++) sum += row[j]! * values[j]!;
    return sum;
  });
  const outcome = outcomeOf(model, sums);
  // Of a sigmoid the one sum speaks for the second label; for the first one the other sign does.
  const sign = model.activation === "sigmoid" && outcome.label === model.labels?.[0] ? -1 : 1;
  const pushes = model.features.map(({ name }, j) => ({ name, push: sign * model.weights[outcome.sum]![j]! * values[j]! }));
  const strongest = pushes.filter(({ push }) => push > 0).sort((one, other) => other.push - one.push);
  return scoreOf(model.minConfidence, { ...outcome, reasons: [...new Set(strongest.map(({ name }) => name))].slice(0, REASONS_MAX) });
}

function inputOf({ name, is, missing }: Static<typeof Feature>, features: Features): number {
  const raw = featureOf(features, name);
  const value = is === undefined ? numberOf(features, name) : raw === undefined ? undefined : raw === is ? 1 : 0;
  if (value !== undefined) return value;
  if (missing !== undefined) return missing;
  throw new HandlerError("FEATURE_MISSING", `the feature "${name}" is missing, and the model has no number for that.`);
}
