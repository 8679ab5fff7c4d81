/**
 * Runs any ONNX model once on given tensors and compares what comes out with what is expected: the answer to "does this
 * file do here what it did where it was made". It needs no serving; what `tidemark models check` prints.
 */
import { failure, InferenceError, type InferenceFailure } from "../failures.ts";
import { checkTensor } from "./check-tensor.ts";
import type { Feeds } from "./input-rows.ts";
import { type ModelStructure, type OutputInfo, readModel, type TensorInfo } from "./model-structure.ts";
import { openSession } from "./onnx-runtime.ts";
import { type RawTensor, sizeOf, type TensorElement } from "./raw-tensor.ts";

export type ModelCheck = { readonly refused: InferenceFailure } | CheckedModel;

export interface CheckedModel {
  /** Whether every output that is expected came out. */
  readonly equal: boolean;
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly OutputCheck[];
}

export interface OutputCheck {
  readonly name: string;
  readonly described: string;
  readonly dims: readonly number[];
  readonly equal: boolean;
  /** Elements that differ by more than the tolerance. */
  readonly different: number;
  /** The largest difference; `null` when something differs that is no number, as texts and NaN. */
  readonly differenceMax: number | null;
  /** Where that is (the first element that differs, when they are no numbers), and both values. */
  readonly worst?: { readonly at: readonly number[]; readonly found: string; readonly expected: string };
  /** Why nothing was compared. */
  readonly reason?: string;
}

/**
 * `inputs` and `expect`: tensors by name, as `checkTensor` takes them; a ZipMap output is expected as a list of
 * `{label: probability}`. An output that is not named in `expect` is not looked at. Floating numbers may differ by
 * `tolerance` and by `tolerance` times the expected one; everything else has to be the same.
 */
export async function checkModel(bytes: Uint8Array, inputs: unknown, expect: unknown, tolerance = 1e-5): Promise<ModelCheck> {
  try {
    return await checked(bytes, inputs, expect, tolerance);
  } catch (error) {
    if (error instanceof InferenceError) return { refused: error.failure };
    throw error;
  }
}

async function checked(bytes: Uint8Array, inputs: unknown, expect: unknown, tolerance: number): Promise<CheckedModel> {
  const { structure, content } = readModel(bytes);
  const session = await openSession(content);
  try {
    const feeds = feedsOf(structure, inputs);
    const expected = expectedOf(structure, expect);
    const given = [...expected.values()].flatMap(({ info, tensor }) => (typeof tensor === "string" ? [] : [info.source]));
    const found = given.length === 0 ? {} : await session.run(feeds, [...new Set(given)]);
    const outputs = [...expected.values()].map(({ info, tensor }) => outputCheck(info, found[info.source], tensor, tolerance));
    return { equal: outputs.every(({ equal }) => equal), inputs: structure.inputs, outputs };
  } finally {
    await session.close();
  }
}

function refusedInput(reason: string): InferenceError {
  return new InferenceError(failure("INPUT_REFUSED", reason));
}

function membersOf(value: unknown, what: string): readonly (readonly [string, unknown])[] {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw refusedInput(`${what} must be an object with tensors by their names`);
}

function feedsOf({ inputs }: ModelStructure, value: unknown): Feeds {
  const feeds: Record<string, RawTensor> = {};
  for (const [name, json] of membersOf(value, "the inputs")) {
    const info = inputs.find((each) => each.name === name);
    if (info === undefined) throw refusedInput(`the model has no input ${name}: it has ${inputs.map((each) => each.name).join(", ")}`);
    const tensor = checkTensor(json, info);
    if (typeof tensor === "string") throw refusedInput(`input ${name} ${tensor}`);
    feeds[name] = tensor;
  }
  for (const { name, described } of inputs) if (feeds[name] === undefined) throw refusedInput(`input ${name} (${described}) is not given`);
  return feeds;
}

interface Expected {
  readonly info: OutputInfo;
  /** Or why there is nothing to compare with. */
  readonly tensor: RawTensor | string;
}

