/**
 * The deterministic tier: models that are data, and small enough to be asked inside the fold. A score is a function of
 * model and features alone, to the bit, on every machine. A model may come through the log as reference data: it has no code
 * in it, and all of it is bounded.
 */
import { type Static, Type } from "typebox";
import { schemaOf } from "../schema.ts";
import { NESTING_MAX } from "./bounds.ts";
import type { Features, Score } from "./features.ts";
import { LinearModel, linearFault, scoreLinear } from "./linear-model.ts";
import { RulesModel, rulesFault, scoreRules } from "./rules-model.ts";
import { scoreTrees, TreesModel, treesFault } from "./tree-model.ts";

/** Schema of a model, for a table of reference data. It says less than {@link readScoringModel}. */
export const ScoringModel = Type.Union([RulesModel, LinearModel, TreesModel]);
export type ScoringModel = Static<typeof ScoringModel>;

const SHAPES = { rules: schemaOf(RulesModel), linear: schemaOf(LinearModel), trees: schemaOf(TreesModel) };

/** The model, or why it is none, as a text that goes on after "the model". */
export function readScoringModel(value: unknown): ScoringModel | string {
  if (typeof value !== "object" || value === null) return "is no object";
  // Before anything that would go down by calling itself: a stack has no end that is the same everywhere.
  if (isDeeper(value, NESTING_MAX)) return `is nested deeper than ${NESTING_MAX}`;
  const kind = (value as { readonly kind?: unknown }).kind;
  if (typeof kind !== "string" || !Object.hasOwn(SHAPES, kind)) return `is of no kind that there is: ${Object.keys(SHAPES).join(", ")}`;
  const shape = SHAPES[kind as keyof typeof SHAPES];
  if (!shape.check(value)) return `has another shape: ${shape.explain(value)}`;
  return faultOf(value) ?? value;
}

function faultOf(model: ScoringModel): string | undefined {
  if (model.kind === "rules") return rulesFault(model);
  return model.kind === "linear" ? linearFault(model) : treesFault(model);
}

/** Declares a model in code. Throws TypeError for one that is none. */
export function scoringModel(value: ScoringModel): ScoringModel {
  const model = readScoringModel(value);
  if (typeof model === "string") throw new TypeError(`scoringModel: the model ${model}.`);
  return model;
}

/** Asks a model that was read. Throws HandlerError: FEATURE_MISSING, FEATURE_TYPE. */
export function score(model: ScoringModel, features: Features): Score {
  if (model.kind === "rules") return scoreRules(model, features);
  return model.kind === "linear" ? scoreLinear(model, features) : scoreTrees(model, features);
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((part) => isDeeper(part, levels - 1));
}
