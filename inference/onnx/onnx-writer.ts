/**
 * Puts a model together from plain values: graphs of nodes, weights, inputs and outputs, as `encodeModel` writes them.
 * Whether ONNX Runtime takes the model is not looked at here.
 *
 *     encodeModel(model({
 *       nodes: [node("Gemm", ["x", "w", "b"], ["h"]), node("Sigmoid", ["h"], ["y"])],
 *       weights: [floats("w", [2, 1], [0.5, -1]), floats("b", [1], [0])],
 *       inputs: [value("x", "float32", ["batch", 2])],
 *       outputs: [value("y", "float32", ["batch", 1])],
 *     }));
 */
import {
  ATTRIBUTE_TYPES,
  type AttributeProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  ONNX_TYPES,
  type OnnxType,
  type TensorProto,
  type TypeProto,
  type ValueInfoProto,
} from "./onnx-proto.ts";

/**
 * number is FLOAT and number[] FLOATS, whole or not; integers are bigint, as ONNX does not take the one for the other.
 * An empty array is FLOATS: leave the attribute out instead.
 */
type AttributeValue = number | bigint | string | TensorProto | GraphProto | readonly number[] | readonly bigint[] | readonly string[];

/** Operator sets of models that are written here: ONNX Runtime 1.30 takes them, and so do those of two years ago. */
const OPSETS = [
  { domain: "", version: 17 },
  { domain: "ai.onnx.ml", version: 3 },
];
const IR_VERSION = 8;
const TO_UTF8 = new TextEncoder();

export interface GraphParts {
  /** In an order in which each comes after those whose outputs it takes. */
  readonly nodes: readonly NodeProto[];
  readonly weights?: readonly TensorProto[];
  readonly inputs: readonly ValueInfoProto[];
  readonly outputs: readonly ValueInfoProto[];
}

export function model(parts: GraphParts, metadata: Readonly<Record<string, string>> = {}): ModelProto {
  return {
    ir_version: IR_VERSION,
    producer_name: "tidemark",
    graph: graph(parts),
    opset_import: OPSETS,
    metadata_props: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    functions: [],
  };
}

export function graph({ nodes, weights = [], inputs, outputs }: GraphParts): GraphProto {
  return { name: "graph", node: nodes, initializer: weights, input: inputs, output: outputs, value_info: [], sparse_initializer: [] };
}

/** A node of ONNX's own operators; `mlNode` for those of `ai.onnx.ml`. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
  return { op_type: operator, name: `${operator}_${outputs.join("_")}`, input: inputs, output: outputs, attribute };
}

export function mlNode(...parts: Parameters<typeof node>): NodeProto {
  return { ...node(...parts), domain: "ai.onnx.ml" };
}

/** A dimension is a number, or a name for a free one. */
export function value(name: string, type: OnnxType, dims: readonly (number | string)[]): ValueInfoProto {
  return { name, type: tensorType(type, dims) };
}

/** Output of a ZipMap node: for every row a map from label to probability. */
export function mapsValue(name: string, labels: "int64" | "string"): ValueInfoProto {
  return {
    name,
    type: { sequence_type: { elem_type: { map_type: { key_type: ONNX_TYPES[labels], value_type: tensorType("float32", []) } } } },
  };
}

export function floats(name: string, dims: readonly number[], data: ArrayLike<number>): TensorProto {
  const raw = new DataView(new ArrayBuffer(data.length * 4));
  for (let i = 0; i < data.length; i += 1) raw.setFloat32(i * 4, data[i]!, true);
  return { ...tensor(name, "float32", dims, data.length), raw_data: new Uint8Array(raw.buffer) };
}

export function integers(name: string, dims: readonly number[], data: readonly (number | bigint)[]): TensorProto {
  const raw = new DataView(new ArrayBuffer(data.length * 8));
  data.forEach((each, i) => {
    raw.setBigInt64(i * 8, BigInt(each), true);
  });
  return { ...tensor(name, "int64", dims, data.length), raw_data: new Uint8Array(raw.buffer) };
}

export function texts(name: string, dims: readonly number[], data: readonly string[]): TensorProto {
  return { ...tensor(name, "string", dims, data.length), string_data: data.map((each) => TO_UTF8.encode(each)) };
}

function tensor(name: string, type: OnnxType, dims: readonly number[], count: number): TensorProto {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (size !== count) throw new RangeError(`${name} of dimensions [${dims.join(", ")}] has ${size} elements, not ${count}`);
  const none = { float_data: [], int32_data: [], string_data: [], int64_data: [], double_data: [], uint64_data: [], external_data: [] };
  return { ...none, name, dims, data_type: ONNX_TYPES[type] };
}

function tensorType(type: OnnxType, dims: readonly (number | string)[]): TypeProto {
  const dim = dims.map((each) => (typeof each === "number" ? { dim_value: each } : { dim_param: each }));
  return { tensor_type: { elem_type: ONNX_TYPES[type], shape: { dim } } };
}

function attributeOf(name: string, value: AttributeValue): AttributeProto {
  const none = { name, floats: [], ints: [], strings: [], tensors: [], graphs: [], sparse_tensors: [] };
  if (typeof value === "number") return { ...none, type: ATTRIBUTE_TYPES.FLOAT, f: value };
  if (typeof value === "bigint") return { ...none, type: ATTRIBUTE_TYPES.INT, i: value };
  if (typeof value === "string") return { ...none, type: ATTRIBUTE_TYPES.STRING, s: TO_UTF8.encode(value) };
  if (isGraph(value)) return { ...none, type: ATTRIBUTE_TYPES.GRAPH, g: value };
  if (isTensor(value)) return { ...none, type: ATTRIBUTE_TYPES.TENSOR, t: value };
  if (value.length > 0 && typeof value[0] === "bigint") return { ...none, type: ATTRIBUTE_TYPES.INTS, ints: value as readonly bigint[] };
  if (value.length > 0 && typeof value[0] === "string") {
    return { ...none, type: ATTRIBUTE_TYPES.STRINGS, strings: (value as readonly string[]).map((each) => TO_UTF8.encode(each)) };
  }
  return { ...none, type: ATTRIBUTE_TYPES.FLOATS, floats: value as readonly number[] };
}

function isGraph(value: object): value is GraphProto {
  return "initializer" in value;
}

function isTensor(value: object): value is TensorProto {
  return "data_type" in value;
}
