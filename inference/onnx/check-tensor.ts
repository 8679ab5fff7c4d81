/**
 * Tensors as one writes them into a file to check a model with: `{"type", "dims", "data"}` with the data in one list,
 * or arrays within arrays when the model says the type. Other than in inputs of a served model, everything that a tensor
 * may have can be said: "NaN", "Infinity" and "-Infinity" for float types, integers over 53 bits as text, dimensions of 0.
 */
import { DIMENSIONS_MAX } from "./bounds.ts";
import { ELEMENTS, isTensorType, type RawTensor, sizeOf, type TensorElement, type TensorType } from "./raw-tensor.ts";

/** The tensor, or what is wrong with it: "has …". */
export function checkTensor(json: unknown, known: { readonly type?: string; readonly described: string }): RawTensor | string {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return declared(json as Record<string, unknown>, known.type);
  const { type } = known;
  if (!isTensorType(type as never)) return `has type ${known.described}, which is no tensor that can be given or had here`;
  const dims: number[] = [];
  for (let value = json; Array.isArray(value) && dims.length <= DIMENSIONS_MAX; value = value[0]) dims.push(value.length);
  const flat = Array.isArray(json) ? json.flat(DIMENSIONS_MAX) : [json];
  if (dims.length > DIMENSIONS_MAX || flat.length !== sizeOf(dims))
    return "has arrays of different length or depth, or too many within each other";
  return filled(type as TensorType, dims, flat);
}

const FLOAT_WORDS: ReadonlyMap<unknown, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

function declared(json: Record<string, unknown>, known: string | undefined): RawTensor | string {
  const { type = known, dims, data } = json;
  if (typeof type !== "string" || !isTensorType(type as never))
    return `has no type that is known here: ${Object.keys(ELEMENTS).join(", ")}`;
  if (!Array.isArray(data)) return "has no list of data";
  if (!Array.isArray(dims) || dims.length > DIMENSIONS_MAX || !dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) {
    return `has no dims: a list of at most ${DIMENSIONS_MAX} numbers`;
  }
  if (sizeOf(dims) !== data.length) return `has ${data.length} elements for dimensions [${dims.join(", ")}]`;
  return filled(type as TensorType, dims, data);
}

function filled(type: TensorType, dims: readonly number[], values: readonly unknown[]): RawTensor | string {
  const data = ELEMENTS[type].allocate(values.length) as TensorElement[];
  for (let i = 0; i < values.length; i += 1) {
    const element = elementOf(type, values[i]);
    if (element === undefined) return `has an element (number ${i}) that is not ${ELEMENTS[type].wanted}`;
    data[i] = element;
  }
  return { type, dims, data: data as RawTensor["data"] };
}

function elementOf(type: TensorType, value: unknown): TensorElement | undefined {
  if (type === "float32" || type === "float64") return FLOAT_WORDS.get(value) ?? ELEMENTS[type].encode(value);
  if ((type === "int64" || type === "uint64") && typeof value === "string") {
    if (!/^-?\d{1,20}$/.test(value)) return undefined;
    const number = BigInt(value);
    return number === (type === "int64" ? BigInt.asIntN(64, number) : BigInt.asUintN(64, number)) ? number : undefined;
  }
  return ELEMENTS[type].encode(value);
}
