/**
 * Flows: the operators written as a chain. A flow becomes one actor and one job, with the same cells, timers and outputs
 * that one would have written by hand; what it is called is the actor's name, and the names of its operators are those of
 * the actor's cells, so that state outlives a change of the steps around it.
 */
import { isName } from "../actor.ts";
import type { Cell } from "../cell.ts";
import { type Job, type JobOptions, job } from "../job.ts";
import type { IntervalJoinHandle, Joined } from "../operators/joins/interval-join.ts";
import type { JoinedRows, TableJoinHandle } from "../operators/joins/table-join.ts";
import type { TemporalJoinHandle, WithVersion } from "../operators/joins/temporal-join.ts";
import type { Fires } from "../operators/operator.ts";
import { type InOrder, ordered } from "../operators/ordered.ts";
import type { Aggregates, ElementOf, ResultsOf } from "../operators/windows/gathered.ts";
import { globalWindow } from "../operators/windows/global-window.ts";
import type { Fired, Running, WindowHandle } from "../operators/windows/window-options.ts";
import type { DeepReadonly } from "../readonly.ts";
import type { ReferenceLookup, ReferenceTable } from "../reference.ts";
import type { AnySchema, Infer } from "../schema.ts";
import type { OutputType, Stream } from "../stream.ts";
import type { FlowGraph } from "./graph.ts";
import { FlowStages } from "./stages.ts";
import type { At, Step } from "./steps.ts";

/** Elements T on their way; R: lookups of the flow's reference tables, by name. Every step gives a new one. */
export interface Flow<T, R> {
  filter(test: (element: T, at: At<R>) => boolean): Flow<T, R>;
  map<U>(change: (element: T, at: At<R>) => U): Flow<U, R>;
  flatMap<U>(change: (element: T, at: At<R>) => Iterable<U>): Flow<U, R>;
  /** A flatMap that keeps state: `state` has the handles of its cells, whose names are those of the actor's cells. */
  flatMapWith<S, U>(
    cells: { readonly [K in keyof S]: Cell<S[K]> },
    change: (element: T, state: { readonly [K in keyof S]: S[K] }, at: At<R>) => Iterable<U>,
  ): Flow<U, R>;
  /** Each element goes to the first branch whose test it passes, in the order of writing; one that passes none, to `rest`. */
  branch<B extends string>(tests: { readonly [K in B]: (element: T, at: At<R>) => boolean }): { readonly [K in B | "rest"]: Flow<T, R> };
  /** Elements of both. */
  merge(other: Flow<T, R>): Flow<T, R>;
  /** What a window fires: `window("spend", tumbling("5m", { … }))`. */
  window<E, W>(this: Flow<DeepReadonly<E>, R>, name: string, window: Cell<WindowHandle<E, W>>): Flow<Fired<W>, R>;
  /** The running value over all elements of the key, with each element. */
  aggregate<const A extends Aggregates>(
    this: Flow<DeepReadonly<ElementOf<A>>, R>,
    name: string,
    aggregates: A,
    options?: { readonly by?: (element: ElementOf<A>) => string },
  ): Flow<Running<ResultsOf<A>>, R>;
  /** In the order of their times, each once the watermark has passed it. */
  inOrder<S extends AnySchema>(this: Flow<DeepReadonly<Infer<S>>, R>, name: string, schema: S): Flow<DeepReadonly<Infer<S>>, R>;
  /** With elements of another flow within a time: `join("paid", payments, intervalJoin({ … }))`; this one is the left. */
  join<A, B>(
    this: Flow<DeepReadonly<A>, R>,
    name: string,
    right: Flow<DeepReadonly<B>, R>,
    join: Cell<IntervalJoinHandle<A, B>>,
  ): Flow<Joined<A, B>, R>;
  /** With what another flow says that is in force at their time. */
  joinAsOf<A, B>(
    this: Flow<DeepReadonly<A>, R>,
    name: string,
    table: Flow<DeepReadonly<B>, R>,
    join: Cell<TemporalJoinHandle<A, B>>,
  ): Flow<WithVersion<A, B>, R>;
  /** The newest of both at every change. */
  joinTable<A, B>(
    this: Flow<DeepReadonly<A>, R>,
    name: string,
    right: Flow<DeepReadonly<B>, R>,
    join: Cell<TableJoinHandle<A, B>>,
  ): Flow<JoinedRows<A, B>, R>;
  /** What any other operator fires that takes elements by `add`, such as a pattern. */
  through<E, F>(this: Flow<DeepReadonly<E>, R>, name: string, operator: Cell<Feeds<E, F>>): Flow<F, R>;
  /**
   * Each element under another key, in another log: what follows is a job of its own, called as that log, which a pump
   * feeds. `stream` says how elements travel. Straight behind `from` the events themselves are pumped; elsewhere they
   * are outputs of this stage first. What it costs: docs/repartition.md.
   */
  keyBy<E>(
    this: Flow<DeepReadonly<E>, R>,
    log: string,
    stream: Stream<E>,
    key: (element: DeepReadonly<E>) => string | undefined,
  ): Flow<DeepReadonly<E>, R>;
  /** Emits each element. `time`: what it is about, default `at.now`. */
  to<O>(this: Flow<DeepReadonly<O>, R>, output: OutputType<O>, options?: { readonly time?: (element: T) => number }): void;
}

