/**
 * A serving put to a model: for each tensor of a run where it comes from or where it goes. Whatever cannot work with
 * this model is refused here, when it is loaded, and not at the first input.
 */
import { BATCH_MAX, INPUT_ELEMENTS_MAX } from "./bounds.ts";
import { type JsonPath, jsonPath } from "./json-path.ts";
import { jsonTensor } from "./json-tensor.ts";
import { type ModelStructure, type OutputInfo, refused, type TensorInfo } from "./model-structure.ts";
import type { OnnxInput, OnnxOutput, OnnxServing } from "./onnx-serving.ts";
import { ELEMENTS, isTensorType, type RawTensor, sizeOf, type TensorElement, type TensorType } from "./raw-tensor.ts";

/** Dimensions of one input or answer: `null` for a free one; absent when not even their number is known. */
export type RowDims = readonly (number | null)[] | undefined;

export interface InputPlan {
  readonly name: string;
  readonly type: TensorType;
  readonly axis: number | null;
  readonly rowDims: RowDims;
  /** Fields side by side, or one with the whole tensor. */
  readonly fields: readonly { readonly path: JsonPath; readonly text: string }[];
  readonly whole: boolean;
  readonly missing: TensorElement | undefined;
}

export interface OutputPlan {
  readonly field: string;
  /** As ONNX Runtime names it. */
  readonly source: string;
  readonly type: TensorType;
  readonly axis: number | null;
  readonly labels: readonly string[] | undefined;
  readonly index: number | undefined;
  readonly largest: "label" | "value" | undefined;
}

export interface ServingPlan {
  readonly inputs: readonly InputPlan[];
  readonly constants: Readonly<Record<string, RawTensor>>;
  readonly outputs: readonly OutputPlan[];
  /** Names that are asked of ONNX Runtime. */
  readonly fetches: readonly string[];
  /** Inputs of one run: as many as the model is fixed to, or up to `rowsMax`. */
  readonly rowsFixed: number | null;
  readonly rowsMax: number;
}

/** Throws InferenceError MODEL_REFUSED. */
export function planServing(serving: OnnxServing, structure: ModelStructure): ServingPlan {
  const declared = serving.inputs ?? {};
  for (const name of Object.keys(declared)) {
    if (!structure.inputs.some((input) => input.name === name))
      throw refused(`the model has no input ${name}: it has ${namesOf(structure.inputs)}`);
  }
  const inputs: InputPlan[] = [];
  const constants: Record<string, RawTensor> = {};
  const counts: { readonly name: string; readonly rows: number | null }[] = [];
  for (const info of structure.inputs) {
    const input = Object.hasOwn(declared, info.name) ? declared[info.name]! : {};
    if (input.constant !== undefined) constants[info.name] = constantOf(info, input);
    else {
      const { plan, rows } = inputPlan(info, input);
      inputs.push(plan);
      counts.push({ name: info.name, rows });
    }
  }
  const single = inputs.some(({ axis }) => axis === null) || inputs.length === 0;
  const rowsFixed = single ? 1 : fixedRows(counts);
  const outputs = outputPlans(serving.outputs, structure.outputs, single);
  const rowsMax = rowsFixed ?? Math.min(serving.batchMax ?? BATCH_MAX, BATCH_MAX);
  const fetches = [...new Set(outputs.map(({ source }) => source))];
  return { inputs, constants, outputs, fetches, rowsFixed, rowsMax };
}

function inputPlan(info: TensorInfo, input: OnnxInput): { readonly plan: InputPlan; readonly rows: number | null } {
  const { name } = info;
  const type = typeOf(info, input.type);
  const axis = input.batchAxis === undefined ? 0 : input.batchAxis;
  const { rowDims, rows } = withoutAxis(info, axis);
  const texts = input.fields ?? [input.field ?? name];
  const plan = {
    name,
    type,
    axis,
    rowDims: shaped(name, rowDims, input.shape),
    fields: texts.map((text) => ({ path: jsonPath(text), text: text === "" ? "the input" : text })),
    whole: input.fields === undefined,
    missing: missingOf(name, type, input.missing),
  };
  const size = plan.rowDims?.every((dim) => dim !== null) === true ? sizeOf(plan.rowDims as number[]) : undefined;
  if (size !== undefined && size > INPUT_ELEMENTS_MAX) throw refused(`input ${name} takes ${size} elements, over ${INPUT_ELEMENTS_MAX}`);
  // A field may hold several columns, but none holds less than one.
  if (size !== undefined && texts.length > size)
    throw refused(`input ${name} takes ${size} elements, ${texts.length} fields are declared for it`);
  return { plan, rows };
}

function typeOf({ name, type, described }: TensorInfo, declared: string | undefined): TensorType {
  if (!isTensorType(type))
    throw refused(`${name} is of type ${described}, which cannot be given or had here: add a Cast to the model, or leave it out`);
  if (declared !== undefined && declared !== type) throw refused(`${name} is of type ${type}, not ${declared} as declared`);
  return type;
}

