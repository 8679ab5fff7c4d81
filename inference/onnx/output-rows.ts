/**
 * Tensors of a run become the JSON outputs of its inputs. What JSON cannot say (NaN, an infinity, an integer over 53
 * bits) refuses the answer that it is in, and no other.
 */
import { failure, InferenceError } from "../failures.ts";
import type { ModelAnswer } from "../inference.ts";
import { OUTPUT_ELEMENTS_MAX } from "./bounds.ts";
import type { Feeds } from "./input-rows.ts";
import { ELEMENTS, nested, type RawTensor, sizeOf } from "./raw-tensor.ts";
import type { OutputPlan, ServingPlan } from "./serving-plan.ts";

/** Answers for the first `wanted` of the run's `rows`. Throws InferenceError when the tensors are not those of such a run. */
export function answersOf({ outputs }: ServingPlan, tensors: Feeds, rows: number, wanted: number): readonly ModelAnswer[] {
  const columns = outputs.map((output) => columnOf(output, tensors[output.source], rows));
  return Array.from({ length: wanted }, (_, row): ModelAnswer => {
    const fields: [string, unknown][] = [];
    for (const column of columns) {
      const { field } = column.output;
      const value = fieldOf(column, row, rows);
      if (value === undefined) return { failed: failure("OUTPUT_REFUSED", `${field} has ${unsayable(column.tensor)}`) };
      fields.push([field, value]);
    }
    return { output: Object.fromEntries(fields), units: 1 };
  });
}

interface Column {
  readonly output: OutputPlan;
  readonly tensor: RawTensor;
  /** Of one answer. */
  readonly dims: readonly number[];
}

function columnOf(output: OutputPlan, tensor: RawTensor | undefined, rows: number): Column {
  const { field, axis, type, labels, index } = output;
  if (tensor === undefined) throw refusedOutput(field, "is not there");
  if (tensor.type !== type) throw refusedOutput(field, `is of type ${tensor.type}, not ${type}`);
  if (axis !== null && tensor.dims[axis] !== rows) {
    throw refusedOutput(field, `has dimensions [${tensor.dims.join(", ")}], so it has no answer for each of ${rows} inputs`);
  }
  const dims = axis === null ? tensor.dims : tensor.dims.filter((_, i) => i !== axis);
  const size = sizeOf(dims);
  if (size > OUTPUT_ELEMENTS_MAX) throw refusedOutput(field, `has ${size} elements, over ${OUTPUT_ELEMENTS_MAX}: take one by its index`);
  if (labels !== undefined && size !== labels.length) throw refusedOutput(field, `has ${size} values for ${labels.length} labels`);
  if (index !== undefined && index >= size) throw refusedOutput(field, `has ${size} values, so none is number ${index}`);
  if (output.largest !== undefined && size === 0) throw refusedOutput(field, "has no values, so none is the largest");
  return { output, tensor, dims };
}

function refusedOutput(field: string, what: string): InferenceError {
  return new InferenceError(failure("OUTPUT_REFUSED", `${field} ${what}`));
}

/** Where in the tensor the elements of a row's answer are. */
function placeOf({ output: { axis }, dims }: Column, row: number, rows: number): (element: number) => number {
  const size = sizeOf(dims);
  if (axis === null) return (element) => element;
  if (axis === 0) return (element) => row * size + element;
  const inner = sizeOf(dims.slice(axis));
  return (element) => (Math.floor(element / inner) * rows + row) * inner + (element % inner);
}

/** `undefined` for what JSON cannot say. */
function fieldOf(column: Column, row: number, rows: number): unknown {
  const { output, tensor, dims } = column;
  const { labels, index, largest } = output;
  const { decode } = ELEMENTS[output.type];
  const place = placeOf(column, row, rows);
  if (index !== undefined) return decode(tensor.data[place(index)]!);
  const values = Array.from({ length: sizeOf(dims) }, (_, element) => decode(tensor.data[place(element)]!));
  if (values.includes(undefined)) return undefined;
  if (largest !== undefined) {
    const at = largestOf(values as number[]);
    return largest === "value" ? values[at] : (labels?.[at] ?? at);
  }
  return labels === undefined ? nested(values, dims) : Object.fromEntries(labels.map((label, i) => [label, values[i]]));
}

function largestOf(values: readonly number[]): number {
  let at = 0;
  for (let i = 1; i < values.length; i += 1) if (values[i]! > values[at]!) at = i;
  return at;
}

function unsayable({ type }: RawTensor): string {
  return type === "int64" || type === "uint64" ? "an integer that JSON does not hold exactly" : "NaN or an infinity";
}
