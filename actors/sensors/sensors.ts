/**
 * Sensors: a reading that neither the device's last readings nor its hour of the day explain, a device that falls
 * silent, and what the next hour should bring, by rules and by a model. The rules are numbered in README.md beside this file.
 */
import type { Static } from "typebox";
import { actor } from "../model/actor.ts";
import { job } from "../model/job.ts";
import { formatInstant, HOUR_MS } from "../model/time.ts";
import { type DeviceSettings, settingsOf } from "./device.ts";
import { type DeviceContext, declared, type OpenHour } from "./device-state.ts";
import { effects, forecastModel } from "./forecast-model.ts";
import { askForForecast, type ForecastContext, tellForecast, tellNoForecast } from "./hour-forecast.ts";
import { expectedAt, judgeByHour, withHour } from "./hourly.ts";
import { judgeByRecent } from "./recent.ts";
import { reading } from "./schema.ts";

export const device = actor("device", {
  version: 2,
  in: { reading },
  ...declared,
  effects,
  on: {
    reading(ctx, { value, unit }) {
      const lastAt = Math.max(ctx.state.lastAt.get() ?? ctx.now, ctx.now);
      // As of the latest reading: one that is out of order does not bring back what a newer record has replaced.
      const settings = settingsOf(ctx.reference.device, ctx.key, lastAt);
      ctx.state.lastAt.set(lastAt);
      ctx.timers.silence.at(ctx.processingTime + settings.silentAfterMs, settings.silentAfterMs);
      if (!inUnit(ctx, settings, unit)) return;
      judge(ctx, settings.threshold, value);
      count(ctx, value);
    },
    hourEnd(ctx, { data: start }) {
      const hours = ctx.state.hours.get();
      const hour = hours.find((other) => other.start === start);
      if (hour === undefined) return;
      ctx.state.hours.set(hours.filter((other) => other !== hour));
      forecast(ctx, hour);
    },
    hourForecast: { done: tellForecast, failed: tellNoForecast },
    silence(ctx, { data: silentAfterMs }) {
      const lastAt = ctx.state.lastAt.get();
      if (lastAt === undefined) return;
      ctx.count("alerts.emitted");
      ctx.out.silent({ deviceId: ctx.key, lastAt: formatInstant(lastAt), silentAfterMs }, { time: lastAt });
    },
  },
});

export default job("sensors", {
  log: "sensors",
  actors: [device],
  outOfOrderness: "30s",
  allowedLateness: "5m",
  dedupeHorizon: "24h",
  models: [forecastModel],
});

/** Whether the reading is in the device's unit, or names none. Another unit in the device's record begins anew. */
function inUnit(ctx: DeviceContext, settings: DeviceSettings, unit: string | undefined): boolean {
  const known = ctx.state.unit.get();
  const usual = settings.unit ?? known ?? unit;
  if (usual !== undefined && usual !== known) {
    if (known !== undefined) forget(ctx);
    ctx.state.unit.set(usual);
  }
  if (unit === undefined || unit === usual) return true;
  ctx.quality("unit-mismatch", { deviceId: ctx.key, unit, usual });
  return false;
}

function forget({ state, timers }: DeviceContext): void {
  for (const { start } of state.hours.get()) timers.hourEnd.cancel(formatInstant(start));
  for (const cell of [state.recent, state.hours, state.hourly, state.spread, state.hourWindow, state.expected]) cell.delete();
  // What is still answered is of another unit: nobody asked for it any more.
  state.asked.clear();
}

/** An anomaly is what is beyond the threshold by its last readings and by its hour of the day, as far as they are known. */
function judge(ctx: DeviceContext, threshold: number, value: number): void {
  const { state } = ctx;
  const { recent, judgement: byRecent } = judgeByRecent(state.recent.get(), value, threshold);
  const { spread, judgement: byHour } = judgeByHour(state.hourly.get(), state.spread.get(), ctx.now, value);
  state.recent.set(recent);
  state.spread.set(spread);
  if (byRecent === undefined || byRecent.score <= threshold) return;
  const { score, expected } = byHour !== undefined && byHour.score < byRecent.score ? byHour : byRecent;
  if (score <= threshold) return;
  ctx.count("alerts.emitted");
  ctx.out.anomaly({ value, score, expected });
}

/** One whose hour was forecast from already is left out: the forecast stands. */
function count(ctx: DeviceContext, value: number): void {
  const start = Math.floor(ctx.now / HOUR_MS) * HOUR_MS;
  if (ctx.watermark !== undefined && ctx.watermark >= start + HOUR_MS) return;
  const hours = ctx.state.hours.get();
  const hour = hours.find((other) => other.start === start) ?? { start, count: 0, sum: 0 };
  if (hour.count === 0) ctx.timers.hourEnd.at(start + HOUR_MS - 1, start, formatInstant(start));
  const counted = { start, count: hour.count + 1, sum: hour.sum + value };
  ctx.state.hours.set([...hours.filter((other) => other.start !== start), counted]);
}

function forecast(ctx: ForecastContext, { start, count, sum }: Static<typeof OpenHour>): void {
  const before = ctx.state.hourly.get();
  const mean = sum / count;
  const hourly = withHour(before, start, mean);
  ctx.state.hourly.set(hourly);
  const next = start + HOUR_MS;
  ctx.out.forecast({
    deviceId: ctx.key,
    hourStart: formatInstant(start),
    count,
    mean,
    ...(before?.last === start - HOUR_MS ? { error: mean - expectedAt(before, start) } : {}),
    ...(hourly.errors > 0 ? { meanError: hourly.meanError } : {}),
    forecastFor: formatInstant(next),
    value: expectedAt(hourly, next),
  });
  askForForecast(ctx, { start, mean });
}