function withoutAxis({ name, dims }: TensorInfo, axis: number | null): { readonly rowDims: RowDims; readonly rows: number | null } {
  if (dims === undefined) return { rowDims: undefined, rows: null };
  if (axis === null) return { rowDims: dims, rows: null };
  if (axis >= dims.length) {
    throw refused(`${name} has ${dims.length} dimensions, so none is number ${axis} for a batch: give its batchAxis (null for none)`);
  }
  return { rowDims: dims.filter((_, i) => i !== axis), rows: dims[axis]! };
}

function shaped(name: string, rowDims: RowDims, shape: readonly number[] | undefined): RowDims {
  if (shape === undefined) return rowDims;
  const fits = rowDims === undefined || (rowDims.length === shape.length && rowDims.every((dim, i) => dim === null || dim === shape[i]));
  if (!fits)
    throw refused(
      `${name} has dimensions [${rowDims.map((dim) => dim ?? "?").join(", ")}] for one input, not [${shape.join(", ")}] as declared`,
    );
  return shape;
}

function missingOf(name: string, type: TensorType, missing: OnnxInput["missing"]): TensorElement | undefined {
  if (missing === undefined) return undefined;
  if (missing === "nan" && (type === "float32" || type === "float64")) return Number.NaN;
  const element = ELEMENTS[type].encode(missing);
  if (element === undefined) throw refused(`what stands for a missing value of ${name} must be ${ELEMENTS[type].wanted}`);
  return element;
}

function constantOf(info: TensorInfo, input: OnnxInput): RawTensor {
  const tensor = jsonTensor(typeOf(info, input.type), input.constant, input.shape);
  if (typeof tensor === "string") throw refused(`the constant of input ${info.name} ${tensor}`);
  const { dims } = info;
  if (dims !== undefined && (dims.length !== tensor.dims.length || dims.some((dim, i) => dim !== null && dim !== tensor.dims[i]))) {
    const wanted = dims.map((dim) => dim ?? "?").join(", ");
    throw refused(`the constant of input ${info.name} has dimensions [${tensor.dims.join(", ")}], the model takes [${wanted}]`);
  }
  return tensor;
}

function fixedRows(counts: readonly { readonly name: string; readonly rows: number | null }[]): number | null {
  const fixed = counts.filter(({ rows }) => rows !== null);
  const [first] = fixed;
  if (first === undefined) return null;
  const other = fixed.find(({ rows }) => rows !== first.rows);
  if (other !== undefined) {
    throw refused(
      `${first.name} is fixed to ${first.rows} inputs a run and ${other.name} to ${other.rows}: give their batchAxis (null for none)`,
    );
  }
  if (first.rows! > BATCH_MAX) throw refused(`${first.name} is fixed to ${first.rows} inputs a run, over ${BATCH_MAX}`);
  return first.rows;
}

function outputPlans(declared: OnnxServing["outputs"], known: readonly OutputInfo[], single: boolean): readonly OutputPlan[] {
  const outputs: Readonly<Record<string, OnnxOutput>> = declared ?? Object.fromEntries(known.map(({ name }) => [name, {}]));
  return Object.entries(outputs).map(([field, output]) => {
    const name = output.tensor ?? field;
    const info = known.find((each) => each.name === name);
    if (info === undefined) throw refused(`the model has no output ${name}: it has ${namesOf(known)}`);
    return outputPlan(field, output, info, single);
  });
}

function outputPlan(field: string, output: OnnxOutput, info: OutputInfo, single: boolean): OutputPlan {
  const type = typeOf(info, undefined);
  const axis = output.batchAxis === undefined ? (single ? null : 0) : output.batchAxis;
  if (axis === null && !single) throw refused(`output ${info.name} without a batch needs inputs without one: give theirs batchAxis null`);
  const { rowDims } = withoutAxis(info, axis);
  const labels = labelsOf(info, output);
  if (output.label !== undefined && labels === undefined)
    throw refused(`output ${info.name} has no labels: declare them, or take an index`);
  if (output.label !== undefined && !labels!.includes(output.label))
    throw refused(`output ${info.name} has no label ${output.label}: it has ${labels!.join(", ")}`);
  const index = output.label === undefined ? output.index : labels!.indexOf(output.label);
  const size = rowDims?.every((dim) => dim !== null) === true ? sizeOf(rowDims as number[]) : undefined;
  if (size !== undefined && labels !== undefined && size !== labels.length) {
    throw refused(`output ${info.name} has ${size} values and ${labels.length} labels`);
  }
  if (size !== undefined && index !== undefined && index >= size)
    throw refused(`output ${info.name} has ${size} values, so none is number ${index}`);
  if (output.largest !== undefined && (type === "string" || type === "bool"))
    throw refused(`output ${info.name} is of type ${type}: none is the largest`);
  return { field, source: info.source, type, axis, labels, index, largest: output.largest };
}

function labelsOf(info: OutputInfo, { labels }: OnnxOutput): readonly string[] | undefined {
  if (labels === undefined || info.labels === undefined) return labels ?? info.labels;
  const same = labels.length === info.labels.length && labels.every((label) => info.labels!.includes(label));
  if (!same) throw refused(`output ${info.name} has the labels ${info.labels.join(", ")}, not those declared`);
  // The model's own order is the one of its values.
  return info.labels;
}

function namesOf(infos: readonly TensorInfo[]): string {
  return infos.length === 0 ? "none" : infos.map(({ name, described }) => `${name} (${described})`).join(", ");
}
