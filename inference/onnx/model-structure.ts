/**
 * What goes in and comes out of a model, read from its bytes before ONNX Runtime sees them, and the bytes that it then
 * gets. Its binding for Node gives tensors only, so a ZipMap node at an output is taken out: the tensor before it is
 * given instead, with the labels that the node would have put to it. Refuses what Tidemark cannot serve whatever the
 * serving: data in other files.
 */

import { failure, InferenceError } from "../failures.ts";
import { CONTENT_MAX_BYTES, DIMENSIONS_MAX } from "./bounds.ts";
import {
  type AttributeProto,
  decodeModel,
  encodeModel,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  ONNX_TYPES,
  type OnnxType,
  type SparseTensorProto,
  type TensorProto,
  type TypeProto,
  type ValueInfoProto,
} from "./onnx-proto.ts";
import { ProtobufError } from "./protobuf.ts";

export interface TensorInfo {
  readonly name: string;
  /** `undefined` for what is no tensor, or has a type that is not known here. */
  readonly type?: OnnxType;
  /** For messages: `seq(map(int64, float32))`. */
  readonly described: string;
  /** `null` for a free one; absent when not even their number is known. */
  readonly dims?: readonly (number | null)[];
}

export interface OutputInfo extends TensorInfo {
  /** Name under which ONNX Runtime has it. */
  readonly source: string;
  /** Of the ZipMap node that was here; numbers as text, as they are keys of JSON. */
  readonly labels?: readonly string[];
}

export interface ModelStructure {
  /** Without those that have a default in the model: ONNX Runtime's binding would silently leave out what is given for them. */
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly OutputInfo[];
}

/** Throws InferenceError MODEL_REFUSED. */
export function readModel(bytes: Uint8Array): { readonly structure: ModelStructure; readonly content: Uint8Array } {
  if (bytes.length === 0) throw refused("the file is empty");
  if (bytes.length > CONTENT_MAX_BYTES) throw refused(`the file is over ${CONTENT_MAX_BYTES} bytes`);
  const model = decoded(bytes);
  const { graph, functions } = model;
  if (graph === undefined || graph.output.length === 0) throw refused("the file has no graph with outputs: it is no ONNX model");
  if (hasOutsideData(graph) || functions.some(({ node }) => nodesHaveOutsideData(node)))
    throw refused("its weights are in other files: save it with all data in one file");
  const zips = zipMapsOf(graph);
  const outputs = graph.output.map((output) => {
    const zip = zips.get(output.name ?? "");
    const info = tensorInfo(output);
    if (zip === undefined) return { ...info, source: info.name };
    return { name: info.name, source: zip.source, type: "float32" as const, described: info.described, labels: zip.labels };
  });
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const inputs = graph.input.filter(({ name }) => !weights.has(name)).map(tensorInfo);
  return {
    structure: { inputs, outputs },
    content: zips.size === 0 ? bytes : encodeModel(withoutZipMaps(model, graph, zips)),
  };
}

export function refused(reason: string): InferenceError {
  return new InferenceError(failure("MODEL_REFUSED", reason));
}

interface ZipMap {
  readonly node: NodeProto;
  readonly source: string;
  readonly labels: readonly string[];
}

const UTF8 = new TextDecoder();
const TYPE_NAMES = new Map(Object.entries(ONNX_TYPES).map(([name, number]) => [number as number, name as OnnxType]));

function decoded(bytes: Uint8Array): ModelProto {
  try {
    return decodeModel(bytes);
  } catch (error) {
    if (error instanceof ProtobufError) throw refused(`the file is no ONNX model: ${error.message}`);
    throw error;
  }
}

