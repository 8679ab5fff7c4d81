/** What is said of a value: by how many standard deviations it is off, were the noise normal, and whether it is a new level. */

export interface Judgement {
  readonly score: number;
  readonly expected: number;
}

/** So many odd ones in a row, on the same side, are the new level. */
export const RUN = 6;
/** The standard deviation of a normal distribution by its mean absolute deviation. */
export const MEAN_DEVIATION_TO_SIGMA = 1.2533;
/** So that an output holds a number where there is no noise at all. */
const SCORE_MAX = 1e6;

export function scoreOf(deviation: number, scale: number): number {
  return deviation === 0 ? 0 : Math.min(Math.abs(deviation) / scale, SCORE_MAX);
}

/** Odd ones in a row with one more, which is off by `deviation`; those below are counted negative. */
export function runWith(run: number, deviation: number): number {
  const side = Math.sign(deviation);
  return Math.sign(run) === side ? run + side : side;
}
