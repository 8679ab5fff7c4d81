/** JSON as a tensor of a known type: a value, an array, or arrays within arrays of one length each. */
import { DIMENSIONS_MAX, INPUT_ELEMENTS_MAX } from "./bounds.ts";
import { ELEMENTS, type RawTensor, sizeOf, type TensorElement, type TensorType } from "./raw-tensor.ts";

/** The tensor, or what is wrong: "has …". `dims` are those of a flat list, where they are known. */
export function jsonTensor(type: TensorType, json: unknown, dims?: readonly number[]): RawTensor | string {
  const elements: TensorElement[] = [];
  const found = flatten(type, json, undefined, elements);
  if (typeof found === "string") return found;
  if (dims === undefined) return { type, dims: found, data: filled(type, elements) };
  const isFlat = found.length <= 1;
  if (sizeOf(dims) !== elements.length || !(isFlat || (found.length === dims.length && found.every((dim, i) => dim === dims[i])))) {
    return `has dimensions [${found.join(", ")}], not [${dims.join(", ")}]`;
  }
  return { type, dims, data: filled(type, elements) };
}

/**
 * Adds the elements row by row and gives the dimensions, or says what is wrong. `missing` stands for `null`.
 * Bounded by `INPUT_ELEMENTS_MAX` and `DIMENSIONS_MAX`.
 */
export function flatten(type: TensorType, json: unknown, missing: TensorElement | undefined, into: TensorElement[]): number[] | string {
  const dims = dimsOf(json);
  if (typeof dims === "string") return dims;
  if (sizeOf(dims) > INPUT_ELEMENTS_MAX - into.length) return `has over ${INPUT_ELEMENTS_MAX} elements`;
  if (dims.length === 0) {
    const element = elementOf(type, json, missing);
    if (element === undefined) return `is not ${ELEMENTS[type].wanted}`;
    into.push(element);
    return dims;
  }
  return addAll(type, json as readonly unknown[], 0, dims, missing, into) ?? dims;
}

/** Why not, if not. */
function addAll(
  type: TensorType,
  list: readonly unknown[],
  depth: number,
  dims: readonly number[],
  missing: TensorElement | undefined,
  into: TensorElement[],
): string | undefined {
  if (list.length !== dims[depth]) return "has arrays of different length";
  const isInnermost = depth === dims.length - 1;
  for (const each of list) {
    if (isInnermost) {
      const element = elementOf(type, each, missing);
      if (element === undefined) return Array.isArray(each) ? DIFFERENT_DEPTH : `has an element that is not ${ELEMENTS[type].wanted}`;
      into.push(element);
      continue;
    }
    const reason = Array.isArray(each) ? addAll(type, each, depth + 1, dims, missing, into) : DIFFERENT_DEPTH;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

const DIFFERENT_DEPTH = "has arrays of different depth";

function elementOf(type: TensorType, json: unknown, missing: TensorElement | undefined): TensorElement | undefined {
  return json === null && missing !== undefined ? missing : ELEMENTS[type].encode(json);
}

/** As the first of each array says; `flatten` looks at the others. */
function dimsOf(json: unknown): number[] | string {
  const dims: number[] = [];
  let value = json;
  while (Array.isArray(value)) {
    if (value.length === 0) return "has an empty array";
    if (dims.length === DIMENSIONS_MAX) return `has over ${DIMENSIONS_MAX} dimensions`;
    dims.push(value.length);
    value = value[0];
  }
  return dims;
}

function filled(type: TensorType, elements: readonly TensorElement[]): RawTensor["data"] {
  const data = ELEMENTS[type].allocate(elements.length) as TensorElement[];
  for (let i = 0; i < elements.length; i += 1) data[i] = elements[i]!;
  return data as RawTensor["data"];
}
