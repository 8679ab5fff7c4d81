/** Trains the forecaster on windows of generated series, and measures it on series that it has not seen. */

import { HOUR_MS } from "../../../actors/model/time.ts";
import { forecastInput, withHourMean } from "../../../actors/sensors/hour-window.ts";
import { expectedAt, withHour } from "../../../actors/sensors/hourly.ts";
import { MEAN_DEVIATION_TO_SIGMA } from "../../../actors/sensors/judgement.ts";
import type { DenseNetwork } from "../dense-network.ts";
import type { Rows } from "../rows.ts";
import {
  bounded,
  type ForecastOptions,
  forecastOf,
  NETWORK_INPUTS,
  networkInput,
  SCALED_MAX,
  scaleOf,
  trainForecaster,
} from "./forecaster.ts";
import { type Hour, seriesOf } from "./series.ts";

export interface ForecastTraining extends ForecastOptions {
  readonly series: number;
  readonly hours: number;
  /** Of the hours of a series, one out of so many is learnt from: neighbours say much the same. */
  readonly stride: number;
  /** Series to measure with; each has two weeks. */
  readonly testSeries: number;
}

export const FORECAST_OPTIONS: ForecastTraining = {
  seed: 31,
  hidden: [32, 16],
  epochs: 10,
  series: 1_500,
  hours: 168,
  stride: 4,
  testSeries: 200,
};
const TEST_HOURS = 336;
/** Standard deviations, were errors normal, from which an hour is odd: what the job takes. */
const THRESHOLD = 6;

/** One hour with all that was known before it. */
interface Step {
  readonly window: readonly number[];
  readonly mean: number;
  readonly fault: Hour["fault"];
  /** What the job's level and season expect. */
  readonly smoothed: number;
  readonly before: number;
  readonly dayBefore: number;
}

export function trainedForecaster(options: ForecastTraining): DenseNetwork {
  const inputs: Float64Array[] = [];
  const targets: number[] = [];
  for (let k = 0; k < options.series; k++) {
    let hour = k;
    for (const { window, mean } of stepsOf(seriesOf(seedOf(options.seed, k), options.hours))) {
      if (hour++ % options.stride !== 0) continue;
      const scale = scaleOf(window);
      inputs.push(networkInput(window, scale));
      targets.push(bounded((mean - scale.centre) / scale.spread));
    }
  }
  const values = new Float64Array(inputs.length * NETWORK_INPUTS);
  for (const [i, input] of inputs.entries()) values.set(input, i * NETWORK_INPUTS);
  const rows: Rows = { width: NETWORK_INPUTS, count: targets.length, values };
  return trainForecaster(rows, Float64Array.from(targets), options);
}

function seedOf(seed: number, k: number): number {
  return Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(k + 1, 0x85ebca6b);
}

function* stepsOf(course: readonly Hour[]): Generator<Step> {
  let window: ReturnType<typeof withHourMean> | undefined;
  let hourly: ReturnType<typeof withHour> | undefined;
  for (const [hour, { mean, fault }] of course.entries()) {
    if (mean === undefined) continue;
    const start = hour * HOUR_MS;
    const input = forecastInput(window);
    const isNext = window?.last === start - HOUR_MS;
    if (input !== undefined && isNext && hourly !== undefined)
      yield { window: input, mean, fault, smoothed: expectedAt(hourly, start), before: input.at(-1)!, dayBefore: input.at(-24)! };
    window = withHourMean(window, start, mean);
    hourly = withHour(hourly, start, mean);
  }
}

interface Measured {
  readonly name: string;
  readonly forecast: (step: Step) => number;
}

export function forecastFigures(network: DenseNetwork, { testSeries }: ForecastTraining): string[] {
  const steps: Step[] = [];
  for (let k = 0; k < testSeries; k++) steps.push(...stepsOf(seriesOf(seedOf(9_001, k), TEST_HOURS)));
  const sound = steps.filter(({ fault }) => fault === undefined);
  const ways: Measured[] = [
    { name: "the model", forecast: ({ window }) => forecastOf(network, window).forecast },
    { name: "level and season, as the job's rules", forecast: ({ smoothed }) => smoothed },
    { name: "as the hour before", forecast: ({ before }) => before },
    { name: "as the same hour yesterday", forecast: ({ dayBefore }) => dayBefore },
  ];
  const own = errorOf(sound, ways[0]!);
  return [
    `Measured on ${sound.length} hours of ${testSeries} series that training has not seen, those with a fault left out; errors are in units of how far the window's hours are from their mean, at most ${SCALED_MAX}.`,
    "",
    "| forecast | mean absolute error | the model's, of it |",
    "|---|---|---|",
    ...ways.map((way) => {
      const error = errorOf(sound, way);
      return `| ${way.name} | ${error.toFixed(3)} | ${(own / error).toFixed(2)} |`;
    }),
    "",
    ...deviationFigures(network, steps),
  ];
}

function errorOf(steps: readonly Step[], { forecast }: Measured): number {
  return (
    steps.reduce((sum, step) => sum + Math.min(SCALED_MAX, Math.abs(step.mean - forecast(step)) / scaleOf(step.window).spread), 0) /
    steps.length
  );
}

/** How right the expected deviation is, and what is found with it. */
function deviationFigures(network: DenseNetwork, steps: readonly Step[]): string[] {
  const scores = steps.map((step) => {
    const { forecast, deviation } = forecastOf(network, step.window);
    const error = Math.abs(step.mean - forecast);
    const { spread } = scaleOf(step.window);
    const score = error / (MEAN_DEVIATION_TO_SIGMA * deviation);
    return { fault: step.fault, error: Math.min(SCALED_MAX, error / spread), expected: deviation / spread, score };
  });
  const of = (fault: Hour["fault"]) => scores.filter((one) => one.fault === fault);
  const odd = (fault: Hour["fault"]): string => {
    const all = of(fault);
    return `${all.length} | ${((100 * all.filter(({ score }) => score > THRESHOLD).length) / Math.max(1, all.length)).toFixed(2)} %`;
  };
  const sound = of(undefined);
  const ratio = sound.reduce((sum, { error }) => sum + error, 0) / sound.reduce((sum, { expected }) => sum + expected, 0);
  return [
    `All errors together are ${ratio.toFixed(2)} times what was expected.`,
    "",
    `| hours | | score over ${THRESHOLD} |`,
    "|---|---|---|",
    `| without a fault | ${odd(undefined)} |`,
    `| with a spike | ${odd("spike")} |`,
    `| with a new level | ${odd("shift")} |`,
    `| stuck | ${odd("stuck")} |`,
  ];
}
