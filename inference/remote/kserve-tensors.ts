/**
 * Rows and tensors of KServe v2, as JSON: the inputs of a batch become rows of its tensors, and rows of the answer's
 * tensors become outputs. What does not fit is refused: a row by itself, an answer as a whole.
 */
import { type Element, elementsOf, fitOf } from "./datatypes.ts";
import { readPointer, valueAt } from "./json-pointer.ts";
import type { KserveServing, TensorInput, TensorOutput } from "./remote-serving.ts";

interface Column {
  readonly input: TensorInput;
  readonly shape: readonly number[];
  readonly elements: number;
  readonly from: readonly (readonly string[])[];
}

/** One input's row in each tensor. */
export type TensorRow = readonly (readonly Element[])[];

export class TensorWriter {
  readonly #columns: readonly Column[];

  constructor({ inputs }: KserveServing) {
    this.#columns = inputs.map((input) => {
      const shape = input.shape ?? [input.from.length];
      return { input, shape, elements: elementsOf(shape), from: input.from.map((pointer) => readPointer(pointer)!) };
    });
  }

  /** Or what is wrong with the input, without anything of it. */
  rowOf(value: unknown): TensorRow | string {
    const row: (readonly Element[])[] = [];
    for (const { input, elements, from } of this.#columns) {
      const values: Element[] = [];
      for (const [i, names] of from.entries()) {
        const fault = flatten(valueAt(value, names), fitOf(input.datatype), elements, values);
        if (fault !== undefined) return `has at ${input.from[i]} ${fault}; it takes ${input.datatype} there`;
      }
      if (values.length !== elements) return `has ${values.length} elements for the tensor ${input.tensor}, which takes ${elements}`;
      row.push(values);
    }
    return row;
  }

  tensorsOf(rows: readonly TensorRow[]): readonly object[] {
    return this.#columns.map(({ input: { tensor, datatype }, shape }, i) => ({
      name: tensor,
      shape: [rows.length, ...shape],
      datatype,
      data: rows.flatMap((row) => row[i]!),
    }));
  }
}

/** The output of each row, or what is wrong with the answer. */
export function outputsOf(json: unknown, expected: readonly TensorOutput[], count: number): readonly unknown[] | string {
  const tensors = valueAt(json, ["outputs"]);
  if (!Array.isArray(tensors)) return "The answer has no outputs.";
  const outputs = Array.from({ length: count }, (): Record<string, unknown> => ({}));
  for (const { tensor, to, shape = [], labels } of expected) {
    const found = (tensors as readonly unknown[]).find((each) => valueAt(each, ["name"]) === tensor);
    if (found === undefined) return `The answer has no tensor ${tensor}.`;
    const elements = elementsOf(shape);
    if (!isShaped(valueAt(found, ["shape"]), count, elements)) return `The answer's tensor ${tensor} has not ${count} rows of ${elements}.`;
    const data: Element[] = [];
    const fault = flatten(valueAt(found, ["data"]), fitOf(valueAt(found, ["datatype"])), count * elements, data);
    if (fault !== undefined) return `The answer's tensor ${tensor} has ${fault}.`;
    if (data.length !== count * elements) return `The answer's tensor ${tensor} has not as many elements as its shape says.`;
    for (const [i, output] of outputs.entries()) output[to] = shaped(data.slice(i * elements, (i + 1) * elements), shape, labels);
  }
  return outputs;
}

/** As many rows, and as many elements in each: a server may keep a last dimension of 1, or leave it out. */
function isShaped(shape: unknown, count: number, elements: number): boolean {
  if (!Array.isArray(shape) || !shape.every((size) => Number.isInteger(size) && size >= 0)) return false;
  return shape[0] === count && elementsOf(shape.slice(1)) === elements;
}

function shaped(row: readonly Element[], shape: readonly number[], labels: readonly string[] | undefined): unknown {
  if (labels !== undefined) return Object.fromEntries(labels.map((label, i) => [label, row[i]]));
  if (row.length === 1 && shape.length <= 1) return row[0];
  let parts: readonly unknown[] = row;
  for (const size of shape.slice(1).reverse()) {
    const grouped: unknown[] = [];
    for (let i = 0; i < parts.length; i += size) grouped.push(parts.slice(i, i + size));
    parts = grouped;
  }
  return parts;
}

/** Appends the elements of a value or of lists of them to `into`, or says what is wrong with it. */
function flatten(value: unknown, fits: (value: unknown) => value is Element, elementsMax: number, into: Element[]): string | undefined {
  const left: unknown[] = [value];
  while (left.length > 0) {
    const part = left.pop();
    if (Array.isArray(part)) {
      if (into.length + part.length > elementsMax) return `more than ${elementsMax} elements`;
      for (let i = part.length - 1; i >= 0; i--) left.push(part[i]);
    } else {
      if (!fits(part)) return part === undefined ? "nothing" : "something of another type, or beyond what it holds";
      if (into.push(part) > elementsMax) return `more than ${elementsMax} elements`;
    }
  }
  return undefined;
}
