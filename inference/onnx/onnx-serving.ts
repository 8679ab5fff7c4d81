/**
 * How an ONNX model that runs here is served: which fields of the JSON input become which tensors, and which tensors
 * become which fields of the JSON output. What a declaration says by itself is checked here; whether it fits the model
 * is checked when that is loaded (`serving-plan.ts`).
 *
 *     {
 *       kind: "onnx",
 *       inputs: { X: { fields: ["amount", "count", "merchant.risk"] } },
 *       outputs: { score: { tensor: "probabilities", index: 1 }, label: { tensor: "label" } }
 *     }
 */
import * as bounds from "./bounds.ts";
import { ONNX_TYPES, type OnnxType } from "./onnx-proto.ts";

export interface OnnxServing {
  readonly kind: "onnx";
  /** By the name of the model's input. One that is left out is the field of its own name. */
  readonly inputs?: Readonly<Record<string, OnnxInput>>;
  /** By the name of the field of the output. Without any, each output of the model is the field of its name. */
  readonly outputs?: Readonly<Record<string, OnnxOutput>>;
  /** Where it is run; without it, as measured when it is loaded: a small one in the thread, others in workers. */
  readonly execution?: "thread" | "pool";
  /** Workers that have the model loaded; 1. Of no meaning for one that is run in the thread. */
  readonly workers?: number;
  /** Inputs of one run at the most; 256, or as many as the model is fixed to. */
  readonly batchMax?: number;
}

/**
 * Paths go into objects with dots: `merchant.risk`; "" is the whole input. Numbers are JSON numbers; `true` and `false` are 1 and 0
 * where numbers are wanted. At most one of `fields`, `field` and `constant`; the field of the tensor's name without.
 */
export interface OnnxInput {
  /** Fields side by side, in this order: each a number, text or boolean, or an array of them. */
  readonly fields?: readonly string[];
  /** One field with the whole tensor of one input: a value, an array, or arrays within arrays. */
  readonly field?: string;
  /** The same in every run: a value, an array, or arrays within arrays. */
  readonly constant?: unknown;
  /**
   * Stands for `null` and for a field that is not there, which are refused without it; in all elements, when `field` is
   * not there: the state that a key begins with. "nan" for models that know missing values by it.
   */
  readonly missing?: number | string | boolean;
  /** As the model has it: given to be told when that is not so. */
  readonly type?: OnnxType;
  /** Dimensions of one input, where the model leaves them open. */
  readonly shape?: readonly number[];
  /** Which dimension counts the inputs; 0. `null` for none: then every input is run by itself. `null` for constants. */
  readonly batchAxis?: number | null;
}

export interface OnnxOutput {
  /** The model's output; that of the field's name without it. */
  readonly tensor?: string;
  /** Takes this one of the values. */
  readonly index?: number;
  /** Names of the values in their order: the field is then `{label: value}`. A ZipMap output has its own. */
  readonly labels?: readonly string[];
  /** Takes the value of this label. */
  readonly label?: string;
  /** Takes the label (or index, without labels) of the largest value, the first one of several; or that value. */
  readonly largest?: "label" | "value";
  /** As for inputs. */
  readonly batchAxis?: number | null;
}

/** The serving, or why it is none. */
export function readOnnxServing(value: unknown): OnnxServing | string {
  const top = members(value, "the serving", ["kind", "inputs", "outputs", "execution", "workers", "batchMax"]);
  if (typeof top === "string") return top;
  if (top.kind !== "onnx") return "kind must be onnx";
  const { execution, workers, batchMax } = top;
  if (execution !== undefined && execution !== "thread" && execution !== "pool") return "execution must be thread or pool";
  if (workers !== undefined && !isCount(workers, bounds.WORKERS_MAX)) return `workers must be from 1 to ${bounds.WORKERS_MAX}`;
  if (batchMax !== undefined && !isCount(batchMax, bounds.BATCH_MAX)) return `batchMax must be from 1 to ${bounds.BATCH_MAX}`;
  if (isEmpty(top.outputs)) return "outputs must name one: without outputs, all of the model's are given";
  const reason = eachOf(top.inputs, "inputs", inputReason) ?? eachOf(top.outputs, "outputs", outputReason);
  // Every member was looked at.
  return reason ?? (value as OnnxServing);
}

type Members = Readonly<Record<string, unknown>>;

function members(value: unknown, what: string, known: readonly string[]): Members | string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return `${what} must be an object`;
  const stranger = Object.keys(value).find((name) => !known.includes(name));
  return stranger === undefined ? (value as Members) : `${what} must not have ${clipped(stranger)}: ${known.join(", ")} are known`;
}

