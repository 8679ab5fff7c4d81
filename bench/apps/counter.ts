/**
 * The job that the benchmarks drive: a counter per key with everything on that a real actor has: a schema, state,
 * an event-time timer at the day's end, a processing-time timer that every event pushes back, dedupe, outputs.
 */
import { Type } from "typebox";
import { actor, timer } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { DAY_MS, MINUTE_MS } from "../../actors/model/time.ts";

const Reading = Type.Object({ deviceId: Type.String(), value: Type.Number() });
const Count = Type.Object({ deviceId: Type.String(), count: Type.Integer(), total: Type.Number() });

/** Every `every`-th event of the log gives an output, by its own value, so that replays agree. */
export function counterJob(every: number, version = 1): Job {
  const counter = actor("counter", {
    version,
    in: { reading: stream("bench.reading", { schema: Reading }) },
    out: { counted: output("bench.counted", { schema: Count }) },
    state: { count: value(Type.Integer(), 0), total: value(Type.Number(), 0) },
    timers: { dayEnd: timer("event"), silence: timer("processing") },
    on: {
      reading(ctx, reading) {
        const count = ctx.state.count.get() + 1;
        const total = ctx.state.total.get() + reading.value;
        ctx.state.count.set(count);
        ctx.state.total.set(total);
        ctx.timers.dayEnd.at(Math.ceil((ctx.now + 1) / DAY_MS) * DAY_MS - 1);
        ctx.timers.silence.at(ctx.processingTime + 5 * MINUTE_MS);
        if (reading.value % every === 0) ctx.out.counted({ deviceId: reading.deviceId, count, total });
      },
      dayEnd() {},
      silence() {},
    },
  });
  return job("bench", { log: "bench", actors: [counter], outOfOrderness: "10s", allowedLateness: "5m", dedupeHorizon: "1h", idle: "hold" });
}
