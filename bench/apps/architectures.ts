/** Jobs of the four architectures that are no {@link scorerJob}, around the same events: see docs/inference-architectures.md. */
import { Type } from "typebox";
import { type Actor, actor } from "../../actors/model/actor.ts";
import { value } from "../../actors/model/cells/value.ts";
import { infer } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { batched } from "../../actors/model/operators/batched.ts";
import { avg, count, sum } from "../../actors/model/operators/windows/aggregates/numbers.ts";
import { countWindow } from "../../actors/model/operators/windows/count-window.ts";
import { sampled } from "../../actors/model/scoring/sampling.ts";
import { score, scoringModel } from "../../actors/model/scoring/scoring.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { Features, Reading, SCORE_MODEL } from "./scorer.ts";

const reading = stream("bench.reading", { schema: Reading });
const Score = Type.Object({ score: Type.Number() });
const scored = output("bench.scored", { schema: Score });
const unscored = output("bench.unscored", { schema: Type.Object({ code: Type.String() }) });
const TIMEOUT = "1h";

function jobOf(tested: Actor): Job {
  return job("bench", { log: "bench", actors: [tested], outOfOrderness: "10s", allowedLateness: "5m", dedupeHorizon: "1h", idle: "hold" });
}

/** Asked at every 4th reading of a device, about its last 8. */
export function contextWindowJob(): Job {
  const byValue = (one: { readonly value: number }): number => one.value;
  const device = actor("device", {
    in: { reading },
    out: { scored, unscored },
    state: { last: countWindow(8, { count: count(), total: sum(byValue), mean: avg(byValue) }, { slide: 4 }) },
    effects: { score: infer(SCORE_MODEL, { input: Features, output: Score, timeout: TIMEOUT }) },
    on: {
      reading: (ctx, one) => ctx.state.last.add(one),
      last: (ctx, { count: counted, total, mean }) => void ctx.effects.score({ value: mean, count: counted, total, mean }),
      score: { done: (ctx, answer) => void ctx.out.scored({ ...answer }), failed: (ctx, { code }) => void ctx.out.unscored({ code }) },
    },
  });
  return jobOf(device as Actor);
}

/** Asked about 16 readings of a device, or what has come within 200 ms of the first. */
export function microBatchJob(): Job {
  const Row = Type.Object({ id: Type.String(), value: Type.Number() });
  const Scores = Type.Object({ scores: Type.Array(Type.Object({ id: Type.String(), score: Type.Number() })) });
  const device = actor("device", {
    in: { reading },
    out: { scored: output("bench.scored", { schema: Type.Object({ id: Type.String(), score: Type.Number() }) }), unscored },
    state: { batch: batched(Row, { events: 16, within: "200ms" }) },
    effects: { score: infer(SCORE_MODEL, { input: Type.Object({ rows: Type.Array(Row) }), output: Scores, timeout: TIMEOUT }) },
    on: {
      reading: (ctx, { value }, { id }) => ctx.state.batch.add({ id, value }),
      batch: (ctx, { elements }) => void ctx.effects.score({ rows: [...elements] }),
      score: {
        done(ctx, { scores }) {
          for (const { id, score: one } of scores) ctx.out.scored({ id, score: one });
        },
        failed: (ctx, { code }) => void ctx.out.unscored({ code }),
      },
    },
  });
  return jobOf(device as Actor);
}

const rules = scoringModel({
  kind: "rules",
  mode: "sum",
  rules: Array.from({ length: 10 }, (_, i) => ({
    name: `rule-${i}`,
    when: {
      all: [
        { field: "value", op: ">=", value: 95 },
        { field: "mean", op: ">=", value: -i },
      ],
    },
    score: 0.1,
  })),
  minConfidence: 0.5,
});

/** Ten rules see each reading and flag 5 %; a model is asked about those, and about 2 % of the rest. */
export function tieredJob(): Job {
  const deep = infer(SCORE_MODEL, { input: Features, output: Score, timeout: TIMEOUT });
  const device = actor("device", {
    in: { reading },
    out: { counted: output("bench.counted", { schema: Type.Object({ count: Type.Integer() }) }), scored, unscored },
    state: { count: value(Type.Integer(), 0), total: value(Type.Number(), 0) },
    effects: { deep, sample: deep },
    on: {
      reading(ctx, one, { id }) {
        const counted = ctx.state.count.get() + 1;
        const total = ctx.state.total.get() + one.value;
        ctx.state.count.set(counted);
        ctx.state.total.set(total);
        const features = { value: one.value, count: counted, total, mean: total / counted };
        if (score(rules, features).actionable) return void ctx.effects.deep(features);
        ctx.out.counted({ count: counted });
        if (sampled(id, 0.02, "rest")) ctx.effects.sample(features);
      },
      deep: { done: (ctx, answer) => void ctx.out.scored({ ...answer }), failed: (ctx, { code }) => void ctx.out.unscored({ code }) },
      sample: { done: () => {}, failed: (ctx, { code }) => void ctx.out.unscored({ code }) },
    },
  });
  return jobOf(device as Actor);
}
