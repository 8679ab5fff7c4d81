/** The sample of docs/effects.md; a test holds the two together. */
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { infer } from "../../../actors/model/effect.ts";
import { job } from "../../../actors/model/job.ts";
import { output, stream } from "../../../actors/model/stream.ts";

const Payment = Type.Object({ amount: Type.Number(), country: Type.String() });

export const risk = actor("risk", {
  in: { paid: stream("payment.made", { schema: Payment }) },
  out: { alert: output("risk.alert", { schema: Type.Object({ amount: Type.Number(), why: Type.String() }) }) },
  effects: {
    score: infer("fraud", { input: Payment, output: Type.Object({ score: Type.Number() }), timeout: "2s" }),
  },
  on: {
    paid: (ctx, { amount, country }) => void ctx.effects.score({ amount, country }),
    score: {
      done(ctx, { score }, call) {
        if (score > 0.9) ctx.out.alert({ amount: call.input.amount, why: `score ${score}` });
      },
      failed: (ctx, { code }, call) => ctx.out.alert({ amount: call.input.amount, why: code }),
    },
  },
});

export default job("risk", { log: "payments", actors: [risk] });
