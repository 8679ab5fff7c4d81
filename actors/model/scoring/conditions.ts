/**
 * Conditions over named features, as data. One about a feature that is missing, or of another type than it compares with,
 * does not hold; so `not` of it does.
 */
import { type Static, Type } from "typebox";
import { CHOICES_MAX, CONDITION_DEPTH_MAX, CONDITIONS_MAX, FIELD_MAX_CHARS, NUMBER_MAX, TEXT_MAX_CHARS } from "./bounds.ts";
import { type Features, featureOf } from "./features.ts";

export const FieldName = Type.String({ minLength: 1, maxLength: FIELD_MAX_CHARS });
export const BoundedNumber = Type.Number({ minimum: -NUMBER_MAX, maximum: NUMBER_MAX });
export const Scalar = Type.Union([Type.String({ maxLength: TEXT_MAX_CHARS }), BoundedNumber, Type.Boolean()]);
const STRICT = { additionalProperties: false } as const;

const Order = Type.Union([Type.Literal("<"), Type.Literal("<="), Type.Literal(">"), Type.Literal(">=")]);
const Parts = Type.Array(Type.Ref("Condition"), { minItems: 1, maxItems: CONDITIONS_MAX });

export const Condition = Type.Cyclic(
  {
    Condition: Type.Union([
      Type.Object({ field: FieldName, op: Type.Union([Type.Literal("="), Type.Literal("!=")]), value: Scalar }, STRICT),
      Type.Object(
        {
          field: FieldName,
          op: Order,
          value: BoundedNumber,
        },
        STRICT,
      ),
      Type.Object({ field: FieldName, between: Type.Tuple([BoundedNumber, BoundedNumber]) }, STRICT),
      Type.Object({ field: FieldName, in: Type.Array(Scalar, { minItems: 1, maxItems: CHOICES_MAX }) }, STRICT),
      Type.Object({ missing: FieldName }, STRICT),
      Type.Object({ all: Parts }, STRICT),
      Type.Object({ any: Parts }, STRICT),
      Type.Object({ not: Type.Ref("Condition") }, STRICT),
    ]),
  },
  "Condition",
);

export type Condition = Static<typeof Condition>;

/** Why conditions of the right shape are too many, too deep, or never hold. `undefined` when they are not. */
export function conditionsFault(conditions: readonly Condition[]): string | undefined {
  const open: [condition: Condition, depth: number][] = conditions.map((condition) => [condition, 1]);
  let count = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [condition, depth] = next;
    if (++count > CONDITIONS_MAX) return `has more than ${CONDITIONS_MAX} conditions`;
    if (depth > CONDITION_DEPTH_MAX) return `has conditions nested deeper than ${CONDITION_DEPTH_MAX}`;
    if ("between" in condition && condition.between[0] > condition.between[1]) return `has a "between" whose end is below its begin`;
    for (const part of partsOf(condition)) open.push([part, depth + 1]);
  }
  return undefined;
}

function partsOf(condition: Condition): readonly Condition[] {
  if ("all" in condition) return condition.all;
  if ("any" in condition) return condition.any;
  return "not" in condition ? [condition.not] : [];
}

export function holds(condition: Condition, features: Features): boolean {
  if ("all" in condition) return condition.all.every((part) => holds(part, features));
  if ("any" in condition) return condition.any.some((part) => holds(part, features));
  if ("not" in condition) return !holds(condition.not, features);
  if ("missing" in condition) return featureOf(features, condition.missing) === undefined;
  const value = featureOf(features, condition.field);
  if (value === undefined) return false;
  if ("in" in condition) return condition.in.some((choice) => choice === value);
  if ("between" in condition) return typeof value === "number" && value >= condition.between[0] && value <= condition.between[1];
  return compares(value, condition.op, condition.value);
}

function compares(value: string | number | boolean, op: "=" | "!=" | "<" | "<=" | ">" | ">=", other: string | number | boolean): boolean {
  if (op === "=") return value === other;
  if (op === "!=") return value !== other;
  if (typeof value !== "number" || typeof other !== "number") return false;
  switch (op) {
    case "<":
      return value < other;
    case "<=":
      return value <= other;
    case ">":
      return value > other;
    case ">=":
      return value >= other;
  }
}
