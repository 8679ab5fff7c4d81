/**
 * A job whose events say what its handlers are to do, with an effect that holds its key and one that does not, timers of
 * both clocks, and a second actor that hears the same events: so that a test of holding reads as the history that it is about.
 */
import { type Static, Type } from "typebox";
import { actor, type Context, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { type Effect, http, infer } from "../../actors/model/effect.ts";
import { job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";

export type HoldStep =
  | { readonly say: string }
  /** Asks for a call that holds; its answer has the steps of {@link answerTo}. */
  | { readonly hold: number }
  | { readonly ask: number }
  | { readonly arm: number; readonly id: string; readonly clock?: "processing"; readonly steps: readonly HoldStep[] }
  | { readonly cancel: string }
  | { readonly fail: string }
  | { readonly quarantine: string };

const Steps = Type.Array(Type.Unknown());
export const Run = Type.Object({ steps: Steps, pad: Type.Optional(Type.String()) });
const Asked = Type.Object({ n: Type.Integer() });
const Answer = Type.Object({ n: Type.Integer(), steps: Steps });
const Said = Type.Object({
  by: Type.String(),
  what: Type.String(),
  now: Type.Integer(),
  watermark: Type.Union([Type.Integer(), Type.Null()]),
});

const judge = infer("judge", { input: Asked, output: Answer, timeout: "1m", hold: true });
const look = http("https://look.example/v1", { input: Asked, output: Answer, timeout: "1m", slo: "5s" });

type ExchangeOf<E> = E extends Effect<infer X> ? X : never;
type Ctx = Context<
  unknown,
  { said: Static<typeof Said> },
  { later: Static<typeof Run>; alarm: Static<typeof Run> },
  unknown,
  { judge: ExchangeOf<typeof judge>; look: ExchangeOf<typeof look> }
>;

function play(ctx: Ctx, steps: readonly unknown[]): void {
  for (const step of steps as readonly HoldStep[]) {
    if ("say" in step) say(ctx, "clerk", step.say);
    else if ("hold" in step) ctx.effects.judge({ n: step.hold });
    else if ("ask" in step) ctx.effects.look({ n: step.ask });
    else if ("arm" in step) ctx.timers[step.clock === undefined ? "later" : "alarm"].at(step.arm, { steps: [...step.steps] }, step.id);
    else if ("cancel" in step) ctx.timers.later.cancel(step.cancel);
    else if ("fail" in step) throw new Error(step.fail);
    else ctx.quarantine(step.quarantine);
  }
}

function say(ctx: Pick<Ctx, "out" | "now" | "watermark">, by: string, what: string): void {
  ctx.out.said({ by, what, now: ctx.now, watermark: ctx.watermark ?? null });
}

const runs = stream("clerk.run", { schema: Run });

export const clerk = actor("clerk", {
  in: { run: runs },
  out: { said: output("clerk.said", { schema: Said }) },
  timers: { later: timer("event", Run), alarm: timer("processing", Run) },
  effects: { judge, look },
  on: {
    run(ctx, { steps }, { behind }) {
      if (behind) say(ctx, "clerk", "behind");
      play(ctx, steps);
    },
    later(ctx, { id, data }) {
      say(ctx, "clerk", `later ${id}`);
      play(ctx, data.steps);
    },
    alarm(ctx, { id, data }) {
      say(ctx, "clerk", `alarm ${id}`);
      play(ctx, data.steps);
    },
    judge: {
      done(ctx, { n, steps }) {
        say(ctx, "clerk", `judged ${n}`);
        play(ctx, steps);
      },
      failed: (ctx, { code }, { input }) => say(ctx, "clerk", `${code} ${input.n}`),
    },
    look: {
      breached: (ctx, { input }) => say(ctx, "clerk", `slow ${input.n}`),
      done: (ctx, { n }) => say(ctx, "clerk", `looked ${n}`),
      failed: (ctx, { code }, { input }) => say(ctx, "clerk", `${code} ${input.n}`),
    },
  },
  late: (ctx) => say(ctx, "clerk", "late"),
});

/** Hears every event, and keeps in its state how many. */
export const mate = actor("mate", {
  in: { run: runs },
  out: { heard: output("mate.heard", { schema: Said }) },
  state: { heard: counter() },
  on: {
    run(ctx) {
      ctx.out.heard({ by: "mate", what: `heard ${ctx.state.heard.add(1)}`, now: ctx.now, watermark: ctx.watermark ?? null });
    },
  },
});

export const clerks = job("clerks", {
  log: "clerks",
  actors: [clerk, mate],
  outOfOrderness: 0,
  allowedLateness: "20s",
  dedupeHorizon: "1h",
  maxAhead: "1d",
  idle: "hold",
});
