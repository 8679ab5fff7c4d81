/**
 * The part of ONNX's file format that Tidemark reads and writes, after onnx.proto (IR version 13). Names are ONNX's own.
 * What is not listed here is kept when a model is read and written again. It knows nothing of what an operator does.
 */
import { decodeMessage, encodeMessage, type MessageShape, many, one } from "./protobuf.ts";

/** TensorProto.DataType. */
export const ONNX_TYPES = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
} as const;

export type OnnxType = keyof typeof ONNX_TYPES;

/** AttributeProto.AttributeType. */
export const ATTRIBUTE_TYPES = { FLOAT: 1, INT: 2, STRING: 3, TENSOR: 4, GRAPH: 5, FLOATS: 6, INTS: 7, STRINGS: 8 } as const;

interface Kept {
  /** Fields that are not listed here, as they came. */
  readonly unknown?: Uint8Array;
}

export interface ModelProto extends Kept {
  readonly ir_version?: number;
  readonly producer_name?: string;
  readonly producer_version?: string;
  readonly domain?: string;
  readonly model_version?: number;
  readonly doc_string?: string;
  readonly graph?: GraphProto;
  readonly opset_import: readonly OperatorSetIdProto[];
  readonly metadata_props: readonly StringStringEntryProto[];
  readonly functions: readonly FunctionProto[];
}

interface FunctionProto extends Kept {
  readonly node: readonly NodeProto[];
}

export interface OperatorSetIdProto extends Kept {
  /** Absent or "" for ONNX's own; `ai.onnx.ml` for trees, linear models and the like. */
  readonly domain?: string;
  readonly version?: number;
}

interface StringStringEntryProto extends Kept {
  readonly key?: string;
  readonly value?: string;
}

export interface GraphProto extends Kept {
  readonly node: readonly NodeProto[];
  readonly name?: string;
  readonly initializer: readonly TensorProto[];
  readonly doc_string?: string;
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
  readonly value_info: readonly ValueInfoProto[];
  readonly sparse_initializer: readonly SparseTensorProto[];
}

export interface NodeProto extends Kept {
  /** "" for an optional input that is left out. */
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name?: string;
  readonly op_type?: string;
  readonly attribute: readonly AttributeProto[];
  readonly doc_string?: string;
  readonly domain?: string;
}

export interface AttributeProto extends Kept {
  readonly name?: string;
  readonly f?: number;
  readonly i?: bigint;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly bigint[];
  readonly strings: readonly Uint8Array[];
  readonly tensors: readonly TensorProto[];
  readonly graphs: readonly GraphProto[];
  /** One of ATTRIBUTE_TYPES. */
  readonly type?: number;
  readonly sparse_tensor?: SparseTensorProto;
  readonly sparse_tensors: readonly SparseTensorProto[];
}

export interface SparseTensorProto extends Kept {
  readonly values?: TensorProto;
  readonly indices?: TensorProto;
}

export interface TensorProto extends Kept {
  readonly dims: readonly number[];
  /** One of ONNX_TYPES. */
  readonly data_type?: number;
  readonly float_data: readonly number[];
  /** Also bool, int8, uint8, int16, uint16 and float16. */
  readonly int32_data: readonly number[];
  readonly string_data: readonly Uint8Array[];
  readonly int64_data: readonly bigint[];
  readonly name?: string;
  /** Little endian. */
  readonly raw_data?: Uint8Array;
  readonly double_data: readonly number[];
  /** Also uint32. */
  readonly uint64_data: readonly bigint[];
  /** Where the data is when it is not in this file: not taken by Tidemark, which knows a model by one hash. */
  readonly external_data: readonly StringStringEntryProto[];
  /** 1 for elsewhere. */
  readonly data_location?: number;
}

export interface ValueInfoProto extends Kept {
  readonly name?: string;
  readonly type?: TypeProto;
}

/** Has one of the five. */
export interface TypeProto extends Kept {
  readonly tensor_type?: { readonly elem_type?: number; readonly shape?: TensorShapeProto } & Kept;
  readonly sequence_type?: { readonly elem_type?: TypeProto } & Kept;
  readonly map_type?: { readonly key_type?: number; readonly value_type?: TypeProto } & Kept;
  readonly sparse_tensor_type?: { readonly elem_type?: number; readonly shape?: TensorShapeProto } & Kept;
  readonly optional_type?: { readonly elem_type?: TypeProto } & Kept;
}

interface TensorShapeProto extends Kept {
  /** Neither of the two for a free dimension without a name. */
  readonly dim: readonly ({ readonly dim_value?: number; readonly dim_param?: string } & Kept)[];
}

/** Throws ProtobufError. Bytes within the model are views of `bytes`. */
export function decodeModel(bytes: Uint8Array): ModelProto {
  return decodeMessage(MODEL, bytes) as unknown as ModelProto;
}