/** By the output that each of them makes. */
function zipMapsOf(graph: GraphProto): ReadonlyMap<string, ZipMap> {
  const outputs = new Set(graph.output.map(({ name }) => name));
  const zips = new Map<string, ZipMap>();
  for (const node of graph.node) {
    const [source] = node.input;
    const [output] = node.output;
    if (node.op_type !== "ZipMap" || node.domain !== "ai.onnx.ml" || source === undefined || output === undefined || !outputs.has(output))
      continue;
    const attribute = node.attribute.find(({ name }) => name === "classlabels_strings" || name === "classlabels_int64s");
    const labels = attribute === undefined ? [] : [...attribute.strings.map((each) => UTF8.decode(each)), ...attribute.ints.map(String)];
    if (labels.length === 0) throw refused(`the ZipMap node of output ${output} has no labels`);
    if (new Set(labels).size < labels.length) throw refused(`the ZipMap node of output ${output} has a label twice`);
    zips.set(output, { node, source, labels });
  }
  return zips;
}

function withoutZipMaps(model: ModelProto, graph: GraphProto, zips: ReadonlyMap<string, ZipMap>): ModelProto {
  const gone = new Set([...zips.values()].map(({ node }) => node));
  const names = new Set<string>();
  const output = graph.output.flatMap((each): ValueInfoProto[] => {
    const zip = zips.get(each.name ?? "");
    const name = zip?.source ?? each.name ?? "";
    // Two outputs may have come from one tensor.
    if (names.has(name)) return [];
    names.add(name);
    return [zip === undefined ? each : { name, type: { tensor_type: { elem_type: ONNX_TYPES.float32 } } }];
  });
  return { ...model, graph: { ...graph, output, node: graph.node.filter((node) => !gone.has(node)) } };
}

function tensorInfo({ name = "", type }: ValueInfoProto): TensorInfo {
  const tensor = type?.tensor_type;
  const described = describe(type);
  const known = TYPE_NAMES.get(tensor?.elem_type ?? 0);
  if (tensor === undefined || known === undefined) return { name, described };
  const dims = tensor.shape?.dim.map(({ dim_value }) => (dim_value === undefined || dim_value <= 0 ? null : dim_value));
  if (dims === undefined) return { name, type: known, described };
  if (dims.length > DIMENSIONS_MAX) throw refused(`${name} has over ${DIMENSIONS_MAX} dimensions`);
  return { name, type: known, described, dims };
}

function describe(type: TypeProto | undefined): string {
  if (type?.tensor_type !== undefined) return TYPE_NAMES.get(type.tensor_type.elem_type ?? 0) ?? `type ${type.tensor_type.elem_type}`;
  if (type?.sequence_type !== undefined) return `seq(${describe(type.sequence_type.elem_type)})`;
  if (type?.optional_type !== undefined) return `optional(${describe(type.optional_type.elem_type)})`;
  if (type?.sparse_tensor_type !== undefined) return "a sparse tensor";
  if (type?.map_type === undefined) return "a type that is not known here";
  return `map(${TYPE_NAMES.get(type.map_type.key_type ?? 0)}, ${describe(type.map_type.value_type)})`;
}

/** Graphs are within graphs as deep as messages may be within messages. */
function hasOutsideData({ initializer, sparse_initializer, node }: GraphProto): boolean {
  return initializer.some(isOutside) || sparse_initializer.some(isSparseOutside) || nodesHaveOutsideData(node);
}

function nodesHaveOutsideData(nodes: readonly NodeProto[]): boolean {
  return nodes.some(({ attribute }) => attribute.some(attributeHasOutsideData));
}

function attributeHasOutsideData({ t, g, tensors, graphs, sparse_tensor, sparse_tensors }: AttributeProto): boolean {
  return (
    [t, ...tensors].some(isOutside) ||
    [sparse_tensor, ...sparse_tensors].some(isSparseOutside) ||
    [g, ...graphs].some((graph) => graph !== undefined && hasOutsideData(graph))
  );
}

function isSparseOutside(tensor: SparseTensorProto | undefined): boolean {
  return isOutside(tensor?.values) || isOutside(tensor?.indices);
}

function isOutside(tensor: TensorProto | undefined): boolean {
  return tensor?.data_location === 1 || (tensor?.external_data.length ?? 0) > 0;
}
