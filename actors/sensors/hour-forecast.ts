/**
 * The model beside the rules: behind each hour it is asked what the next one should bring, and the hour is scored by what it
 * has said of it an hour before. The rules wait for none of it.
 */
import type { Static } from "typebox";
import type { AnsweredCall, CallFailure } from "../model/effect.ts";
import { enriched, unanswered } from "../model/enriched.ts";
import { HandlerError } from "../model/handler-error.ts";
import { formatInstant, HOUR_MS } from "../model/time.ts";
import type { DeviceContext } from "./device-state.ts";
import type { HourForecast } from "./forecast-model.ts";
import { forecastInput, withHourMean } from "./hour-window.ts";
import { MEAN_DEVIATION_TO_SIGMA, scoreOf } from "./judgement.ts";

export type ForecastContext = DeviceContext & {
  readonly effects: { readonly hourForecast: (input: { readonly hours: readonly number[] }) => string };
};
type Call = AnsweredCall<unknown>;

/** An hour that has ended. */
interface Hour {
  readonly start: number;
  readonly mean: number;
}

/** Hours come in their order. A device of which too little is known is not asked about. */
export function askForForecast(ctx: ForecastContext, { start, mean }: Hour): void {
  const window = withHourMean(ctx.state.hourWindow.get(), start, mean);
  ctx.state.hourWindow.set(window);
  const hours = forecastInput(window);
  if (hours === undefined) return;
  try {
    ctx.state.asked.set(ctx.effects.hourForecast({ hours }), { start, mean });
  } catch (error) {
    // Weeks of hours at once: what the rules say of them must not be lost with the answers.
    if (!(error instanceof HandlerError) || error.code !== "TOO_MANY_CALLS") throw error;
    tell(ctx, { start, mean }, (about) => unanswered(about, error));
  }
}

export function tellForecast(ctx: ForecastContext, { forecast, deviation }: Static<typeof HourForecast>, call: Call): void {
  const hour = taken(ctx, call);
  if (hour === undefined) return;
  tell(ctx, hour, (about) => enriched(about, { forecast, deviation }, call));
  const start = hour.start + HOUR_MS;
  // Answers may overtake each other.
  if (start > (ctx.state.expected.get()?.start ?? Number.NEGATIVE_INFINITY)) ctx.state.expected.set({ start, mean: forecast, deviation });
}

export function tellNoForecast(ctx: ForecastContext, failure: CallFailure, call: Call): void {
  const hour = taken(ctx, call);
  if (hour !== undefined) tell(ctx, hour, (about) => unanswered(about, failure, call));
}

/** `undefined` when the device has begun anew since. */
function taken({ state }: ForecastContext, { id }: Call): Hour | undefined {
  const hour = state.asked.get(id);
  state.asked.delete(id);
  return hour;
}

type About = ReturnType<typeof aboutOf>;
type Told = Parameters<ForecastContext["out"]["hourForecast"]>[0];

function tell(ctx: ForecastContext, hour: Hour, told: (about: About) => Told): void {
  ctx.out.hourForecast(told(aboutOf(ctx, hour)), { time: hour.start + HOUR_MS - 1 });
}

/** The hour, and its score where it was forecast. */
function aboutOf({ key, state }: ForecastContext, { start, mean }: Hour) {
  const expected = state.expected.get();
  const scored =
    expected?.start === start
      ? { expected: expected.mean, score: scoreOf(mean - expected.mean, MEAN_DEVIATION_TO_SIGMA * expected.deviation) }
      : {};
  return { deviceId: key, hourStart: formatInstant(start), mean, ...scored, forecastFor: formatInstant(start + HOUR_MS) };
}
