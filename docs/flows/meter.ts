/** The job meter as a flow: the outputs of actors/meter/meter.ts, which is written by hand. */
import { type Static, Type } from "typebox";
import { value } from "../../actors/model/cells/value.ts";
import { flow } from "../../actors/model/flow/flow.ts";
import { count, max, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { session } from "../../actors/model/operators/windows/session-window.ts";
import { tumbling } from "../../actors/model/operators/windows/time-window.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { formatDay, formatInstant, parseInstant } from "../../actors/model/time.ts";

const Reading = Type.Object({ deviceId: Type.String(), value: Type.Number() });
const DailyTotal = Type.Object({
  deviceId: Type.String(),
  day: Type.String(),
  count: Type.Integer(),
  total: Type.Number(),
  revision: Type.Optional(Type.Integer()),
});
const Silent = Type.Object({ deviceId: Type.String(), lastAt: Type.String() });

const reading = stream("meter.reading", { schema: Reading });
const dailyTotal = output("meter.daily-total", { schema: DailyTotal });
const silent = output("meter.silent", { schema: Silent });

export default flow("meter", { log: "meter", outOfOrderness: "1m", allowedLateness: "24h", dedupeHorizon: "48h" }, ({ from }) => {
  const readings = from(reading);

  readings
    .window("days", tumbling("1d", { count: count(), total: sum((one: Static<typeof Reading>) => one.value) }))
    .map(({ start, count: counted, total, revision }, { key }) => {
      return { deviceId: key, day: formatDay(start), count: counted, total, ...(revision > 0 ? { revision } : {}) };
    })
    .to(dailyTotal);

  readings
    .flatMapWith({ lastAt: value(Type.Integer()) }, (_reading, { lastAt }, { now }) => {
      const at = Math.max(lastAt.get() ?? now, now);
      lastAt.set(at);
      return [at];
    })
    // Silent for five minutes of log time: one that comes at the end of them comes too late.
    .window("silence", session(5 * 60_000 - 1, { lastAt: max((at: number) => at) }, { clock: "processing" }))
    .map(({ lastAt }, { key }) => ({ deviceId: key, lastAt: formatInstant(lastAt) }))
    .to(silent, { time: ({ lastAt }) => parseInstant(lastAt)! });
});
