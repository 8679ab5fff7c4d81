/**
 * What the types of a job say to its tests: events, outputs, state and timers by the names that its actors give them.
 * Nothing here exists at run time.
 */
import type { Actor, Clock, DeepReadonly } from "../../actors/model/actor.ts";
import type { Job } from "../../actors/model/job.ts";
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
    /** When it fires, milliseconds. */
    readonly at: number;
    readonly clock: Clock;
    readonly data: TimersOf<A>[N];
    /** Id of the event that armed it. */
    readonly armedBy: string;
  };
}[Named<TimersOf<A>>];

/** An actor as it stands. */
export interface TestedActor<A> {
  readonly type: string;
  readonly key: string;
  /** Cells by name, as plain values. */
  readonly state: { readonly [K in keyof ShapeOf<A>["state"]]: DeepReadonly<ShapeOf<A>["state"][K]> };
  readonly timers: readonly ArmedTimer<A>[];
  /** Event ids that the key remembers, and the time of the oldest, milliseconds. */
  readonly dedupe: { readonly count: number; readonly oldest: number | undefined };
}
