/** Types of a tensor's elements, and which JSON values are of them: a number that would lose something on its way is of none. */

export const DATATYPES = [
  "BOOL",
  "UINT8",
  "UINT16",
  "UINT32",
  "UINT64",
  "INT8",
  "INT16",
  "INT32",
  "INT64",
  "FP32",
  "FP64",
  "BYTES",
] as const;

/** Of a tensor's elements. The spec has no JSON for FP16. */
export type Datatype = (typeof DATATYPES)[number];

export type Element = number | string | boolean;

const FP32_MAX = 3.4028234663852886e38;

const FITS: Readonly<Record<Datatype, (value: unknown) => value is Element>> = {
  BOOL: (value) => typeof value === "boolean",
  BYTES: (value) => typeof value === "string",
  FP32: (value): value is number => typeof value === "number" && Math.abs(value) <= FP32_MAX,
  FP64: (value): value is number => Number.isFinite(value),
  INT8: whole(-(2 ** 7), 2 ** 7 - 1),
  INT16: whole(-(2 ** 15), 2 ** 15 - 1),
  INT32: whole(-(2 ** 31), 2 ** 31 - 1),
  INT64: whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  UINT8: whole(0, 2 ** 8 - 1),
  UINT16: whole(0, 2 ** 16 - 1),
  UINT32: whole(0, 2 ** 32 - 1),
  UINT64: whole(0, Number.MAX_SAFE_INTEGER),
};

/** Whether a value is of a type; of a type that is not known here, whether it is an element at all. */
export function fitOf(datatype: unknown): (value: unknown) => value is Element {
  return isDatatype(datatype) ? FITS[datatype] : isElement;
}

function isDatatype(value: unknown): value is Datatype {
  return typeof value === "string" && Object.hasOwn(FITS, value);
}

function isElement(value: unknown): value is Element {
  return typeof value === "number" ? Number.isFinite(value) : typeof value === "string" || typeof value === "boolean";
}

function whole(min: number, max: number): (value: unknown) => value is number {
  return (value): value is number => typeof value === "number" && Number.isInteger(value) && value >= min && value <= max;
}

/** How many elements a row of that shape has. */
export function elementsOf(row: readonly number[]): number {
  return row.reduce((product, size) => product * size, 1);
}
