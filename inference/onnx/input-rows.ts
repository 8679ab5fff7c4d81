/**
 * JSON inputs become the tensors of runs. Inputs whose tensors have the same dimensions share a run, up to the rows
 * that a run may have; a model that is fixed to a number of rows gets its last row again for those that are not there.
 * An input that cannot be put into the model's tensors is refused by itself and says at which field.
 */
import { failure, type InferenceFailure } from "../failures.ts";
import { INPUT_ELEMENTS_MAX, RUN_ELEMENTS_MAX } from "./bounds.ts";
import { at } from "./json-path.ts";
import { flatten } from "./json-tensor.ts";
import { ELEMENTS, type RawTensor, sizeOf, type TensorElement } from "./raw-tensor.ts";
import type { InputPlan, RowDims, ServingPlan } from "./serving-plan.ts";

export type Feeds = Readonly<Record<string, RawTensor>>;

export interface Run {
  readonly feeds: Feeds;
  /** Which inputs its rows are; rows behind them are padding. */
  readonly inputs: readonly number[];
  readonly rows: number;
}

interface Runs {
  readonly runs: readonly Run[];
  /** By the number of the input. */
  readonly refused: ReadonlyMap<number, InferenceFailure>;
  /** The first input that was not looked at. */
  readonly end: number;
}

/** Of one input tensor, row by row. */
interface RowTensor {
  readonly dims: readonly number[];
  readonly elements: readonly TensorElement[];
}

type Row = readonly RowTensor[];

/** Of the inputs from number `start` on, as many as fill one run, at least one. */
export function nextRuns(plan: ServingPlan, values: readonly unknown[], start: number): Runs {
  const refused = new Map<number, InferenceFailure>();
  const groups = new Map<string, { readonly rows: Row[]; readonly inputs: number[] }>();
  let end = start;
  for (let elements = 0; end < values.length && elements < RUN_ELEMENTS_MAX; end += 1) {
    const row = rowOf(plan, values[end]);
    if (typeof row === "string") {
      refused.set(end, failure("INPUT_REFUSED", row));
      continue;
    }
    elements += row.reduce((sum, tensor) => sum + tensor.elements.length, 0);
    const shape = row.map(({ dims }) => dims.join()).join(";");
    let group = groups.get(shape);
    if (group === undefined) {
      group = { rows: [], inputs: [] };
      groups.set(shape, group);
    }
    group.rows.push(row);
    group.inputs.push(end);
  }
  const step = plan.rowsFixed ?? plan.rowsMax;
  const runs: Run[] = [];
  for (const { rows, inputs } of groups.values()) {
    for (let from = 0; from < rows.length; from += step)
      runs.push(runOf(plan, rows.slice(from, from + step), inputs.slice(from, from + step)));
  }
  return { runs, refused, end };
}

function rowOf(plan: ServingPlan, value: unknown): Row | string {
  const row: RowTensor[] = [];
  for (const input of plan.inputs) {
    const tensor = input.whole ? wholeTensor(input, value) : sideBySide(input, value);
    if (typeof tensor === "string") return tensor;
    row.push(tensor);
  }
  return row;
}

function wholeTensor({ type, missing, fields, rowDims, name, axis }: InputPlan, value: unknown): RowTensor | string {
  const { path, text } = fields[0]!;
  const json = at(value, path);
  if (json === undefined || json === null) {
    if (missing === undefined) return `${text} is missing`;
    const dims = rowDims?.map((dim) => dim ?? 1) ?? [];
    return { dims, elements: new Array<TensorElement>(sizeOf(dims)).fill(missing) };
  }
  const elements: TensorElement[] = [];
  const found = flatten(type, json, missing, elements);
  if (typeof found === "string") return `${text} ${found}`;
  const dims = fitted(found, elements.length, rowDims);
  if (dims === undefined) return `${text} has dimensions [${found.join(", ")}], ${name} takes [${shown(rowDims)}] for one input`;
  if (axis !== null && axis > dims.length) return `${text} has dimensions [${found.join(", ")}], too few for batchAxis ${axis} of ${name}`;
  return { dims, elements };
}

