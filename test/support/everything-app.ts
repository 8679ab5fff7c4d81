/**
 * A job in which everything that a fold can do meets: two actors that take the same events, cells of every kind with
 * and without an end, timers on both clocks, calls, reference data. Two builds of it: the second declares nearly every
 * cell otherwise, so that what the first has left is migrated.
 */
import { type TSchema, Type } from "typebox";
import { type Actor, actor, timer } from "../../actors/model/actor.ts";
import { counter } from "../../actors/model/cells/counter.ts";
import { list } from "../../actors/model/cells/list.ts";
import { map } from "../../actors/model/cells/map.ts";
import { set } from "../../actors/model/cells/set.ts";
import { value } from "../../actors/model/cells/value.ts";
import { infer } from "../../actors/model/effect.ts";
import { type Job, job } from "../../actors/model/job.ts";
import { reference } from "../../actors/model/reference.ts";
import { output, stream } from "../../actors/model/stream.ts";
import { MINUTE_MS } from "../../actors/model/time.ts";

export type ActorName = "first" | "second";

/** What an actor is to do; `at` in milliseconds behind `ctx.now`. */
export interface Act {
  readonly do:
    | "value"
    | "count"
    | "map"
    | "list"
    | "set"
    | "drop"
    | "clear"
    | "shift"
    | "tick"
    | "alarm"
    | "cancel"
    | "ask"
    | "look"
    | "say";
  readonly id: string;
  readonly at: number;
}

export interface Acts {
  readonly acts: readonly Act[];
  readonly fail?: ActorName;
  readonly quarantine?: ActorName;
  /** Of timers and of results: what they do then. */
  readonly later: readonly Act[];
}

const Any = Type.Unknown();
const TTL_MS = 2 * MINUTE_MS;

export const guess = infer("guess", { input: Type.Object({ n: Type.Integer() }), output: Any, timeout: "2s" });

/** `anywhere`: what it puts out does not hang on positions: no random numbers, no ids of calls. */
function actorOf(name: ActorName, build: 1 | 2, anywhere: boolean): Actor {
  const Num: TSchema = build === 1 ? Type.Integer() : Type.Number();
  const Text: TSchema = build === 1 ? Type.String() : Type.String({ maxLength: 100 });
  return actor(name, {
    version: build,
    in: { run: stream("run", { schema: Type.Object({ acts: Type.Array(Any), later: Type.Array(Any) }) }) },
    out: { said: output("said", { schema: Any }) },
    state: {
      value: value(Num, 0),
      valueTtl: value(Num).ttl(TTL_MS),
      count: counter(),
      map: map(Num),
      mapTtl: map(Num).ttl(TTL_MS),
      list: list(Num),
      listTtl: list(Num).ttl(TTL_MS),
      set: set(Text),
      setTtl: set(Text).ttl(TTL_MS),
      stays: map(Type.Integer()).ttl(TTL_MS),
      ...(build === 1 ? { leaves: map(Type.Integer()).ttl(TTL_MS) } : { comes: value(Type.Integer(), 0) }),
    },
    timers: {
      tick: timer("event", Any),
      alarm: timer("processing", build === 1 ? Any : Type.Array(Any)),
      ...(build === 1 ? { goes: timer("event") } : {}),
    },
    effects: { guess },
    reference: { rates: reference("rates", { schema: Type.Object({ rate: Type.Number() }) }) },
    on: {
      run(ctx: Ctx, event: Acts) {
        const { acts, later, fail, quarantine } = event;
        play(anywhere ? still(ctx) : ctx, acts, later);
        if (quarantine === name) ctx.quarantine("not-good");
        if (fail === name) throw new Error("asked to");
      },
      tick: (ctx: Ctx, fired: Fired) => play(anywhere ? still(ctx) : ctx, fired.data, []),
      alarm: (ctx: Ctx, fired: Fired) => play(anywhere ? still(ctx) : ctx, fired.data, []),
      ...(build === 1 ? { goes: (ctx: Ctx) => ctx.out.said("goes") } : {}),
      guess: {
        done(ctx: Ctx, result: unknown, call: { readonly id: string }) {
          ctx.out.said([anywhere ? "" : call.id, result]);
          play(
            anywhere ? still(ctx) : ctx,
            [
              { do: "count", id: "", at: 1 },
              { do: "say", id: "", at: 0 },
            ],
            [],
          );
        },
        failed(ctx: Ctx, failure: { readonly code: string }) {
          if (failure.code === "BREAKS") throw new Error("asked to");
          ctx.out.said(failure);
        },
      },
    },
    ...(build === 1 ? {} : { migrate: { 2: (old: object) => ({ ...old, comes: Object.keys(old).length }) } }),
  } as never) as Actor;
}