export function encodeModel(model: ModelProto): Uint8Array {
  return encodeMessage(MODEL, { ...model });
}

const ENTRY: MessageShape = { name: "StringStringEntryProto", fields: [one(1, "key", "string"), one(2, "value", "string")] };

const OPSET: MessageShape = { name: "OperatorSetIdProto", fields: [one(1, "domain", "string"), one(2, "version", "size")] };

const MODEL: MessageShape = {
  name: "ModelProto",
  fields: [
    one(1, "ir_version", "size"),
    one(2, "producer_name", "string"),
    one(3, "producer_version", "string"),
    one(4, "domain", "string"),
    one(5, "model_version", "size"),
    one(6, "doc_string", "string"),
    one(7, "graph", () => GRAPH),
    many(8, "opset_import", () => OPSET),
    many(14, "metadata_props", () => ENTRY),
    many(25, "functions", () => FUNCTION),
  ],
};

const FUNCTION: MessageShape = { name: "FunctionProto", fields: [many(7, "node", () => NODE)] };

const GRAPH: MessageShape = {
  name: "GraphProto",
  fields: [
    many(1, "node", () => NODE),
    one(2, "name", "string"),
    many(5, "initializer", () => TENSOR),
    one(10, "doc_string", "string"),
    many(11, "input", () => VALUE_INFO),
    many(12, "output", () => VALUE_INFO),
    many(13, "value_info", () => VALUE_INFO),
    many(15, "sparse_initializer", () => SPARSE_TENSOR),
  ],
};

const NODE: MessageShape = {
  name: "NodeProto",
  fields: [
    many(1, "input", "string"),
    many(2, "output", "string"),
    one(3, "name", "string"),
    one(4, "op_type", "string"),
    many(5, "attribute", () => ATTRIBUTE),
    one(6, "doc_string", "string"),
    one(7, "domain", "string"),
  ],
};

const ATTRIBUTE: MessageShape = {
  name: "AttributeProto",
  fields: [
    one(1, "name", "string"),
    one(2, "f", "float"),
    one(3, "i", "int64"),
    one(4, "s", "bytes"),
    one(5, "t", () => TENSOR),
    one(6, "g", () => GRAPH),
    many(7, "floats", "float"),
    many(8, "ints", "int64"),
    many(9, "strings", "bytes"),
    many(10, "tensors", () => TENSOR),
    many(11, "graphs", () => GRAPH),
    one(20, "type", "int32"),
    one(22, "sparse_tensor", () => SPARSE_TENSOR),
    many(23, "sparse_tensors", () => SPARSE_TENSOR),
  ],
};

const SPARSE_TENSOR: MessageShape = {
  name: "SparseTensorProto",
  fields: [one(1, "values", () => TENSOR), one(2, "indices", () => TENSOR)],
};

const TENSOR: MessageShape = {
  name: "TensorProto",
  fields: [
    many(1, "dims", "size"),
    one(2, "data_type", "int32"),
    many(4, "float_data", "float"),
    many(5, "int32_data", "int32"),
    many(6, "string_data", "bytes"),
    many(7, "int64_data", "int64"),
    one(8, "name", "string"),
    one(9, "raw_data", "bytes"),
    many(10, "double_data", "double"),
    many(11, "uint64_data", "uint64"),
    many(13, "external_data", () => ENTRY),
    one(14, "data_location", "int32"),
  ],
};

const DIMENSION: MessageShape = { name: "Dimension", fields: [one(1, "dim_value", "size"), one(2, "dim_param", "string")] };
const SHAPE: MessageShape = { name: "TensorShapeProto", fields: [many(1, "dim", () => DIMENSION)] };
const TENSOR_TYPE: MessageShape = { name: "TypeProto.Tensor", fields: [one(1, "elem_type", "int32"), one(2, "shape", () => SHAPE)] };
const ELEMENT_TYPE: MessageShape = { name: "TypeProto.Sequence", fields: [one(1, "elem_type", () => TYPE)] };
const MAP_TYPE: MessageShape = { name: "TypeProto.Map", fields: [one(1, "key_type", "int32"), one(2, "value_type", () => TYPE)] };

const TYPE: MessageShape = {
  name: "TypeProto",
  fields: [
    one(1, "tensor_type", () => TENSOR_TYPE),
    one(4, "sequence_type", () => ELEMENT_TYPE),
    one(5, "map_type", () => MAP_TYPE),
    one(8, "sparse_tensor_type", () => TENSOR_TYPE),
    one(9, "optional_type", () => ELEMENT_TYPE),
  ],
};

const VALUE_INFO: MessageShape = { name: "ValueInfoProto", fields: [one(1, "name", "string"), one(2, "type", () => TYPE)] };
