/** Rule 3: exact sums. A number stands for the decimal that it is written as; sums are whole ten-to-the-minus-30ths. */
const SCALE = 30;

export function exactly(amount: number): bigint {
  const [mantissa, exponent = "0"] = String(amount).split("e") as [string, string?];
  const [whole, fraction = ""] = mantissa.split(".") as [string, string?];
  const zeros = SCALE + Number(exponent) - fraction.length;
  if (zeros < 0) throw new RangeError(`${amount} has more than ${SCALE} decimals, which the oracle does not sum`);
  return BigInt(whole + fraction) * 10n ** BigInt(zeros);
}

/** The number nearest to a / b. */
export function nearestQuotient(a: bigint, b: bigint): number {
  return Number(`${(a * 10n ** 40n) / b}e-40`);
}

/** The number that is written as the sum is, or the nearest. */
export function nearest(sum: bigint): number {
  return Number(`${sum}e-${SCALE}`);
}