/** The handle of an operator that takes elements of one kind. */
export interface Feeds<E, F> extends Fires<F> {
  add(element: DeepReadonly<E>): unknown;
}

export interface FlowOptions<R> extends Omit<JobOptions, "actors"> {
  /** Raise it with every change of behaviour. Default 1. */
  readonly version?: number;
  /** Tables that its functions look things up in. */
  readonly reference?: { readonly [K in keyof R]: ReferenceTable<R[K]> };
}

type Lookups<R> = { readonly [K in keyof R]: ReferenceLookup<R[K]> };

/** Where flows begin: `from(stream)`. */
export interface FlowStart<R> {
  from<T>(source: Stream<T>): Flow<DeepReadonly<T>, Lookups<R>>;
}

/** The job of a flow's first stage, and those behind each `keyBy`. */
export interface FlowJob extends Job {
  readonly stages: readonly Job[];
}

/**
 * `flow("shop", { log: "shop" }, ({ from }) => { from(sale).filter(…).window("spend", …).to(spend5m); })`. Gives a job as
 * `job(…)` does. Throws TypeError for names that are taken, and for a flow that leads to no output.
 */
export function flow<const R = Record<never, never>>(name: string, options: FlowOptions<R>, build: (start: FlowStart<R>) => void): FlowJob {
  if (!isName(name)) throw new TypeError(`flow "${name}": a name matches [a-z][a-z0-9-]{0,30}.`);
  const { version = 1, reference = {}, log, from = [], ...rest } = options;
  const stages = new FlowStages(name, log, from);
  const { graph } = stages.first;
  build({ from: (source) => new Chain(stages, graph, graph.source(source)) as never });
  const [first, ...others] = stages.needed.map((stage) =>
    job(stage.graph.name, { ...rest, log: stage.log, from: stage.from, actors: [stage.graph.actor(version, reference)] }),
  );
  return { ...first!, stages: others };
}

type Anything = (element: unknown, at: At<unknown>) => unknown;

/** A place in the graph, with the methods that lead on from it. The types are those of {@link Flow}. */
class Chain {
  readonly #stages: FlowStages;
  readonly #graph: FlowGraph;
  readonly #at: Step;

  constructor(stages: FlowStages, graph: FlowGraph, at: Step) {
    this.#stages = stages;
    this.#graph = graph;
    this.#at = at;
  }

