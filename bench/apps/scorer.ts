/**
 * The job that the benchmarks of models drive: an actor with counters of its own, out of which a model is asked for every
 * `every`-th event. The others are counted, and have an output at once.
 */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { infer } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

export const SCORE_MODEL = "score";

export const Reading = Type.Object({ deviceId: Type.String(), value: Type.Number() });
export const Features = Type.Object({ value: Type.Number(), count: Type.Integer(), total: Type.Number(), mean: Type.Number() });

/**
 * By the event's own value, from 0 to 99, so that replays agree. Ids are remembered for minutes, so that state comes to rest while
 * it is measured. `timeout` is of a call, from the log time at which it was asked for.
 */
export function scorerJob(every: number, timeout: string): Job {
  const scorer = actor("scorer", {
    in: { reading: stream("bench.reading", { schema: Reading }) },
    out: {
      counted: output("bench.counted", { schema: Type.Object({ count: Type.Integer() }) }),
      scored: output("bench.scored", { schema: Type.Object({ score: Type.Number() }) }),
      unscored: output("bench.unscored", { schema: Type.Object({ code: Type.String() }) }),
    },
    state: { count: value(Type.Integer(), 0), total: value(Type.Number(), 0) },
    effects: { score: infer(SCORE_MODEL, { input: Features, output: Type.Object({ score: Type.Number() }), timeout }) },
    on: {
      reading(ctx, reading) {
        const count = ctx.state.count.get() + 1;
        const total = ctx.state.total.get() + reading.value;
        ctx.state.count.set(count);
        ctx.state.total.set(total);
        if (reading.value % every === every - 1) ctx.effects.score({ value: reading.value, count, total, mean: total / count });
        else ctx.out.counted({ count });
      },
      score: {
        done: (ctx, { score }) => void ctx.out.scored({ score }),
        failed: (ctx, { code }) => void ctx.out.unscored({ code }),
      },
    },
  });
  return job("bench", { log: "bench", actors: [scorer], outOfOrderness: "10s", allowedLateness: "2m", dedupeHorizon: "3m", idle: "hold" });
}
