/** The forecaster as ONNX. Hours are put on their own scale in float64, so that a large level does not swallow small changes; the network runs in float32. */
import { WINDOW_HOURS } from "../../../actors/sensors/hour-window.ts";
import type { ModelProto, NodeProto, TensorProto } from "../../onnx/onnx-proto.ts";
import { floats, integers, model, node, value } from "../../onnx/onnx-writer.ts";
import type { DenseNetwork } from "../dense-network.ts";
import type { Served } from "../trained-model.ts";
import {
  DEVIATION_MIN,
  DIFFERENCE_COUNT,
  DIFFERENCE_WEIGHTS,
  EXPERT_COUNT,
  EXPERT_WEIGHTS,
  SCALED_MAX,
  SPREAD_MIN,
  SPREAD_MIN_SHARE,
} from "./forecaster.ts";

const FLOAT32 = 1n;
const FLOAT64 = 11n;
const CONSTANTS = ["spread-min-share", "spread-min", "deviation-min"];

export function forecastGraph(network: DenseNetwork): ModelProto {
  const { nodes, weights } = networkNodes(network);
  return model({
    nodes: [...CONSTANTS.map(inFloat64), ...scaleNodes(), ...nodes, ...answerNodes()],
    weights: [
      ...weights,
      floats("spread-min-share-32", [1], [SPREAD_MIN_SHARE]),
      floats("spread-min-32", [1], [SPREAD_MIN]),
      floats("deviation-min-32", [1], [DEVIATION_MIN]),
      floats("scaled-min", [], [-SCALED_MAX]),
      floats("scaled-max", [], [SCALED_MAX]),
      floats("expert-weights", [WINDOW_HOURS, EXPERT_COUNT], EXPERT_WEIGHTS),
      floats("difference-weights", [WINDOW_HOURS, DIFFERENCE_COUNT], DIFFERENCE_WEIGHTS),
      integers("columns", [3], [EXPERT_COUNT, 1, 1]),
      integers("axis", [1], [1]),
    ],
    inputs: [value("hours", "float64", ["batch", WINDOW_HOURS])],
    outputs: [value("forecast", "float64", ["batch", 1]), value("deviation", "float64", ["batch", 1])],
  });
}

function inFloat64(name: string): NodeProto {
  return node("Cast", [`${name}-32`], [name], { to: FLOAT64 });
}

function scaleNodes(): NodeProto[] {
  return [
    node("ReduceMean", ["hours"], ["centre"], { axes: [1n], keepdims: 1n }),
    node("Sub", ["hours", "centre"], ["off"]),
    node("Abs", ["off"], ["distance"]),
    node("ReduceMean", ["distance"], ["mean-distance"], { axes: [1n], keepdims: 1n }),
    node("Abs", ["centre"], ["level"]),
    node("Mul", ["level", "spread-min-share"], ["level-share"]),
    node("Max", ["mean-distance", "level-share", "spread-min"], ["spread"]),
    node("Div", ["off", "spread"], ["scaled"]),
    node("Cast", ["scaled"], ["scaled-32"], { to: FLOAT32 }),
    node("Clip", ["scaled-32", "scaled-min", "scaled-max"], ["hours-32"]),
    node("MatMul", ["hours-32", "expert-weights"], ["experts"]),
    node("MatMul", ["hours-32", "difference-weights"], ["differences"]),
    node("Abs", ["differences"], ["sizes"]),
    node("Concat", ["hours-32", "sizes"], ["x"], { axis: 1n }),
  ];
}

function networkNodes({ layers, straight }: DenseNetwork): { readonly nodes: NodeProto[]; readonly weights: TensorProto[] } {
  const nodes: NodeProto[] = [];
  const weights: TensorProto[] = [floats("straight", [straight.inputs, straight.outputs], straight.weights)];
  let below = "x";
  for (const [k, layer] of layers.entries()) {
    const isLast = k === layers.length - 1;
    weights.push(
      floats(`weights-${k}`, [layer.inputs, layer.outputs], layer.weights),
      floats(`biases-${k}`, [layer.outputs], layer.biases),
    );
    nodes.push(node("Gemm", [below, `weights-${k}`, `biases-${k}`], [isLast ? "bent" : `sum-${k}`]));
    if (!isLast) nodes.push(node("Relu", [`sum-${k}`], [`layer-${k}`]));
    below = `layer-${k}`;
  }
  nodes.push(node("MatMul", ["x", "straight"], ["direct"]), node("Add", ["bent", "direct"], ["y"]));
  return { nodes, weights };
}

function answerNodes(): NodeProto[] {
  return [
    node("Split", ["y", "columns"], ["logits", "correction", "width"], { axis: 1n }),
    node("Softmax", ["logits"], ["shares"], { axis: 1n }),
    node("Mul", ["shares", "experts"], ["weighed"]),
    node("ReduceSum", ["weighed", "axis"], ["mixture"], { keepdims: 1n }),
    node("Add", ["mixture", "correction"], ["value"]),
    node("Softplus", ["width"], ["above-0"]),
    node("Cast", ["value"], ["value-64"], { to: FLOAT64 }),
    node("Cast", ["above-0"], ["above-0-64"], { to: FLOAT64 }),
    node("Mul", ["value-64", "spread"], ["from-centre"]),
    node("Add", ["from-centre", "centre"], ["forecast"]),
    node("Add", ["above-0-64", "deviation-min"], ["scaled-deviation"]),
    node("Mul", ["scaled-deviation", "spread"], ["deviation"]),
  ];
}

export function servedForecast(): Served {
  return {
    name: "hour-forecast",
    serving: {
      kind: "onnx",
      inputs: { hours: { field: "hours" } },
      outputs: { forecast: { index: 0 }, deviation: { index: 0 } },
    },
    input: {
      type: "object",
      description: "Means of the last 48 hours, the newest last.",
      properties: { hours: { type: "array", items: { type: "number" }, minItems: WINDOW_HOURS, maxItems: WINDOW_HOURS } },
      required: ["hours"],
      additionalProperties: false,
    },
    output: {
      type: "object",
      description: "What the mean of the next hour should be, and by how much it is off on average.",
      properties: { forecast: { type: "number" }, deviation: { type: "number", exclusiveMinimum: 0 } },
      required: ["forecast", "deviation"],
      additionalProperties: false,
    },
    sloMs: 1_000,
    batchWaitMs: 5,
  };
}