function eachOf(value: unknown, what: string, reasonOf: (each: unknown, what: string) => string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return `${what} must be an object`;
  const entries = Object.entries(value);
  if (entries.length > bounds.SERVING_TENSORS_MAX) return `${what} must have at most ${bounds.SERVING_TENSORS_MAX} members`;
  for (const [name, each] of entries) {
    if (!isName(name)) return `${what}: a name must have 1 to ${bounds.SERVING_NAME_MAX_CHARS} characters`;
    const reason = reasonOf(each, `${what}.${name}`);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function inputReason(value: unknown, what: string): string | undefined {
  const input = members(value, what, ["fields", "field", "constant", "missing", "type", "shape", "batchAxis"]);
  if (typeof input === "string") return input;
  const { fields, field, constant, missing, type, shape } = input;
  if ([fields, field, constant].filter((each) => each !== undefined).length > 1) {
    return `${what} must have one of fields, field and constant`;
  }
  if (fields !== undefined && !isListOf(fields, isPath, bounds.SERVING_FIELDS_MAX)) {
    return `${what}.fields must be a list of 1 to ${bounds.SERVING_FIELDS_MAX} paths`;
  }
  if (field !== undefined && !isPath(field)) return `${what}.field must be a path`;
  if (missing !== undefined && !["number", "string", "boolean"].includes(typeof missing)) {
    return `${what}.missing must be a number, text or a boolean`;
  }
  if (missing !== undefined && constant !== undefined) return `${what}: a constant is never missing`;
  if (type !== undefined && !Object.hasOwn(ONNX_TYPES, type as string)) {
    return `${what}.type must be one of ${Object.keys(ONNX_TYPES).join(", ")}`;
  }
  if (shape !== undefined && !(Array.isArray(shape) && shape.length <= bounds.DIMENSIONS_MAX && shape.every(isDimension))) {
    return `${what}.shape must be a list of at most ${bounds.DIMENSIONS_MAX} dimensions from 1 to ${bounds.INPUT_ELEMENTS_MAX}`;
  }
  return axisReason(input.batchAxis, what);
}

function outputReason(value: unknown, what: string): string | undefined {
  const output = members(value, what, ["tensor", "index", "labels", "label", "largest", "batchAxis"]);
  if (typeof output === "string") return output;
  const { tensor, index, labels, label, largest } = output;
  if (tensor !== undefined && !isName(tensor)) return `${what}.tensor must be the name of an output of the model`;
  if ([index, label, largest].filter((each) => each !== undefined).length > 1) {
    return `${what} must have at most one of index, label and largest`;
  }
  if (index !== undefined && !(index === 0 || isCount(index, bounds.OUTPUT_ELEMENTS_MAX - 1))) {
    return `${what}.index must be from 0 to ${bounds.OUTPUT_ELEMENTS_MAX - 1}`;
  }
  if (labels !== undefined) {
    if (!isListOf(labels, isName, bounds.SERVING_LABELS_MAX))
      return `${what}.labels must be a list of 1 to ${bounds.SERVING_LABELS_MAX} texts`;
    if (new Set(labels).size < labels.length) return `${what}.labels must not have one twice`;
  }
  if (label !== undefined && !isName(label)) return `${what}.label must be a text`;
  if (labels !== undefined && label !== undefined && !labels.includes(label)) return `${what}.label must be one of its labels`;
  if (labels !== undefined && index !== undefined) return `${what} must not have both labels and index: take label`;
  if (largest !== undefined && largest !== "label" && largest !== "value") return `${what}.largest must be label or value`;
  return axisReason(output.batchAxis, what);
}

function axisReason(axis: unknown, what: string): string | undefined {
  if (axis === undefined || axis === null || axis === 0 || isCount(axis, bounds.DIMENSIONS_MAX - 1)) return undefined;
  return `${what}.batchAxis must be null or from 0 to ${bounds.DIMENSIONS_MAX - 1}`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function isCount(value: unknown, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max;
}

function isDimension(value: unknown): boolean {
  return isCount(value, bounds.INPUT_ELEMENTS_MAX);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= bounds.SERVING_NAME_MAX_CHARS;
}

function isPath(value: unknown): value is string {
  return value === "" || isName(value);
}

function isListOf<T>(value: unknown, is: (each: unknown) => each is T, max: number): value is readonly T[] {
  return Array.isArray(value) && value.length >= 1 && value.length <= max && value.every(is);
}

function clipped(name: string): string {
  return name.slice(0, 40);
}
