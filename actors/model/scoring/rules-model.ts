/** Rules in order: the first that fires decides, or all that fire are added up. */
import { type Static, Type } from "typebox";
import { LABELS_MAX, NAME_MAX_CHARS, RULES_MAX } from "./bounds.ts";
import { BoundedNumber, Condition, conditionsFault, holds } from "./conditions.ts";
import { clamped, type Features, type Score, scoreOf } from "./features.ts";

const STRICT = { additionalProperties: false } as const;
export const Label = Type.String({ minLength: 1, maxLength: NAME_MAX_CHARS });
export const Share = Type.Number({ minimum: 0, maximum: 1 });

const FirstMatch = Type.Object(
  {
    kind: Type.Literal("rules"),
    mode: Type.Literal("first"),
    rules: Type.Array(
      Type.Object({ name: Label, when: Condition, score: BoundedNumber, label: Label, confidence: Type.Optional(Share) }, STRICT),
      { minItems: 1, maxItems: RULES_MAX },
    ),
    /** When none fires. */
    otherwise: Type.Object({ score: BoundedNumber, label: Label, confidence: Type.Optional(Share) }, STRICT),
    minConfidence: Type.Optional(Share),
  },
  STRICT,
);

const Sum = Type.Object(
  {
    kind: Type.Literal("rules"),
    mode: Type.Literal("sum"),
    /** Before any rule. Default 0. */
    base: Type.Optional(BoundedNumber),
    rules: Type.Array(Type.Object({ name: Label, when: Condition, score: BoundedNumber }, STRICT), { minItems: 1, maxItems: RULES_MAX }),
    /** From which score on which label; rising. Below the first of them there is none. */
    labels: Type.Optional(Type.Array(Type.Object({ from: BoundedNumber, label: Label }, STRICT), { minItems: 1, maxItems: LABELS_MAX })),
    minConfidence: Type.Optional(Share),
  },
  STRICT,
);

export const RulesModel = Type.Union([FirstMatch, Sum]);
export type RulesModel = Static<typeof RulesModel>;

/** Why a model of the right shape cannot be scored; `undefined` when it can. */
export function rulesFault(model: RulesModel): string | undefined {
  const names = new Set(model.rules.map(({ name }) => name));
  if (names.size < model.rules.length) return "has two rules of one name";
  if (model.mode === "sum" && model.labels !== undefined && !rises(model.labels.map(({ from }) => from)))
    return "has labels that do not begin at rising scores";
  return conditionsFault(model.rules.map(({ when }) => when));
}

function rises(values: readonly number[]): boolean {
  return values.every((value, i) => i === 0 || values[i - 1]! < value);
}

/** Of a sum the confidence is the score, held to 0 to 1: how sure it is that the event is what the rules look for. */
export function scoreRules(model: RulesModel, features: Features): Score {
  if (model.mode === "first") {
    const fired = model.rules.find(({ when }) => holds(when, features));
    const { score, label, confidence = 1 } = fired ?? model.otherwise;
    return scoreOf(model.minConfidence, { score, label, confidence, reasons: fired === undefined ? [] : [fired.name] });
  }
  const fired = model.rules.filter(({ when }) => holds(when, features));
  let score = model.base ?? 0;
  for (const rule of fired) score += rule.score;
  const label = model.labels?.findLast(({ from }) => score >= from)?.label ?? null;
  return scoreOf(model.minConfidence, { score, label, confidence: clamped(score, 0, 1), reasons: fired.map(({ name }) => name) });
}
