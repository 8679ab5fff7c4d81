/**
 * A job whose events say what its handler is to do, so that a test reads as the history that it is about.
 * One actor, `script`; one event type, `script.run`; an event timer `tick`, a processing timer `alarm`.
 */
import { type Static, Type } from "typebox";
import { actor, type Context, timer } from "../../actors/model/actor.ts";
import { type Value, value } from "../../actors/model/cells/value.ts";
import { type Job, type JobOptions, job } from "../../actors/model/job.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { type Folded, foldHistory, type Interruptions } from "../../runtime/replay/fold-history.ts";
import type { ShardStore } from "../../runtime/store/shard-store.ts";
import { type EventText, type ReadOutput, readOutputs, TestLog } from "./entries.ts";

export type Step =
  | { readonly add: number }
  | { readonly say: string; readonly time?: number }
  | { readonly arm: "tick" | "alarm"; readonly at: number; readonly id?: string; readonly steps?: readonly Step[] }
  | { readonly cancel: "tick" | "alarm"; readonly id?: string }
  | { readonly fail: string }
  | { readonly quarantine: string }
  | { readonly promise: true };

const Run = Type.Object({ steps: Type.Array(Type.Unknown()) });
const Steps = Type.Object({ steps: Type.Array(Type.Unknown()) });
const Said = Type.Object({ text: Type.String(), total: Type.Number(), watermark: Type.Union([Type.Number(), Type.Null()]) });
const Fired = Type.Object({ name: Type.String(), id: Type.String(), total: Type.Number() });

export function scriptedJob(options: Partial<JobOptions> = {}): Job {
  const script = actor("script", {
    in: { run: stream("script.run", { schema: Run }) },
    out: { said: output("script.said", { schema: Said }), fired: output("script.fired", { schema: Fired }) },
    state: { total: value(Type.Number(), 0) },
    timers: { tick: timer("event", Steps), alarm: timer("processing", Steps) },
    on: {
      run: (ctx, event) => play(ctx, event.steps as readonly Step[]),
      tick: (ctx, fired) => fire(ctx, fired),
      alarm: (ctx, fired) => fire(ctx, fired),
    },
  });
  return job("script", {
    log: "script",
    actors: [script],
    outOfOrderness: 0,
    allowedLateness: "1h",
    dedupeHorizon: "2h",
    idle: "hold",
    ...options,
  });
}

type Ctx = Context<
  { total: Value<number> },
  { said: Static<typeof Said>; fired: Static<typeof Fired> },
  { tick: Static<typeof Steps>; alarm: Static<typeof Steps> }
>;

function fire(
  ctx: Ctx,
  fired: { readonly name: string; readonly id: string; readonly data: { readonly steps: readonly unknown[] } },
): unknown {
  ctx.out.fired({ name: fired.name, id: fired.id, total: ctx.state.total.get() });
  return play(ctx, fired.data.steps as readonly Step[]);
}

function play(ctx: Ctx, steps: readonly Step[]): unknown {
  for (const step of steps) {
    if ("add" in step) ctx.state.total.update((total) => total + step.add);
    else if ("say" in step) {
      const said = { text: step.say, total: ctx.state.total.get(), watermark: ctx.watermark ?? null };
      ctx.out.said(said, step.time === undefined ? {} : { time: step.time });
    } else if ("arm" in step) ctx.timers[step.arm].at(step.at, { steps: [...(step.steps ?? [])] }, step.id ?? "");
    else if ("cancel" in step) ctx.timers[step.cancel].cancel(step.id ?? "");
    else if ("fail" in step) throw new Error(step.fail);
    else if ("quarantine" in step) ctx.quarantine(step.quarantine);
    else return Promise.resolve();
  }
  return undefined;
}

export interface RunEvent extends Omit<EventText, "data" | "type"> {
  readonly steps?: readonly Step[];
}

export function runEvent({ steps = [], ...rest }: RunEvent): EventText {
  return { ...rest, type: "script.run", data: { steps } };
}

/** A log of scripted events; ids count up unless given. */
export class ScriptLog extends TestLog {
  #count = 0;

  constructor(logTime?: number) {
    super("script", logTime);
  }

  run(steps: readonly Step[], { advance = 0, ...event }: Omit<RunEvent, "steps"> & { readonly advance?: number } = {}): this {
    return this.event(runEvent({ id: `n${++this.#count}`, ...event, steps }), advance);
  }
}

export function outputsOf(log: TestLog, of: Job, interruptions?: Interruptions): ReadOutput[] {
  return readOutputs(foldHistory(log.history(of), interruptions).outputs);
}

/** What a history came to, for comparing two ways of folding it. */
export function bytesOf(folded: Folded): unknown {
  return {
    stateHash: folded.stateHash,
    outputs: folded.outputs.map((output) => `${output.k} ${output.subject} ${output.chain} ${Buffer.from(output.payload).toString()}`),
  };
}

/** Ways of folding that must not show. */
export const INTERRUPTED: Readonly<Record<string, Interruptions>> = {
  "a commit after every unit": { commitEveryUnits: 1 },
  "a crash after every unit": { commitEveryUnits: 1, crash: true },
  "a crash after every seventh unit and no rows in memory": { commitEveryUnits: 7, crash: true, liveRowsMax: 0 },
};

/** Index rows of timers, without those of what expires. */
export function timerRows(store: ShardStore): number {
  return store.scan("te", "tf", 1_000).length + store.scan("tp", "tq", 1_000).length;
}
