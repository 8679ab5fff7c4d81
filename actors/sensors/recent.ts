/**
 * A reading against the device's last ones: the Hampel identifier over a window that slides by one, the reading in hand
 * included. Median and MAD bear that almost half of the window is wrong. Bounded: 31 numbers, whatever comes.
 *
 * Source: Hampel, "The Influence Curve and Its Role in Robust Estimation", JASA 69 (1974); Pearson, Neuvo, Astola and
 * Gabbouj, "Generalized Hampel Filters", EURASIP J. Adv. Signal Process. 2016:87. Where the MAD is 0, the mean absolute
 * deviation stands in: Iglewicz and Hoaglin, "How to Detect and Handle Outliers", ASQC 1993.
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { type Judgement, MEAN_DEVIATION_TO_SIGMA, RUN, runWith, scoreOf } from "./judgement.ts";

const WINDOW = 31;
/** With fewer readings nothing is judged. */
const WARM_UP = 16;
/** The standard deviation of a normal distribution by its MAD. */
const MAD_TO_SIGMA = 1.4826;
/** Of the median: what a device that sends one and the same value may differ by. */
const STEADY_SHARE = 200;

/** `run`: outlying readings in a row, below the median counted negative. */
export const Recent = Type.Object({ values: Type.Array(Type.Number()), run: Type.Integer() });
type Recent = DeepReadonly<Static<typeof Recent>>;

export const NOTHING_RECENT: Static<typeof Recent> = { values: [], run: 0 };

/** The window with the reading in it, and what it says of it; nothing before the warm-up is over. */
export function judgeByRecent(before: Recent, value: number, threshold: number): { recent: Recent; judgement: Judgement | undefined } {
  const values = [...before.values.slice(-(WINDOW - 1)), value];
  if (values.length < WARM_UP) return { recent: { values, run: 0 }, judgement: undefined };
  const expected = medianOf(Float64Array.from(values));
  const deviations = Float64Array.from(values, (other) => Math.abs(other - expected));
  const score = scoreOf(value - expected, scaleOf(deviations, expected));
  const run = score <= threshold ? 0 : runWith(before.run, value - expected);
  const shifted = Math.abs(run) === RUN;
  return { recent: shifted ? { values: values.slice(-RUN), run: 0 } : { values, run }, judgement: { score, expected } };
}

function scaleOf(deviations: Float64Array, median: number): number {
  const mean = deviations.reduce((sum, deviation) => sum + deviation, 0) / deviations.length;
  const mad = medianOf(deviations);
  return mad > 0 ? MAD_TO_SIGMA * mad : Math.max(MEAN_DEVIATION_TO_SIGMA * mean, Math.abs(median) / STEADY_SHARE);
}

/** Sorts it. */
function medianOf(values: Float64Array): number {
  values.sort();
  const middle = values.length >> 1;
  return values.length % 2 === 1 ? values[middle]! : (values[middle - 1]! + values[middle]!) / 2;
}
