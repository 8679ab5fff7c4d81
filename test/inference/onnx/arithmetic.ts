/** The arithmetic that models of the tests are compared with, and the comparison. */
import assert from "node:assert/strict";

/** Numbers from -1 to 1, the same ones each time. */
export function numbersFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.fround(state / 2 ** 31 - 1);
  };
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, each, i) => sum + each * b[i]!, 0);
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function softmax(values: readonly number[]): number[] {
  const exps = values.map((value) => Math.exp(value - Math.max(...values)));
  const sum = exps.reduce((a, b) => a + b, 0);
  return exps.map((each) => each / sum);
}

/** The same JSON but for numbers, which may differ by 1e-5, relative to those over 1. */
export function assertClose(found: unknown, wanted: unknown, where = "$"): void {
  if (typeof wanted === "number" && typeof found === "number") {
    assert.ok(Math.abs(found - wanted) <= 1e-5 * Math.max(1, Math.abs(wanted)), `${where}: ${found} is not ${wanted}`);
    return;
  }
  if (typeof wanted !== "object" || wanted === null || typeof found !== "object" || found === null) {
    assert.deepEqual(found, wanted, where);
    return;
  }
  assert.deepEqual(Object.keys(found), Object.keys(wanted), where);
  for (const [key, each] of Object.entries(wanted)) assertClose((found as Record<string, unknown>)[key], each, `${where}.${key}`);
}
