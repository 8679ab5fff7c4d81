/** A small model as a file has it: `y` is the sigmoid of the weighted sum of the columns of `x`. */
import { encodeModel } from "../../inference/onnx/onnx-proto.ts";
import { floats, model, node, value } from "../../inference/onnx/onnx-writer.ts";

export function linearModel(weights: readonly number[], bias: number): Uint8Array {
  const { length } = weights;
  return encodeModel(
    model({
      nodes: [node("Gemm", ["x", "w", "b"], ["sum"]), node("Sigmoid", ["sum"], ["y"])],
      weights: [floats("w", [length, 1], weights), floats("b", [1], [bias])],
      inputs: [value("x", "float32", ["batch", length])],
      outputs: [value("y", "float32", ["batch", 1])],
    }),
  );
}

/** What comes out of it for one row. */
export function linearScore(weights: readonly number[], bias: number, row: readonly number[]): number {
  return 1 / (1 + Math.exp(-row.reduce((sum, each, i) => sum + each * weights[i]!, bias)));
}