function expectedOf({ outputs }: ModelStructure, value: unknown): ReadonlyMap<string, Expected> {
  const expected = new Map<string, Expected>();
  for (const [name, json] of membersOf(value, "what is expected")) {
    const info = outputs.find((each) => each.name === name);
    if (info === undefined) throw refusedInput(`the model has no output ${name}: it has ${outputs.map((each) => each.name).join(", ")}`);
    const isMaps =
      info.labels !== undefined && Array.isArray(json) && json.every((each) => typeof each === "object" && !Array.isArray(each));
    const tensor = isMaps ? fromMaps(json, info.labels) : checkTensor(json, info);
    expected.set(name, { info, tensor: typeof tensor === "string" ? `what is expected ${tensor}` : tensor });
  }
  if (expected.size === 0) throw refusedInput("nothing is expected: name at least one output");
  return expected;
}

/** What a ZipMap node would have been given. */
function fromMaps(maps: readonly unknown[], labels: readonly string[]): RawTensor | string {
  const rows: number[][] = [];
  for (const map of maps as readonly (Readonly<Record<string, unknown>> | null)[]) {
    const keys = Object.keys(map ?? {});
    const row = labels.map((label) => (map !== null && Object.hasOwn(map, label) ? map[label] : undefined));
    if (keys.length !== labels.length || !row.every((each) => typeof each === "number")) {
      return `has the labels ${keys.join(", ")} in row ${rows.length}, the model has ${labels.join(", ")}`;
    }
    rows.push(row);
  }
  return checkTensor(rows, { type: "float32", described: "float32" });
}

function outputCheck(info: OutputInfo, found: RawTensor | undefined, expected: RawTensor | string, tolerance: number): OutputCheck {
  const { name, described } = info;
  const nothing = { name, described, dims: found?.dims ?? [], equal: false, different: 0, differenceMax: 0 };
  if (typeof expected === "string") return { ...nothing, reason: expected };
  if (found === undefined) return { ...nothing, reason: "it did not come out" };
  if (found.type !== expected.type) return { ...nothing, reason: `it is of type ${found.type}, ${expected.type} is expected` };
  // A ZipMap node takes one row without a batch as well.
  const size = sizeOf(found.dims);
  const sameDims = info.labels === undefined ? found.dims.join() === expected.dims.join() : size === sizeOf(expected.dims);
  if (!sameDims) return { ...nothing, reason: `it has dimensions [${found.dims.join(", ")}], [${expected.dims.join(", ")}] are expected` };
  let different = 0;
  let differenceMax = 0;
  let worst: number | undefined;
  for (let i = 0; i < size; i += 1) {
    const difference = differenceOf(found.data[i]!, expected.data[i]!);
    const allowed = isFloat(found) ? tolerance * (1 + Math.abs(expected.data[i] as number)) : 0;
    if (difference > allowed || difference === Number.POSITIVE_INFINITY) different += 1;
    if (difference > differenceMax) {
      differenceMax = difference;
      worst = i;
    }
  }
  const result = { ...nothing, equal: different === 0, different, differenceMax: Number.isFinite(differenceMax) ? differenceMax : null };
  if (worst === undefined) return result;
  return { ...result, worst: { at: indexOf(worst, found.dims), found: String(found.data[worst]), expected: String(expected.data[worst]) } };
}

function isFloat({ type }: RawTensor): boolean {
  return type === "float32" || type === "float64";
}

/** Infinite for what is not the same and no number. */
function differenceOf(found: TensorElement, expected: TensorElement): number {
  if (Object.is(found, expected) || found === expected) return 0;
  if (typeof found === "string" || typeof expected === "string") return Number.POSITIVE_INFINITY;
  const difference = Math.abs(Number(found) - Number(expected));
  return Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(difference, Number.MIN_VALUE);
}

/** Of an element in each dimension. */
function indexOf(element: number, dims: readonly number[]): readonly number[] {
  let left = element;
  return dims.map((_, i) => {
    const inner = sizeOf(dims.slice(i + 1));
    const index = Math.floor(left / inner);
    left %= inner;
    return index;
  });
}
