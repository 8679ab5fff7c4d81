/**
 * A job whose events, timers and results say what its handlers are to ask for, and the log that answers it: so that a
 * test of effects reads as the history that it is about.
 */
import { type Static, Type } from "typebox";
import { inputHash } from "../../actors/fold/call-row.ts";
import { type Redriven, writeOwner, writeRedrive } from "../../actors/fold/journal.ts";
import { type CallResult, type Outcome, writeResults } from "../../actors/fold/result-entry.ts";
import { actor, type Context, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { type Value, value } from "../../actors/model/cells/value.ts";
import { type Effect, http, infer } from "../../actors/model/effect.ts";
import { type Job, type JobOptions, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { primitives } from "../../runtime/primitives.ts";
import { type EventText, TestLog } from "./entries.ts";

export type AskStep =
  | { readonly ask: number }
  | { readonly rate: string }
  | { readonly arm: number; readonly id?: string; readonly steps: readonly AskStep[] }
  | { readonly recent: number }
  | { readonly fail: string }
  | { readonly quarantine: string };

const Steps = Type.Array(Type.Unknown());
const Run = Type.Object({ steps: Steps });
const Asked = Type.Object({ n: Type.Integer(), note: Type.Optional(Type.String()) });
const Score = Type.Object({ score: Type.Number(), steps: Type.Optional(Steps) });
const Pair = Type.Object({ pair: Type.String() });

export const score = infer("fraud", { input: Asked, output: Score, timeout: "2s" });
export const rate = http("https://rates.example/v1", { input: Pair, output: Type.Number(), timeout: 500 });

type Ctx = Context<
  { count: unknown; recent: Value<number | undefined> },
  { got: unknown },
  { later: Static<typeof Run> },
  unknown,
  { score: typeof score extends Effect<infer X> ? X : never; rate: typeof rate extends Effect<infer X> ? X : never }
>;

function play(ctx: Ctx, steps: readonly unknown[]): void {
  for (const step of steps as readonly AskStep[]) {
    if ("ask" in step) ctx.effects.score({ n: step.ask });
    else if ("rate" in step) ctx.effects.rate({ pair: step.rate });
    else if ("arm" in step) ctx.timers.later.at(step.arm, { steps: [...step.steps] }, step.id);
    else if ("recent" in step) ctx.state.recent.set(step.recent);
    else if ("fail" in step) throw new Error(step.fail);
    else ctx.quarantine(step.quarantine);
  }
}

export const asker = actor("asker", {
  in: { run: stream("asker.run", { schema: Run }) },
  out: { got: output("asker.got", { schema: Type.Unknown() }) },
  state: { count: counter(), recent: value(Type.Integer()).ttl("1m") },
  timers: { later: timer("event", Run) },
  effects: { score, rate },
  on: {
    run: (ctx, { steps }) => play(ctx, steps),
    later: (ctx, fired) => play(ctx, fired.data.steps),
    score: {
      done(ctx, result, call) {
        ctx.out.got({ done: call.id, result: result.score, count: ctx.state.count.add(1), call, now: ctx.now });
        play(ctx, result.steps ?? []);
      },
      failed(ctx, failure, call) {
        ctx.out.got({ failed: call.id, failure, count: ctx.state.count.add(1) });
        if (failure.code === "FAIL") throw new Error("asked to");
      },
    },
    rate: {
      done: (ctx, result, call) => ctx.out.got({ done: call.id, result, recent: ctx.state.recent.get() ?? null }),
      failed: (ctx, failure, call) => ctx.out.got({ failed: call.id, failure, count: ctx.state.count.add(1) }),
    },
  },
});

export function effectJob(options: Partial<JobOptions> = {}): Job {
  return job("asker", {
    log: "asker",
    actors: [asker],
    outOfOrderness: 0,
    allowedLateness: "1h",
    dedupeHorizon: "2h",
    idle: "hold",
    ...options,
  });
}

export interface RunOptions extends Omit<EventText, "data" | "type"> {
  readonly advance?: number;
}

/** Ids count up unless given; results are of the newest owner's term unless given. */
export class EffectLog extends TestLog {
  #count = 0;
  term = 0;

  constructor(logTime?: number) {
    super("asker", logTime);
    this.owner("n1");
  }

  owner(node: string): this {
    this.raw("asker.p0.j.asker", writeOwner("token", node));
    this.term = this.entries.length;
    return this;
  }

  /** Its entry is number `this.entries.length` behind it. */
  run(steps: readonly AskStep[], { advance = 0, ...event }: RunOptions = {}): this {
    return this.event({ id: `n${++this.#count}`, ...event, type: "asker.run", data: { steps } }, advance);
  }

  results(results: readonly CallResult[], { term = this.term, advance = 0 } = {}): this {
    return this.raw("asker.p0.j.asker", writeResults(term, results), advance);
  }

  redrive(deadLetter: string, handler: string, what: Redriven): this {
    return this.raw("asker.p0.j.asker", writeRedrive({ deadLetter, handler, who: "ann", reason: "mended", of: what }));
  }
}

/** Id of the n-th call that the event `index` of an entry asked for. */
export function idOf(sequence: number, n = 1, index = 0, effect = "score"): string {
  return `asker.0:${sequence}.${index}.${effect}.${n}`;
}

export function hashOf(n: number, target: string = score.target): string {
  return inputHash(primitives.sha256, target, `{"n":${n}}`);
}

/** A result of a call of `rate` with the input `x`. */
export function rated(call: string): CallResult {
  return { call, input: inputHash(primitives.sha256, rate.target, '{"pair":"x"}'), output: 1.5 };
}

/** A result of a call of `score` with the input `n`. */
export function scored(call: string, n: number, outcome: Outcome = { output: { score: n } }): CallResult {
  return { call, input: hashOf(n), ...outcome };
}

export const failure = (code: string): Outcome => ({ failed: { code, message: "no" } });