interface Handle {
  get(key?: unknown): unknown;
  set(key: unknown, value?: unknown): void;
  add(value: unknown): unknown;
  delete(key?: unknown): unknown;
  clear(): void;
  removeFirst(): unknown;
  entries(): Iterable<unknown>;
  values(): Iterable<unknown>;
  expiresAt(): unknown;
  readonly size: number;
}

interface Ctx {
  readonly now: number;
  readonly watermark: number | undefined;
  readonly processingTime: number;
  readonly state: Readonly<Record<string, Handle>>;
  readonly out: { said(data: unknown): void };
  readonly timers: Readonly<Record<"tick" | "alarm", { at(time: number, data: unknown, id: string): void; cancel(id: string): void }>> & {
    readonly goes?: { at(time: number): void };
  };
  readonly effects: { guess(input: unknown): string };
  readonly reference: { readonly rates: { get(id: string): unknown } };
  random(): number;
  quarantine(code: string): never;
}

interface Fired {
  readonly data: readonly Act[];
}

/** Nor is a timer due when it is armed: of those, the order hangs on the entries that happen to come next. */
function still(ctx: Ctx): Ctx {
  const { now, watermark, processingTime, state, out, timers, effects, reference, quarantine } = ctx;
  const behind = (timer: Ctx["timers"]["tick"], clock: number): Ctx["timers"]["tick"] => ({
    at: (time, data, id) => timer.at(Math.max(time, clock + 1), data, id),
    cancel: (id) => timer.cancel(id),
  });
  const reached = watermark ?? Number.NEGATIVE_INFINITY;
  const goes = timers.goes && { at: (time: number) => timers.goes!.at(Math.max(time, reached + 1)) };
  const armed = { tick: behind(timers.tick, reached), alarm: behind(timers.alarm, processingTime), ...(goes && { goes }) };
  return { now, watermark, processingTime, state, out, timers: armed, effects, reference, quarantine, random: () => 0 };
}

function play(ctx: Ctx, acts: readonly Act[], later: readonly Act[]): void {
  for (const act of acts) playOne(ctx, act, later);
}

function playOne(ctx: Ctx, { do: what, id, at }: Act, later: readonly Act[]): void {
  const { state, timers } = ctx;
  const both = (name: string): readonly Handle[] => [state[name]!, state[`${name}Ttl`]!];
  const keyed = [...both("map"), state.stays!, ...(state.leaves === undefined ? [] : [state.leaves])];
  if (what === "value") for (const cell of both("value")) cell.set(at);
  else if (what === "count") state.count!.add(at);
  else if (what === "map") for (const cell of keyed) cell.set(id, at);
  else if (what === "list") for (const cell of both("list")) cell.add(at);
  else if (what === "set") for (const cell of both("set")) cell.add(id);
  else if (what === "drop") for (const cell of [...keyed, ...both("set")]) cell.delete(id);
  else if (what === "clear") for (const cell of [...keyed, ...both("set"), ...both("list")]) cell.clear();
  else if (what === "shift") for (const cell of both("list")) cell.removeFirst();
  else if (what === "tick" || what === "alarm") {
    timers[what].at(ctx.now + at, later, id);
    timers.goes?.at(ctx.now + at + MINUTE_MS);
  } else if (what === "cancel") for (const name of ["tick", "alarm"] as const) timers[name].cancel(id);
  else if (what === "ask") ctx.effects.guess({ n: 1 });
  else if (what === "look") ctx.out.said(ctx.reference.rates.get(id) ?? null);
  else ctx.out.said([ctx.random(), seen(state)]);
}

function seen(state: Ctx["state"]): unknown {
  return Object.fromEntries(
    Object.entries(state).map(([name, cell]) => {
      if (name.startsWith("list")) return [name, [cell.get(), cell.expiresAt()]];
      if (name.startsWith("set")) return [name, [...cell.values()]];
      return [
        name,
        name === "stays" || name === "leaves" || name.startsWith("map") ? [cell.size, [...cell.entries()]] : (cell.get() ?? null),
      ];
    }),
  );
}

export function everythingJob(build: 1 | 2, { anywhere = false } = {}): Job {
  return job("all", {
    log: "all",
    actors: [actorOf("first", build, anywhere), actorOf("second", build, anywhere)],
    outOfOrderness: "10s",
    allowedLateness: "2m",
    dedupeHorizon: "4m",
    idleAfter: "1m",
  });
}
