/**
 * Payments of which every second one is judged by a model that runs here and every other one by a model at a server.
 * One output for each, with what the model said, so that a second answer to one payment would be seen.
 */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { infer } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Payment = Type.Object({ amount: Type.Integer(), remote: Type.Boolean() });
const Judged = Type.Object({
  amount: Type.Integer(),
  /** Answers that this key has had, this one included. */
  answers: Type.Integer(),
  score: Type.Optional(Type.Number()),
  nth: Type.Optional(Type.Integer()),
  failed: Type.Optional(Type.String()),
});
const exchange = {
  input: Type.Object({ amount: Type.Integer() }),
  /** `nth`: how often the server had been asked for it, this time included. */
  output: Type.Object({ score: Type.Number(), nth: Type.Optional(Type.Integer()) }),
};

export const LOCAL_MODEL = "local";
export const REMOTE_MODEL = "remote";

export function judgedJob(timeout = "10m"): Job {
  const payment = actor("payment", {
    in: { paid: stream("payment.made", { schema: Payment }) },
    out: { judged: output("payment.judged", { schema: Judged }) },
    state: { answers: counter() },
    effects: {
      here: infer(LOCAL_MODEL, { ...exchange, timeout }),
      there: infer(REMOTE_MODEL, { ...exchange, timeout }),
    },
    on: {
      paid: (ctx, { amount, remote }) => void (remote ? ctx.effects.there({ amount }) : ctx.effects.here({ amount })),
      here: {
        done(ctx, answer, { input }) {
          ctx.state.answers.add();
          ctx.out.judged({ amount: input.amount, answers: ctx.state.answers.get(), ...answer });
        },
        failed(ctx, { code }, { input }) {
          ctx.state.answers.add();
          ctx.out.judged({ amount: input.amount, answers: ctx.state.answers.get(), failed: code });
        },
      },
      there: {
        done(ctx, answer, { input }) {
          ctx.state.answers.add();
          ctx.out.judged({ amount: input.amount, answers: ctx.state.answers.get(), ...answer });
        },
        failed(ctx, { code }, { input }) {
          ctx.state.answers.add();
          ctx.out.judged({ amount: input.amount, answers: ctx.state.answers.get(), failed: code });
        },
      },
    },
  });
  return job("payments", {
    log: "payments",
    actors: [payment],
    outOfOrderness: 0,
    allowedLateness: "30d",
    dedupeHorizon: "60d",
    idle: "hold",
  });
}
