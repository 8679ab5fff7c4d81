/**
 * Meters: a daily total for each device, and a note when a device falls silent.
 *
 * A day's total is emitted once when the watermark reaches the day's end; a reading that comes behind a reported
 * day, within the allowed lateness, emits it again with the next `revision`. Sums are exact for values with up to
 * six decimals: they are kept as millionths.
 */
import { Type } from "typebox";
import { actor, timer } from "../model/actor.ts";
import { value } from "../model/cells/value.ts";
import { job } from "../model/job.ts";
import { output, stream } from "../model/stream.ts";
import { DAY_MS, formatDay, formatInstant, HOUR_MS, MINUTE_MS } from "../model/time.ts";

const SILENT_AFTER_MS = 5 * MINUTE_MS;
const ALLOWED_LATENESS_MS = 24 * HOUR_MS;

const Reading = Type.Object({ deviceId: Type.String(), value: Type.Number() });
const DailyTotal = Type.Object({
  deviceId: Type.String(),
  day: Type.String(),
  count: Type.Integer(),
  total: Type.Number(),
  revision: Type.Optional(Type.Integer()),
});
const Silent = Type.Object({ deviceId: Type.String(), lastAt: Type.String() });
/** One UTC day that can still change; `revision` is absent until the day was reported, then 0, 1, 2, … */
const Day = Type.Object({
  start: Type.Integer(),
  count: Type.Integer(),
  millionths: Type.Number(),
  revision: Type.Optional(Type.Integer()),
});

export const meter = actor("meter", {
  in: { reading: stream("meter.reading", { schema: Reading }) },
  out: { dailyTotal: output("meter.daily-total", { schema: DailyTotal }), silent: output("meter.silent", { schema: Silent }) },
  state: { days: value(Type.Array(Day), []), lastAt: value(Type.Integer()) },
  timers: { dayEnd: timer("event", Type.Integer()), silence: timer("processing") },
  on: {
    reading(ctx, reading) {
      const start = Math.floor(ctx.now / DAY_MS) * DAY_MS;
      const days = ctx.state.days.get();
      const known = days.find((day) => day.start === start);
      const reported = known === undefined ? closed(start, ctx.watermark) : known.revision !== undefined;
      const day = {
        start,
        count: (known?.count ?? 0) + 1,
        millionths: (known?.millionths ?? 0) + Math.round(reading.value * 1e6),
        ...(reported ? { revision: (known?.revision ?? -1) + 1 } : {}),
      };
      const kept = days.filter((other) => other.start !== start && !forgotten(other.start, ctx.watermark));
      ctx.state.days.set([...kept, day].sort((a, b) => a.start - b.start));
      if (reported) ctx.out.dailyTotal(total(ctx.key, day), { time: start + DAY_MS - 1 });
      else if (known === undefined) ctx.timers.dayEnd.at(start + DAY_MS - 1, start, formatDay(start));

      ctx.state.lastAt.update((last) => Math.max(last ?? ctx.now, ctx.now));
      ctx.timers.silence.at(ctx.processingTime + SILENT_AFTER_MS);
    },
    dayEnd(ctx, fired) {
      const days = ctx.state.days.get();
      const day = days.find((other) => other.start === fired.data);
      if (day === undefined || day.revision !== undefined) return;
      const reported = { ...day, revision: 0 };
      ctx.state.days.set(days.map((other) => (other === day ? reported : other)));
      ctx.out.dailyTotal(total(ctx.key, reported));
    },
    silence(ctx) {
      const lastAt = ctx.state.lastAt.get();
      if (lastAt !== undefined) ctx.out.silent({ deviceId: ctx.key, lastAt: formatInstant(lastAt) }, { time: lastAt });
    },
  },
});

export default job("meter", {
  log: "meter",
  actors: [meter],
  outOfOrderness: "1m",
  allowedLateness: ALLOWED_LATENESS_MS,
  dedupeHorizon: "48h",
});

function total(deviceId: string, day: { start: number; count: number; millionths: number; revision?: number }) {
  return {
    deviceId,
    day: formatDay(day.start),
    count: day.count,
    total: day.millionths / 1e6,
    ...(day.revision ? { revision: day.revision } : {}),
  };
}

/** The day's end is behind the watermark: its timer would fire only with the next entry, so the reading itself reports. */
function closed(start: number, watermark: number | undefined): boolean {
  return watermark !== undefined && watermark >= start + DAY_MS;
}

/** No reading of that day can be applied any more. */
function forgotten(start: number, watermark: number | undefined): boolean {
  return watermark !== undefined && start + DAY_MS < watermark - ALLOWED_LATENESS_MS;
}