/** What JSON has is right as it is; or it is one value or a flat list, and the model's dimensions say how it lies. */
function fitted(found: readonly number[], count: number, rowDims: RowDims): readonly number[] | undefined {
  if (rowDims === undefined) return found;
  if (found.length === rowDims.length && found.every((dim, i) => rowDims[i] === null || rowDims[i] === dim)) return found;
  if (found.length === 0 && rowDims.every((dim) => dim === null || dim === 1)) return rowDims.map(() => 1);
  const isFlat = found.length === 1 && rowDims.every((dim) => dim !== null) && sizeOf(rowDims as number[]) === count;
  return isFlat ? (rowDims as number[]) : undefined;
}

function sideBySide({ type, missing, fields, rowDims, name }: InputPlan, value: unknown): RowTensor | string {
  const elements: TensorElement[] = [];
  for (const { path, text } of fields) {
    let json = at(value, path);
    if (json === undefined || json === null) {
      if (missing === undefined) return `${text} is missing`;
      json = null;
    }
    const found = flatten(type, json, missing, elements);
    if (typeof found === "string") return `${text} ${found}`;
  }
  const dims = laidOut(elements.length, rowDims);
  return dims === undefined
    ? `the fields of ${name} hold ${elements.length} values, it takes [${shown(rowDims)}] for one input`
    : { dims, elements };
}

/** One free dimension is whatever the others leave. */
function laidOut(count: number, rowDims: RowDims): readonly number[] | undefined {
  if (rowDims === undefined) return [count];
  const fixed = rowDims.reduce<number>((product, dim) => product * (dim ?? 1), 1);
  const hasFree = rowDims.includes(null);
  if (hasFree ? count % fixed !== 0 : count !== fixed) return undefined;
  return rowDims.map((dim) => dim ?? count / fixed);
}

function shown(rowDims: RowDims): string {
  return rowDims === undefined ? "anything" : rowDims.map((dim) => dim ?? "?").join(", ");
}

function runOf({ inputs: plans, constants, rowsFixed }: ServingPlan, rows: readonly Row[], inputs: readonly number[]): Run {
  const count = rowsFixed ?? rows.length;
  const feeds: Record<string, RawTensor> = { ...constants };
  plans.forEach((plan, i) => {
    const tensors = Array.from({ length: count }, (_, row) => (rows[row] ?? rows.at(-1)!)[i]!);
    feeds[plan.name] = stacked(plan, tensors);
  });
  return { feeds, inputs, rows: count };
}

function stacked({ type, axis }: InputPlan, rows: readonly RowTensor[]): RawTensor {
  const { dims } = rows[0]!;
  const data = ELEMENTS[type].allocate(sizeOf(dims) * rows.length) as TensorElement[];
  const before = axis === null ? 1 : sizeOf(dims.slice(0, axis));
  const inner = sizeOf(dims) / before;
  rows.forEach(({ elements }, row) => {
    for (let outer = 0; outer < before; outer += 1) {
      const to = (outer * rows.length + row) * inner;
      const from = outer * inner;
      for (let i = 0; i < inner; i += 1) data[to + i] = elements[from + i]!;
    }
  });
  return { type, dims: axis === null ? dims : [...dims.slice(0, axis), rows.length, ...dims.slice(axis)], data: data as RawTensor["data"] };
}

/** Zeros, empty texts and `false` in the dimensions of `rows` inputs, free ones being 1: to measure a run with. */
export function trialFeeds({ inputs, constants }: ServingPlan, rows: number): Feeds {
  const feeds: Record<string, RawTensor> = { ...constants };
  for (const plan of inputs) {
    const columns = plan.whole ? 1 : plan.fields.length;
    const dims = (plan.whole ? undefined : laidOut(columns, plan.rowDims)) ?? plan.rowDims?.map((dim) => dim ?? 1) ?? [columns];
    const row: RowTensor = { dims, elements: Array.from({ length: Math.min(sizeOf(dims), INPUT_ELEMENTS_MAX) }, () => zero(plan)) };
    feeds[plan.name] = stacked(plan, new Array<RowTensor>(plan.axis === null ? 1 : rows).fill(row));
  }
  return feeds;
}

function zero({ type }: InputPlan): TensorElement {
  if (type === "string") return "";
  return type === "int64" || type === "uint64" ? 0n : 0;
}
