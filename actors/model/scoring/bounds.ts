/** Bounds of models that are scored inside the fold: what comes through a log may not stop it. */

export const NAME_MAX_CHARS = 64;
export const FIELD_MAX_CHARS = 128;
export const TEXT_MAX_CHARS = 256;
/** Levels of a model as JSON. */
export const NESTING_MAX = 24;

export const RULES_MAX = 256;
/** Levels of `all`, `any` and `not` in a condition. */
export const CONDITION_DEPTH_MAX = 8;
/** Conditions of all rules together, the parts of a condition counted. */
export const CONDITIONS_MAX = 2_000;
export const CHOICES_MAX = 256;

export const FEATURES_MAX = 1_024;
export const LABELS_MAX = 64;
/** Features that a linear model names as reasons. */
export const REASONS_MAX = 3;

export const TREES_MAX = 256;
export const TREE_NODES_MAX = 4_096;
export const TREE_DEPTH_MAX = 32;
/** Nodes of all trees together. */
export const FOREST_NODES_MAX = 32_768;

/** Size of any number in a model: sums of products of these stay finite. */
export const NUMBER_MAX = 1e100;

if (CONDITION_DEPTH_MAX * 2 + 4 > NESTING_MAX) throw new RangeError("a condition may nest as deep as its model");
if (TREE_NODES_MAX > FOREST_NODES_MAX) throw new RangeError("a tree is no larger than its forest");
