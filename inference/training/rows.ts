/** Rows of numbers in one array, as trainers read them: row i lies from i * width on. */
export interface Rows {
  readonly width: number;
  readonly count: number;
  readonly values: Float64Array;
}

/** Numbers as float32 has them, which is what a model is given. */
export function rowsOf(rows: readonly (readonly number[])[], width: number): Rows {
  const values = new Float64Array(rows.length * width);
  for (const [i, row] of rows.entries()) {
    if (row.length !== width) throw new RangeError(`row ${i} has ${row.length} numbers, not ${width}`);
    for (let j = 0; j < width; j++) values[i * width + j] = Math.fround(row[j]!);
  }
  return { width, count: rows.length, values };
}

export function rowAt({ width, values }: Rows, i: number): Float64Array {
  return values.subarray(i * width, (i + 1) * width);
}
