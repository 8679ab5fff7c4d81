/** The fraud model as ONNX: the trees, and what makes their sum the probabilities of the two answers. */
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";
import type { ModelProto } from "../../onnx/onnx-proto.ts";
import { floats, mlNode, model, node, value } from "../../onnx/onnx-writer.ts";
import type { BoostedTrees } from "../boosted-trees.ts";
import type { Served } from "../trained-model.ts";

export const FRAUD_LABELS = ["honest", "fraud"] as const;

/** From a row of features to `[1 - p, p]`. */
export function fraudGraph(trees: BoostedTrees): ModelProto {
  return model({
    nodes: [
      mlNode("TreeEnsembleRegressor", ["features"], ["logit"], ensemble(trees)),
      node("Sigmoid", ["logit"], ["fraud"]),
      node("Sub", ["one", "fraud"], ["honest"]),
      node("Concat", ["honest", "fraud"], ["probabilities"], { axis: 1n }),
    ],
    weights: [floats("one", [1], [1])],
    inputs: [value("features", "float32", ["batch", trees.features])],
    outputs: [value("probabilities", "float32", ["batch", FRAUD_LABELS.length])],
  });
}

/** `minConfidence`: of the answer that is given; between it and 1 less it nobody should act by the model alone. */
export function servedFraud(threshold: number): Served {
  const probabilities = { tensor: "probabilities", labels: FRAUD_LABELS };
  const probability = { type: "number", minimum: 0, maximum: 1 };
  return {
    name: "fraud",
    serving: {
      kind: "onnx",
      inputs: { features: { field: "features" } },
      outputs: {
        probability: { ...probabilities, label: "fraud" },
        verdict: { ...probabilities, largest: "label" },
        confidence: { ...probabilities, largest: "value" },
      },
    },
    input: {
      type: "object",
      description: `One number for each of: ${FRAUD_FEATURES.join(", ")}.`,
      properties: {
        features: { type: "array", items: { type: "number" }, minItems: FRAUD_FEATURES.length, maxItems: FRAUD_FEATURES.length },
      },
      required: ["features"],
      additionalProperties: false,
    },
    output: {
      type: "object",
      description: `Precision and recall are in balance where a probability from ${threshold.toFixed(2)} on counts as fraud.`,
      properties: { probability, verdict: { enum: [...FRAUD_LABELS] }, confidence: probability },
      required: ["probability", "verdict", "confidence"],
      additionalProperties: false,
    },
    confidence: "confidence",
    minConfidence: 0.7,
    sloMs: 200,
    batchWaitMs: 2,
  };
}

function ensemble({ base, trees }: BoostedTrees): Parameters<typeof node>[3] {
  const nodes = trees.flatMap((tree, treeId) => tree.map((one, nodeId) => ({ ...one, treeId, nodeId })));
  const leaves = nodes.filter(({ feature }) => feature < 0);
  return {
    n_targets: 1n,
    aggregate_function: "SUM",
    post_transform: "NONE",
    base_values: [base],
    nodes_treeids: nodes.map(({ treeId }) => BigInt(treeId)),
    nodes_nodeids: nodes.map(({ nodeId }) => BigInt(nodeId)),
    nodes_featureids: nodes.map(({ feature }) => BigInt(Math.max(0, feature))),
    nodes_modes: nodes.map(({ feature }) => (feature < 0 ? "LEAF" : "BRANCH_LEQ")),
    nodes_values: nodes.map(({ threshold }) => threshold),
    nodes_truenodeids: nodes.map(({ yes }) => BigInt(yes)),
    nodes_falsenodeids: nodes.map(({ no }) => BigInt(no)),
    target_treeids: leaves.map(({ treeId }) => BigInt(treeId)),
    target_nodeids: leaves.map(({ nodeId }) => BigInt(nodeId)),
    target_ids: leaves.map(() => 0n),
    target_weights: leaves.map((leaf) => leaf.value),
  };
}
