/** Payments that a model scores: one output for each, with who answered, or why nobody did. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Scored = Type.Object({
  score: Type.Union([Type.Number(), Type.Null()]),
  failed: Type.Optional(Type.String()),
  model: Type.Optional(Type.String()),
  version: Type.Optional(Type.Integer()),
  confidence: Type.Optional(Type.Union([Type.Number(), Type.Null()])),
  actionable: Type.Optional(Type.Boolean()),
});

export function scoredJob(timeout = "30s"): Job {
  const payment = actor("payment", {
    in: { paid: stream("payment.made", { schema: Type.Object({ amount: Type.Number() }) }) },
    out: { scored: output("payment.scored", { schema: Scored }) },
    effects: {
      score: infer("fraud", {
        input: Type.Object({ amount: Type.Number() }),
        output: Type.Object({ score: Type.Number(), sure: Type.Optional(Type.Number()) }),
        timeout,
      }),
    },
    on: {
      paid: (ctx, { amount }) => void ctx.effects.score({ amount }),
      score: {
        done(ctx, { score }, { inference }) {
          const { model, version, confidence, actionable } = inference!;
          ctx.out.scored({ score, model, version, confidence, actionable });
        },
        failed: (ctx, { code }) => void ctx.out.scored({ score: null, failed: code }),
      },
    },
  });
  return job("payments", { log: "payments", actors: [payment], outOfOrderness: 0 });
}
