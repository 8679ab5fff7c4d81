/** Writers whose calls count in budgets of keys, of tenants and of models, and whose events say what to ask for. */
import { Type } from "typebox";
import { actor } from "../../actors/model/actor.ts";
import { infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

const Asked = Type.Object({ n: Type.Integer() });
const exchange = { input: Asked, output: Asked, timeout: "24h" };

/** What one effect's calls take, of whom. */
export const ASKS = {
  chat: { model: "text", tenant: "retail", reserve: 6, key: { units: 30, perMs: 3_600_000 } },
  mail: { model: "text", tenant: "retail", reserve: undefined, key: undefined },
  look: { model: "sight", tenant: undefined, reserve: undefined, key: undefined },
} as const;
export type AskName = keyof typeof ASKS;

const Run = Type.Object({
  n: Type.Integer(),
  by: Type.Union([Type.Literal("chat"), Type.Literal("mail"), Type.Literal("look")]),
  times: Type.Optional(Type.Integer()),
  fails: Type.Optional(Type.Boolean()),
});

export const writer = actor("writer", {
  in: { asked: stream("asked", { schema: Run }) },
  out: { told: output("told", { schema: Type.Object({ n: Type.Integer(), what: Type.String(), left: Type.String() }) }) },
  effects: {
    chat: infer("text", { ...exchange, tenant: "retail", budget: { units: 30, per: "1h", reserve: 6 } }),
    mail: infer("text", { ...exchange, tenant: "retail" }),
    look: infer("sight", exchange),
  },
  on: {
    asked(ctx, { n, by, times = 1, fails }) {
      let what = "asked";
      try {
        for (let i = 0; i < times; i++) ctx.effects[by]({ n });
      } catch (error) {
        const { code, exhausted } = error as { readonly code: string; readonly exhausted: string };
        what = `${code} ${exhausted}`;
      }
      if (fails === true) throw new Error("the handler fails");
      ctx.out.told({ n, what, left: String(ctx.effects[by].left()) });
    },
    chat: {
      done: (ctx, { n }) => void ctx.out.told({ n, what: "done", left: String(ctx.effects.chat.left()) }),
      failed: (ctx, _, { input }) => void ctx.out.told({ n: input.n, what: "failed", left: String(ctx.effects.chat.left()) }),
    },
    mail: {
      done: (ctx, { n }) => void ctx.out.told({ n, what: "done", left: String(ctx.effects.mail.left()) }),
      failed: (ctx, _, { input }) => void ctx.out.told({ n: input.n, what: "failed", left: String(ctx.effects.mail.left()) }),
    },
    look: {
      done: (ctx, { n }) => void ctx.out.told({ n, what: "done", left: String(ctx.effects.look.left()) }),
      failed: (ctx, _, { input }) => void ctx.out.told({ n: input.n, what: "failed", left: String(ctx.effects.look.left()) }),
    },
  },
});

export const writers = job("writers", {
  log: "writers",
  actors: [writer],
  outOfOrderness: 0,
  allowedLateness: "30d",
  dedupeHorizon: "60d",
});
