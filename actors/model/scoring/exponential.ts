/**
 * e^x, and what follows from it, by a fixed sequence of additions, multiplications and divisions: IEEE 754 gives their
 * results to the bit, in every engine and on every machine. Of `Math.exp` the language promises only an approximation.
 */

/** ln 2 in two parts: the first has its lower 21 bits free, so that its product with an exponent is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const LN2 = Math.LN2;
/** Terms of the series. For |r| <= ln(2) / 2 the first one left out is below 1e-17. */
const TERMS = 15;
/** e^x is infinite above and 0 below. */
const X_MAX = 709.782712893384;
const X_MIN = -745.1332191019412;

/** Within 1e-15 of e^x, relative; where the result is subnormal, within its last place. NaN for NaN. */
export function exponential(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (x > X_MAX) return Number.POSITIVE_INFINITY;
  if (x < X_MIN) return 0;
  // x = power * ln 2 + r, and e^x = 2^power * e^r.
  const power = Math.floor(x / LN2 + 0.5);
  const r = x - power * LN2_HIGH - power * LN2_LOW;
  let sum = 1;
  for (let n = TERMS; n >= 1; n--) sum = 1 + (r * sum) / n;
  return scaled(sum, power);
}

/** By steps that do not leave the range of a double before the last. */
function scaled(value: number, power: number): number {
  if (power > 1_000) return value * powerOfTwo(1_000) * powerOfTwo(power - 1_000);
  if (power < -1_000) return value * powerOfTwo(-1_000) * powerOfTwo(power + 1_000);
  return value * powerOfTwo(power);
}

/** Exact: by squares, each of which is a power of two. */
function powerOfTwo(power: number): number {
  let base = power < 0 ? 0.5 : 2;
  let result = 1;
  for (let rest = power < 0 ? -power : power; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= base;
    base *= base;
  }
  return result;
}

/** 1 / (1 + e^-x): from 0 to 1. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + exponential(-x));
  const e = exponential(x);
  return e / (1 + e);
}

/** Shares of 1, one for each value. */
export function softmax(values: readonly number[]): readonly number[] {
  let largest = Number.NEGATIVE_INFINITY;
  for (const value of values) if (value > largest) largest = value;
  const powers = values.map((value) => exponential(value - largest));
  let sum = 0;
  for (const power of powers) sum += power;
  return powers.map((power) => power / sum);
}