  filter(test: Anything): Chain {
    return this.#then("filter", test, (element, ctx, on) => {
      if (test(element, ctx) === true) on(element);
    });
  }

  map(change: Anything): Chain {
    return this.#then("map", change, (element, ctx, on) => on(change(element, ctx)));
  }

  flatMap(change: Anything): Chain {
    return this.#then("flatMap", change, (element, ctx, on) => {
      for (const part of change(element, ctx) as Iterable<unknown>) on(part);
    });
  }

  flatMapWith(
    cells: Readonly<Record<string, Cell<unknown>>>,
    change: (element: unknown, state: Readonly<Record<string, unknown>>, at: At<unknown>) => Iterable<unknown>,
  ): Chain {
    this.#graph.cells(cells);
    return this.#then("flatMapWith", change, (element, ctx, on) => {
      for (const part of change(element, ctx.state, ctx)) on(part);
    });
  }

  branch(tests: Readonly<Record<string, Anything>>): Readonly<Record<string, Chain>> {
    const steps = this.#graph.branch(this.#at, tests);
    return Object.fromEntries([...steps].map(([name, step]) => [name, this.#next(step)]));
  }

  merge(other: Chain): Chain {
    const joined = this.#then("merge", undefined, (element, _ctx, on) => on(element));
    this.#sameStage("merge", other);
    other.#at.next.push(joined.#at);
    return joined;
  }

  window(name: string, cell: Cell<unknown>): Chain {
    return this.through(name, cell);
  }

  aggregate(name: string, aggregates: Aggregates, options: object = {}): Chain {
    return this.through(name, globalWindow(aggregates, { ...options, everyEvents: 1 }));
  }

  inOrder(name: string, schema: AnySchema): Chain {
    return this.#operator(name, ordered(schema), { add: this }, (fired) => (fired as InOrder<unknown>).element);
  }

  join(name: string, right: Chain, cell: Cell<unknown>): Chain {
    return this.#operator(name, cell, { addLeft: this, addRight: right });
  }

  joinAsOf(name: string, table: Chain, cell: Cell<unknown>): Chain {
    return this.#operator(name, cell, { add: this, set: table });
  }

  joinTable(name: string, right: Chain, cell: Cell<unknown>): Chain {
    return this.join(name, right, cell);
  }

  through(name: string, cell: Cell<unknown>): Chain {
    return this.#operator(name, cell, { add: this });
  }

  keyBy(log: string, stream: Stream<unknown>, key: (element: never) => string | undefined): Chain {
    const { graph, source } = this.#stages.behind(this.#graph, this.#at, log, stream, key);
    return new Chain(this.#stages, graph, source);
  }

  to(output: OutputType<unknown>, options: { readonly time?: (element: never) => number } = {}): void {
    this.#graph.sink(this.#at, output, options.time as ((element: unknown) => number) | undefined);
  }

  #then(
    kind: "filter" | "map" | "flatMap" | "flatMapWith" | "merge",
    by: { readonly name: string } | undefined,
    run: Parameters<FlowGraph["stateless"]>[3],
  ): Chain {
    return this.#next(this.#graph.stateless(this.#at, kind, by?.name ?? "", run));
  }

  /** `inputs`: by the method of the handle that takes them. */
  #operator(name: string, cell: Cell<unknown>, inputs: Readonly<Record<string, Chain>>, open?: (fired: unknown) => unknown): Chain {
    for (const chain of Object.values(inputs)) this.#sameStage(name, chain);
    const from = Object.entries(inputs).map(([method, chain]) => ({ method, from: chain.#at }));
    return this.#next(this.#graph.operator(name, cell, from, open));
  }

  #next(step: Step): Chain {
    return new Chain(this.#stages, this.#graph, step);
  }

  /** What one actor brings together lies on one log, under one key. */
  #sameStage(what: string, other: Chain): void {
    if (other.#graph !== this.#graph)
      throw new TypeError(
        `flow "${this.#graph.name}": ${what} takes from the stage "${other.#graph.name}", which has another key. Bring both under one with keyBy.`,
      );
  }
}
