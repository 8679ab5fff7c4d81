/** The models of the benchmarks: one written here that ONNX Runtime runs, of the size of a fraud score, and one at a server that is slow. */
import { readFileSync } from "node:fs";
import { FRAUD_FEATURES } from "../actors/transactions/fraud-features.ts";
import { fraudModel } from "../actors/transactions/fraud-model.ts";
import type { DescribedModel } from "../inference/model-record.ts";
import { encodeModel } from "../inference/onnx/onnx-proto.ts";
import { mlNode, model, node, value } from "../inference/onnx/onnx-writer.ts";
import type { PutModel } from "../test/support/put-models.ts";
import { SCORE_MODEL } from "./apps/scorer.ts";

const FEATURES = ["value", "count", "total", "mean"] as const;
const number = { type: "number" } as const;

const SCHEMAS = {
  input: { type: "object", properties: Object.fromEntries(FEATURES.map((name) => [name, number])), required: FEATURES },
  output: { type: "object", properties: { score: number }, required: ["score"] },
} as const;

/** So many trees of the depth each, behind a sigmoid. */
export function treeModel(trees: number, depth: number): PutModel {
  const content = encodeModel(
    model({
      nodes: [mlNode("TreeEnsembleRegressor", ["x"], ["z"], forest(trees, depth)), node("Sigmoid", ["z"], ["y"])],
      inputs: [value("x", "float32", ["n", FEATURES.length])],
      outputs: [value("y", "float32", ["n", 1])],
    }),
  );
  const serving = { kind: "onnx", inputs: { x: { fields: [...FEATURES] } }, outputs: { score: { tensor: "y", index: 0 } } } as const;
  return { name: SCORE_MODEL, content, description: { serving, ...SCHEMAS } };
}

/** `places`: questions that are at the server at a time; each is one row, or with `manyRows` a list of them. */
export function remoteModel(url: string, places: number, manyRows = false): PutModel {
  const schemas = manyRows ? { input: { type: "object" }, output: { type: "object" } } : SCHEMAS;
  const description: PutModel["description"] = { serving: { kind: "json", url }, settings: { places }, ...schemas };
  return { name: SCORE_MODEL, description };
}

/** The one that ships with the transactions. */
export function shippedFraudModel(): PutModel {
  const { sha256: _, ...description } = JSON.parse(readFileSync(fraudModel.description, "utf8")) as DescribedModel;
  return { name: fraudModel.name, description, content: readFileSync(fraudModel.content!) };
}

/** The i-th input of {@link treeModel}: other numbers each time. */
export const treeInput = (i: number): object => ({ value: i % 100, count: i % 1_000, total: i % 5_000, mean: i % 70 });
/** The same of {@link shippedFraudModel}. */
export const fraudInput = (i: number): object => ({ features: FRAUD_FEATURES.map((_, at) => ((i * (at + 3)) % 1_000) / 50) });

/** Complete trees in the order of a heap, each node on another feature. */
function forest(trees: number, depth: number) {
  const inner = 2 ** depth - 1;
  const nodes = Array.from({ length: trees }, (_, tree) => Array.from({ length: inner * 2 + 1 }, (_, at) => ({ tree, at }))).flat();
  const branches = ({ at }: { readonly at: number }): boolean => at < inner;
  const leaves = nodes.filter((one) => !branches(one));
  return {
    nodes_treeids: nodes.map(({ tree }) => BigInt(tree)),
    nodes_nodeids: nodes.map(({ at }) => BigInt(at)),
    nodes_featureids: nodes.map(({ tree, at }) => BigInt((tree + at) % FEATURES.length)),
    nodes_values: nodes.map((one) => (branches(one) ? ((one.tree * 31 + one.at * 17) % 100) + 0.5 : 0)),
    nodes_modes: nodes.map((one) => (branches(one) ? "BRANCH_LEQ" : "LEAF")),
    nodes_truenodeids: nodes.map((one) => BigInt(branches(one) ? 2 * one.at + 1 : 0)),
    nodes_falsenodeids: nodes.map((one) => BigInt(branches(one) ? 2 * one.at + 2 : 0)),
    nodes_missing_value_tracks_true: nodes.map(() => 0n),
    nodes_hitrates: nodes.map(() => 1),
    target_treeids: leaves.map(({ tree }) => BigInt(tree)),
    target_nodeids: leaves.map(({ at }) => BigInt(at)),
    target_ids: leaves.map(() => 0n),
    target_weights: leaves.map(({ tree, at }) => (((tree * 13 + at * 7) % 19) - 9) / (3 * trees)),
    n_targets: 1n,
  };
}
