/**
 * exp, log and the cosine from additions, multiplications and divisions alone. JavaScript says of those what the last
 * bit is, and of `Math.exp` it does not: so training gives the same model on every machine and under every engine. Each
 * is right to some 1e-15 of its size, which is more than training needs.
 */
/** Its first part is so short that a multiple of it is exact. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;
const LN2 = Math.LN2;
const EXP_MAX = 700;
const SQRT2 = Math.SQRT2;
const EXP_TERMS = 14;
const LOG_TERMS = 13;
const COS_TERMS = 14;
const TURN = 2 * Math.PI;

/** e to the power of x; what is beyond 700 either way counts as 700. */
export function exp(x: number): number {
  const bounded = Math.max(-EXP_MAX, Math.min(EXP_MAX, x));
  const halvings = Math.round(bounded / LN2);
  const rest = bounded - halvings * LN2_HIGH - halvings * LN2_LOW;
  let sum = 1;
  for (let n = EXP_TERMS; n >= 1; n--) sum = 1 + (sum * rest) / n;
  return scaled(sum, halvings);
}

/** The natural logarithm of a number above 0. */
export function log(x: number): number {
  let part = x;
  let doublings = 0;
  for (; part > SQRT2; part /= 2) doublings++;
  for (; part < SQRT2 / 2; part *= 2) doublings--;
  const ratio = (part - 1) / (part + 1);
  const square = ratio * ratio;
  let sum = 0;
  for (let n = LOG_TERMS; n >= 0; n--) sum = sum * square + 1 / (2 * n + 1);
  return 2 * ratio * sum + doublings * LN2_LOW + doublings * LN2_HIGH;
}

/** Cosine of so many turns: 1 at 0, -1 at a half. */
export function cosineOf(turns: number): number {
  const angle = (turns - Math.round(turns)) * TURN;
  const square = angle * angle;
  let sum = 1;
  for (let n = COS_TERMS; n >= 1; n--) sum = 1 - (sum * square) / ((2 * n - 1) * (2 * n));
  return sum;
}

/** Probability of a logit. */
export function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/** Logarithm of 1 + e^x: above 0, and about x where x is large. */
export function softplus(x: number): number {
  return Math.max(x, 0) + log(1 + exp(-Math.abs(x)));
}

function scaled(x: number, halvings: number): number {
  let result = x;
  for (let left = halvings; left > 0; left--) result *= 2;
  for (let left = halvings; left < 0; left++) result /= 2;
  return result;
}
