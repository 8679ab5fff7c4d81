/**
 * What the types of a job say to its tests: events, outputs, state and timers by the names that its actors give them.
 * Nothing here exists at run time.
 */
import type { InferenceNote } from "../../actors/fold/result-entry.ts";
import type { Actor } from "../../actors/model/actor.ts";
import type { Clock } from "../../actors/model/clock.ts";
import type { Job } from "../../actors/model/job.ts";
import type { DeepReadonly } from "../../actors/model/readonly.ts";
import type { Stream } from "../../actors/model/stream.ts";
import type { Published, SideOutputs } from "./published.ts";
import type { EventOptions } from "./test-event.ts";

type ShapeOf<A> = A extends Actor<infer S> ? S : never;

/** The actor types of a job. */
export type ActorOf<J> = J extends Job<infer A> ? A[number] : never;

/** Of each member of a union: its names, and what stands under one of them. */
type Names<T> = T extends unknown ? keyof T & string : never;
type At<T, K> = T extends unknown ? (K extends keyof T ? T[K] : never) : never;
type Merged<T> = { readonly [K in Names<T>]: At<T, K> };
type Named<T> = keyof T & string;

/** Data of the events that a job takes, by the names of its actors' streams. */
type EventsOf<J> = Merged<ShapeOf<ActorOf<J>>["in"]>;

/** Data of what a job emits, by the names of its actors' outputs, side outputs by their types. */
type OutputsOf<J> = Merged<ShapeOf<ActorOf<J>>["out"]> & SideOutputs;

type TimersOf<A> = { readonly [K in keyof ShapeOf<A>["timers"]]: DeepReadonly<ShapeOf<A>["timers"][K]> };

/** A stream of a job, or its name. */
export type StreamOf<J> = Named<EventsOf<J>> | Stream<EventsOf<J>[Named<EventsOf<J>>]>;

/** Data of the events of a stream. */
export type EventData<J, S> = DeepReadonly<S extends Named<EventsOf<J>> ? EventsOf<J>[S] : S extends Stream<infer T> ? T : never>;

/** An event of a batch. */
export type BatchEvent<J> = {
  [N in Named<EventsOf<J>>]: EventOptions & { readonly stream: N; readonly key: string; readonly data: EventData<J, N> };
}[Named<EventsOf<J>>];

export type OutputName<J> = Named<OutputsOf<J>>;

/** Outputs of one name. */
export type OutputOf<J, N extends OutputName<J>> = Published<N, OutputsOf<J>[N]>;

/** Any output of a job; its `name` tells which. */
export type AnyOutput<J> = { [N in OutputName<J>]: OutputOf<J, N> }[OutputName<J>];

/** An armed timer of an actor; its `name` tells which. */
export type ArmedTimer<A> = {
  [N in Named<TimersOf<A>>]: {
    readonly name: N;
    readonly id: string;
    readonly at: number;
    readonly clock: Clock;
    readonly data: TimersOf<A>[N];
    /** Id of the event that armed it. */
    readonly armedBy: string;
  };
}[Named<TimersOf<A>>];

type InputOf<X> = X extends { readonly input: infer I } ? I : unknown;
type ResultOf<X> = X extends { readonly output: infer O } ? O : unknown;

/** A call of an effect that waits for its result; its `effect` tells which. */
export interface PendingCall<N extends string = string, X = unknown> {
  /** Carries the types of input and output; there is no such field at run time. */
  readonly exchange?: X;
  /** `<job>.<position>.<effect>.<n>` */
  readonly id: string;
  /** Name of the actor type. */
  readonly actor: string;
  readonly effect: N;
  readonly key: string;
  readonly input: DeepReadonly<InputOf<X>>;
  /** `<partition>:<sequence>.<index>` of the entry that was folded when it was asked for. */
  readonly requestedAt: string;
  /** The log time of then and the effect's timeout, milliseconds. Nothing but a result closes a call. */
  readonly deadline: number;
  /** Of a call to a model of which the test activated a version. */
  readonly model?: { readonly version: number; readonly role: "champion" | "challenger" };
  /** How often its owner has begun to try it by itself; absent for never. */
  readonly attempts?: number;
}

/** What the model of a call says besides its answer, as far as a test cares: confidence `null`, the version asked, nothing cached, no cost. */
export type ReplyNote = Partial<InferenceNote>;

type EffectsOf<A> = ShapeOf<A>["effects"];

/** A waiting call of any of an actor's effects. */
export type CallOf<A> = A extends unknown ? { [N in Named<EffectsOf<A>>]: PendingCall<N, EffectsOf<A>[N]> }[Named<EffectsOf<A>>] : never;

/** What a call wants in return. */
export type ReplyTo<C> = C extends PendingCall<string, infer X> ? DeepReadonly<ResultOf<X>> : never;

/** What the content of a cell is, by its handle: that of a value, counter or list, of a map, of a set. An empty value is null. */
type PlainOf<H> = H extends { get(): infer V }
  ? Exclude<V, undefined> | (undefined extends V ? null : never)
  : H extends { entries(): Iterable<readonly [unknown, infer V]> }
    ? Readonly<Record<string, V>>
    : H extends { values(): Iterable<infer M> }
      ? readonly M[]
      : unknown;

/** An actor as it stands. Times are milliseconds. */
export interface TestedActor<A> {
  readonly type: string;
  readonly key: string;
  /** Cells by name, as plain values, without what has expired. */
  readonly state: { readonly [K in keyof ShapeOf<A>["state"]]: PlainOf<ShapeOf<A>["state"][K]> };
  readonly timers: readonly ArmedTimer<A>[];
  /** What goes by itself, and when: a cell, or one entry of it. */
  readonly expires: readonly { readonly cell: Named<ShapeOf<A>["state"]>; readonly entry?: string; readonly at: number }[];
  /** Event ids that the key remembers, and the time of the oldest. */
  readonly dedupe: { readonly count: number; readonly oldest: number | undefined };
}
