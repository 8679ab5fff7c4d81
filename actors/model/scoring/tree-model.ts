/** Decision trees and small forests: boosted ones are added up, random forests averaged. */
import { type Static, Type } from "typebox";
import { HandlerError } from "../handler-error.ts";
import { FOREST_NODES_MAX, LABELS_MAX, TREE_DEPTH_MAX, TREE_NODES_MAX, TREES_MAX } from "./bounds.ts";
import { BoundedNumber, FieldName, Scalar } from "./conditions.ts";
import { type Features, featureOf, numberOf, type Score, scoreOf } from "./features.ts";
import { Outcome, outcomeFault, outcomeOf } from "./outcome.ts";

const STRICT = { additionalProperties: false } as const;
const NodeIndex = Type.Integer({ minimum: 1, maximum: TREE_NODES_MAX - 1 });
const SPLIT = {
  feature: FieldName,
  /** Indices of nodes behind this one. `left` is where the condition holds. */
  left: NodeIndex,
  right: NodeIndex,
  /** Where it goes when the feature is missing. Without it the model cannot be scored then. */
  missing: Type.Optional(Type.Union([Type.Literal("left"), Type.Literal("right")])),
};

const TreeNode = Type.Union([
  Type.Object({ ...SPLIT, below: BoundedNumber }, STRICT),
  Type.Object({ ...SPLIT, atMost: BoundedNumber }, STRICT),
  Type.Object({ ...SPLIT, is: Scalar }, STRICT),
  /** A leaf: one number for each sum. */
  Type.Object({ leaf: Type.Array(BoundedNumber, { minItems: 1, maxItems: LABELS_MAX }) }, STRICT),
]);
type TreeNode = Static<typeof TreeNode>;

export const TreesModel = Type.Object(
  {
    kind: Type.Literal("trees"),
    /** Each from its root on. */
    trees: Type.Array(Type.Array(TreeNode, { minItems: 1, maxItems: TREE_NODES_MAX }), { minItems: 1, maxItems: TREES_MAX }),
    combine: Type.Union([Type.Literal("sum"), Type.Literal("average")]),
    /** Before any tree, for each sum. Default 0. */
    bias: Type.Optional(Type.Array(BoundedNumber, { minItems: 1, maxItems: LABELS_MAX })),
    ...Outcome,
  },
  STRICT,
);
export type TreesModel = Static<typeof TreesModel>;

/** Why a model of the right shape cannot be scored; `undefined` when it can. */
export function treesFault(model: TreesModel): string | undefined {
  const sums = sumsOf(model);
  if (model.trees.reduce((nodes, tree) => nodes + tree.length, 0) > FOREST_NODES_MAX) return `has more than ${FOREST_NODES_MAX} nodes`;
  for (const [i, tree] of model.trees.entries()) {
    const fault = treeFault(tree, sums);
    if (fault !== undefined) return `has a tree (number ${i + 1}) ${fault}`;
  }
  if (model.bias !== undefined && model.bias.length !== sums) return "has not one bias for each sum";
  return outcomeFault(model, sums);
}

/** Children come behind their parent, and each node but the root is the child of one: nothing goes round in circles. */
function treeFault(tree: readonly TreeNode[], sums: number): string | undefined {
  const depths: (number | undefined)[] = [0];
  for (const [i, node] of tree.entries()) {
    const depth = depths[i];
    if (depth === undefined) return `with a node (${i}) that no other leads to`;
    if (depth > TREE_DEPTH_MAX) return `deeper than ${TREE_DEPTH_MAX}`;
    if ("leaf" in node) {
      if (node.leaf.length !== sums) return "whose leaves have not all as many numbers as the model has sums";
      continue;
    }
    for (const child of [node.left, node.right]) {
      if (child <= i || child >= tree.length) return `with a node (${i}) whose child (${child}) is no node behind it`;
      if (depths[child] !== undefined) return `with a node (${child}) that two lead to`;
      depths[child] = depth + 1;
    }
  }
  return undefined;
}

function sumsOf({ activation, labels }: TreesModel): number {
  return activation === "none" || activation === "sigmoid" ? 1 : (labels?.length ?? 1);
}

/** Throws HandlerError FEATURE_MISSING, FEATURE_TYPE. */
export function scoreTrees(model: TreesModel, features: Features): Score {
  const sums: number[] = model.bias?.slice() ?? Array.from({ length: sumsOf(model) }, () => 0);
  const totals = sums.map(() => 0);
  for (const tree of model.trees) {
    const leaf = leafOf(tree, features);
    for (let i = 0; i < totals.length; i++) totals[i] = totals[i]! + leaf[i]!;
  }
  const divisor = model.combine === "average" ? model.trees.length : 1;
  const outcome = outcomeOf(
    model,
    sums.map((bias, i) => bias + totals[i]! / divisor),
  );
  return scoreOf(model.minConfidence, { ...outcome, reasons: [] });
}

function leafOf(tree: readonly TreeNode[], features: Features): readonly number[] {
  let at = 0;
  for (;;) {
    const node = tree[at]!;
    if ("leaf" in node) return node.leaf;
    at = isLeft(node, features) ? node.left : node.right;
  }
}

function isLeft(node: Exclude<TreeNode, { leaf: number[] }>, features: Features): boolean {
  const value = "is" in node ? featureOf(features, node.feature) : numberOf(features, node.feature);
  if (value === undefined) {
    if (node.missing !== undefined) return node.missing === "left";
    throw new HandlerError("FEATURE_MISSING", `the feature "${node.feature}" is missing, and the tree has no way for that.`);
  }
  if ("is" in node) return value === node.is;
  return "below" in node ? (value as number) < node.below : (value as number) <= node.atMost;
}
