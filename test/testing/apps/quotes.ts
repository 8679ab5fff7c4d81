/** A trader that asks for rates and for the fee of its day: two effects, reference data, and results that fail when asked to. */
import { Type } from "typebox";
import { actor } from "../../../actors/model/actor.ts";
import { counter } from "../../../actors/model/cells/counter.ts";
import { map } from "../../../actors/model/cells/map.ts";
import { http, infer } from "../../../actors/model/effect.ts";
import { job } from "../../../actors/model/job.ts";
import { reference } from "../../../actors/model/reference.ts";
import { output, stream } from "../../../actors/model/stream.ts";

const Pair = Type.Object({ pair: Type.String() });

export const fees = reference("fees", { schema: Type.Object({ fee: Type.Number({ minimum: 0 }) }) });

export const trader = actor("trader", {
  in: { wanted: stream("rate.wanted", { schema: Pair }) },
  out: {
    quote: output("trader.quote", {
      schema: Type.Object({ pair: Type.String(), rate: Type.Number(), fee: Type.Union([Type.Number(), Type.Null()]) }),
    }),
    failure: output("trader.failure", { schema: Type.Object({ pair: Type.String(), code: Type.String(), message: Type.String() }) }),
  },
  state: { answers: counter(), rates: map(Type.Number()) },
  reference: { fees },
  effects: {
    rate: http("https://rates.example/v1", { input: Pair, output: Type.Number(), timeout: "5s" }),
    mood: infer("mood", { input: Type.String(), output: Type.Object({ mood: Type.String() }), timeout: "1m" }),
  },
  on: {
    wanted: (ctx, { pair }) => void ctx.effects.rate({ pair }),
    rate: {
      done(ctx, rate, { input: { pair } }) {
        if (rate < 0) throw new RangeError(`${pair} below zero`);
        ctx.state.answers.add();
        ctx.state.rates.set(pair, rate);
        ctx.out.quote({ pair, rate, fee: ctx.reference.fees.get(pair)?.data.fee ?? null });
        if (rate > 100) ctx.effects.mood(pair);
      },
      failed(ctx, { code, message }, { input: { pair } }) {
        if (code === "FATAL") throw new Error("that was that");
        ctx.out.failure({ pair, code, message });
      },
    },
    mood: {
      done: (ctx, { mood }, { input }) => ctx.out.failure({ pair: input, code: "MOOD", message: mood }),
      failed: () => {},
    },
  },
});

export default job("quotes", { log: "quotes", actors: [trader], outOfOrderness: "1s" });
