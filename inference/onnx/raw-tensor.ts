/**
 * A tensor as plain data that crosses threads, and how its elements become JSON and come from it. Everything that a
 * type cannot hold exactly as meant is refused: an integer with a fraction, a number that overflows, NaN in an answer.
 */
import type { OnnxType } from "./onnx-proto.ts";

export type TensorType = Exclude<OnnxType, "float16">;

export type TensorElement = number | bigint | string;

export interface RawTensor {
  readonly type: TensorType;
  readonly dims: readonly number[];
  /** Booleans are bytes, 0 or 1. */
  readonly data: TensorData;
}

export type TensorData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[];

interface ElementKind {
  /** For messages: what JSON must have. */
  readonly wanted: string;
  allocate(count: number): TensorData;
  /** `undefined` for what this type does not hold. */
  encode(json: unknown): TensorElement | undefined;
  /** `undefined` for what JSON does not hold. */
  decode(element: TensorElement): number | string | boolean | undefined;
}

export const ELEMENTS: Readonly<Record<TensorType, ElementKind>> = {
  float32: floating("a finite number of float32", (count) => new Float32Array(count), Math.fround),
  float64: floating(
    "a finite number",
    (count) => new Float64Array(count),
    (number) => number,
  ),
  int8: integer(-(2 ** 7), 2 ** 7 - 1, (count) => new Int8Array(count)),
  uint8: integer(0, 2 ** 8 - 1, (count) => new Uint8Array(count)),
  int16: integer(-(2 ** 15), 2 ** 15 - 1, (count) => new Int16Array(count)),
  uint16: integer(0, 2 ** 16 - 1, (count) => new Uint16Array(count)),
  int32: integer(-(2 ** 31), 2 ** 31 - 1, (count) => new Int32Array(count)),
  uint32: integer(0, 2 ** 32 - 1, (count) => new Uint32Array(count)),
  int64: long(Number.MIN_SAFE_INTEGER, (count) => new BigInt64Array(count)),
  uint64: long(0, (count) => new BigUint64Array(count)),
  bool: {
    wanted: "true or false",
    allocate: (count) => new Uint8Array(count),
    encode: (json) => (typeof json === "boolean" ? Number(json) : undefined),
    decode: (element) => element !== 0,
  },
  string: {
    // ONNX Runtime's binding cuts a text off at NUL, and gives other characters for half ones.
    wanted: "text without NUL and half characters",
    allocate: (count) => new Array<string>(count).fill(""),
    encode: (json) => (typeof json === "string" && !json.includes("\0") && json.isWellFormed() ? json : undefined),
    decode: (element) => element as string,
  },
};

export function isTensorType(type: OnnxType | undefined): type is TensorType {
  return type !== undefined && Object.hasOwn(ELEMENTS, type);
}

export function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

/** Arrays within arrays, as `dims` say; the value itself for no dimensions. `values` are row by row. */
export function nested<T>(values: readonly T[], dims: readonly number[]): unknown {
  const [outer, ...inner] = dims;
  if (outer === undefined) return values[0];
  if (inner.length === 0) return values;
  const step = sizeOf(inner);
  return Array.from({ length: outer }, (_, i) => nested(values.slice(i * step, (i + 1) * step), inner));
}

function floating(wanted: string, allocate: ElementKind["allocate"], round: (number: number) => number): ElementKind {
  return {
    wanted,
    allocate,
    encode: (json) => {
      const number = numeric(json);
      return number !== undefined && Number.isFinite(round(number)) ? number : undefined;
    },
    decode: (element) => (Number.isFinite(element) ? (element as number) : undefined),
  };
}

function integer(least: number, most: number, allocate: ElementKind["allocate"]): ElementKind {
  return {
    wanted: `an integer from ${least} to ${most}`,
    allocate,
    encode: (json) => {
      const number = numeric(json);
      return number !== undefined && Number.isInteger(number) && number >= least && number <= most ? number : undefined;
    },
    decode: (element) => element as number,
  };
}

/** JSON has integers of 53 bits: larger ones would come out as others. */
function long(least: number, allocate: ElementKind["allocate"]): ElementKind {
  return {
    wanted: `an integer from ${least} to ${Number.MAX_SAFE_INTEGER}`,
    allocate,
    encode: (json) => {
      const number = numeric(json);
      return number !== undefined && Number.isSafeInteger(number) && number >= least ? BigInt(number) : undefined;
    },
    decode: (element) => {
      const number = Number(element);
      return Number.isSafeInteger(number) ? number : undefined;
    },
  };
}

function numeric(json: unknown): number | undefined {
  if (typeof json === "number") return json;
  return typeof json === "boolean" ? Number(json) : undefined;
}
