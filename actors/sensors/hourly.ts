/**
 * The device's hours: simple exponential smoothing with an additive season of 24 hours, in error-correction form. It
 * forecasts the mean of the next hour, and says what a reading should be at its hour of the day. What an odd hour may
 * change is bounded, so that one does not spoil the forecasts behind it. 24 numbers and six more, whatever comes.
 *
 * Source: Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing", Springer 2008, ETS(A,N,A); the bound on
 * the error: Gelper, Fried and Croux, "Robust Forecasting with Exponential and Holt-Winters Smoothing", J. Forecasting 29 (2010).
 */
import { type Static, Type } from "typebox";
import type { DeepReadonly } from "../model/readonly.ts";
import { DAY_MS, HOUR_MS } from "../model/time.ts";
import { type Judgement, MEAN_DEVIATION_TO_SIGMA, RUN, runWith, scoreOf } from "./judgement.ts";

const HOURS = 24;
const ALL_SEEN = 2 ** HOURS - 1;
/** Of an error the level takes a half, the season of the hour a tenth. */
const LEVEL_SHARE = 2;
const SEASON_SHARE = 10;
/** An error counts up to so many times the mean one, from the 25th on. */
const ERROR_BOUND = 6;
const ERRORS_UNBOUNDED = 24;
/** Errors that the mean one is smoothed over, and readings that their mean deviation is. */
const ERRORS_MEANT = 10;
const DEVIATIONS_MEANT = 50;
/** Readings of known hours before the first is judged. */
const WARM_UP = 16;

/**
 * `last`: start of the hour counted last. `season`, by hour of the day: what it adds to the level; until each of the
 * 24 was seen (bits of `seen`), the plain mean of the last such hour. `errors` ends at 25. `run`: hours in a row whose
 * error was bounded, those below what was forecast counted negative.
 */
export const Hourly = Type.Object({
  last: Type.Integer(),
  level: Type.Number(),
  season: Type.Array(Type.Number()),
  seen: Type.Integer(),
  errors: Type.Integer(),
  meanError: Type.Number(),
  run: Type.Integer(),
});
type Hourly = DeepReadonly<Static<typeof Hourly>>;

/** How far readings are from what was forecast for their hour. `count` ends at 50. */
export const Spread = Type.Object({ count: Type.Integer(), mean: Type.Number() });
type Spread = DeepReadonly<Static<typeof Spread>>;

export const NO_SPREAD: Static<typeof Spread> = { count: 0, mean: 0 };

/** What is expected of the hour in which `time` lies. */
export function expectedAt(hourly: Hourly, time: number): number {
  return hourly.seen === ALL_SEEN ? hourly.level + hourly.season[hourOf(time)]! : hourly.level;
}

/** With the mean of the hour that begins at `start`. Hours come in their order; those without readings are left out. */
export function withHour(before: Hourly | undefined, start: number, mean: number): Hourly {
  const hour = hourOf(start);
  if (before === undefined) {
    return {
      last: start,
      level: mean,
      season: replaced(new Array<number>(HOURS).fill(0), hour, mean),
      seen: 1 << hour,
      errors: 0,
      meanError: 0,
      run: 0,
    };
  }
  const error = mean - expectedAt(before, start);
  const bound = before.errors >= ERRORS_UNBOUNDED && before.meanError > 0 ? ERROR_BOUND * before.meanError : Number.POSITIVE_INFINITY;
  const odd = Math.abs(error) > bound ? runWith(before.run, error) : 0;
  const isNewLevel = Math.abs(odd) === RUN;
  const counted = Math.max(-bound, Math.min(bound, error));
  const errors = Math.min(before.errors + 1, ERRORS_UNBOUNDED + 1);
  const meanError = before.meanError + (Math.abs(counted) - before.meanError) / Math.min(errors, ERRORS_MEANT);
  const learnt = {
    last: start,
    level: before.level + (isNewLevel ? error : counted / LEVEL_SHARE),
    errors,
    meanError,
    run: isNewLevel ? 0 : odd,
  };
  const { season, seen } = before;
  if (seen === ALL_SEEN)
    return { ...learnt, seen, season: isNewLevel ? season : replaced(season, hour, season[hour]! + counted / SEASON_SHARE) };
  const after = { ...learnt, seen: seen | (1 << hour), season: replaced(season, hour, mean) };
  return after.seen === ALL_SEEN ? seasonal(after) : after;
}

/** A reading against its hour of the day, itself included; nothing until each hour was seen and the warm-up is over. */
export function judgeByHour(
  hourly: Hourly | undefined,
  before: Spread,
  time: number,
  value: number,
): { spread: Spread; judgement: Judgement | undefined } {
  if (hourly?.seen !== ALL_SEEN) return { spread: before, judgement: undefined };
  const expected = expectedAt(hourly, time);
  const deviation = Math.abs(value - expected);
  const counted = before.mean > 0 ? Math.min(deviation, ERROR_BOUND * before.mean) : deviation;
  const count = Math.min(before.count + 1, DEVIATIONS_MEANT);
  const spread = { count, mean: before.mean + (counted - before.mean) / count };
  const judgement = count < WARM_UP ? undefined : { score: scoreOf(deviation, MEAN_DEVIATION_TO_SIGMA * spread.mean), expected };
  return { spread, judgement };
}

/** The means of the first 24 hours of the day become what each adds to their mean, which is the level. */
function seasonal(hourly: Hourly): Hourly {
  const level = hourly.season.reduce((sum, mean) => sum + mean, 0) / HOURS;
  return { ...hourly, level, season: hourly.season.map((mean) => mean - level) };
}

/** 0 to 23, in UTC. */
function hourOf(time: number): number {
  return Math.floor((time - Math.floor(time / DAY_MS) * DAY_MS) / HOUR_MS);
}

function replaced(season: readonly number[], hour: number, value: number): number[] {
  return season.map((other, i) => (i === hour ? value : other));
}
