/**
 * Actors: the state, timers and handlers of one key. Handlers are synchronous and see only `ctx`; whatever they do
 * is a function of the actor's state and the entry in hand, so that folding again gives the same bytes.
 */
import type { Cell } from "./cell.ts";
import type { Clock } from "./clock.ts";
import {
  type DeclaredEffect,
  declaredEffects,
  type Effect,
  type EffectHandles,
  type Exchange,
  effectTimers,
  type ResultHandlers,
} from "./effect.ts";
import type { DrawnStep } from "./flow/steps.ts";
import type { Fires } from "./operators/operator.ts";
import type { Query, UntypedQuery } from "./query.ts";
import type { DeepReadonly } from "./readonly.ts";
import type { ReferenceLookup, ReferenceTable } from "./reference.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "./schema.ts";
import type { OutputType, Stream } from "./stream.ts";

export interface TimerType<T> {
  readonly kind: "timer";
  readonly clock: Clock;
  readonly schema: Schema<T> | undefined;
}

/**
 * A named timer of the actor. On the event clock it fires when the watermark has passed its time (W > t), on the
 * processing clock when the log's time has reached it (P >= t). Fires once; set again under the same id, it moves.
 */
export function timer(clock: Clock): TimerType<undefined>;
export function timer<S extends AnySchema>(clock: Clock, schema: S): TimerType<Infer<S>>;
export function timer<S extends AnySchema>(clock: Clock, schema?: S): TimerType<Infer<S> | undefined> {
  return { kind: "timer", clock, schema: schema === undefined ? undefined : schemaOf(schema) };
}

export interface TimerHandle<T> {
  /** Sets the timer `id` (default: the empty id) to fire at `time`, whole milliseconds. Set again, it moves. */
  at(time: number, ...rest: undefined extends T ? [data?: T, id?: string] : [data: T, id?: string]): void;
  cancel(id?: string): void;
  /** When it will fire; `undefined` when it is not set. */
  time(id?: string): number | undefined;
}

export interface OutputOptions {
  /** The event time that the output is about. Default: `ctx.now`. */
  readonly time?: number;
  /** Default: key, type, cause and ordinal, so that the same fact keeps its key in every generation. */
  readonly idempotencyKey?: string;
}

export interface EventInfo {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Event time. */
  readonly time: number;
  readonly effectiveTime: number | undefined;
  readonly sequence: string | undefined;
  /** Its time was behind the watermark, within the allowed lateness. */
  readonly behind: boolean;
}

export interface FiredTimer<T> {
  readonly name: string;
  readonly id: string;
  readonly time: number;
  readonly data: DeepReadonly<T>;
}

type None = Record<never, never>;

/**
 * What a handler sees. Reads no clock and no randomness of the machine; everything here is the same in every replay.
 * C: the handles of its cells, O, T and R: the data of its outputs, timers and reference tables, E: the exchanges of its effects, by name.
 */
export interface Context<
  C = Record<string, unknown>,
  O = Record<string, unknown>,
  T = Record<string, unknown>,
  R = Record<string, unknown>,
  E = Record<string, Exchange>,
> {
  readonly key: string;
  /** The event's time, the time that the timer was set for, or the log time of the entry that brought the result. */
  readonly now: number;
  /** The shard's watermark; `undefined` before the first event. */
  readonly watermark: number | undefined;
  /** The greatest log timestamp seen so far. */
  readonly processingTime: number;
  /** `<partition>:<sequence>.<index>` of the entry being folded. */
  readonly position: string;
  readonly state: { readonly [K in keyof C]: C[K] };
  /** Emits an output when the handler returns. Gives its id, `<job>.<partition>.<k>`. */
  readonly out: { readonly [K in keyof O]: (data: O[K], options?: OutputOptions) => string };
  readonly timers: { readonly [K in keyof T]: TimerHandle<T[K]> };
  readonly reference: { readonly [K in keyof R]: ReferenceLookup<R[K]> };
  readonly effects: EffectHandles<E>;
  /** A number in [0, 1), the same in every replay. */
  random(): number;
  /** A version 4 UUID, the same in every replay. */
  uuid(): string;
  /** SHA-256 of the text's UTF-8, as 64 hex digits: for ids that are a function of what they name. */
  sha256(text: string): string;
  /**
   * Emits `tidemark.quality`: a finding about the data that stops nothing. `rule` is lower-case words joined by "-".
   * `eventId` says which event it is about where that is not the one in hand, default the cause of the call.
   */
  quality(rule: string, detail: object, eventId?: string): void;
  /** Emits `tidemark.audit`: what was decided, for whoever asks later. `what` is words joined by dots. */
  audit(what: string, detail: object): void;
  /**
   * Adds one to the job's metric `tidemark.alerts.emitted`, or to `tidemark.alerts.suppressed` for an alert that is not
   * emitted because it was before. Taken back with everything else when the handler fails.
   */
  count(what: CountName): void;
  /** Rolls this handler back and sends the event to quarantine; the event is forgotten, so that it may come again. */
  quarantine(code: string, reason?: string): never;
}

/** What handlers count for operators. */
export type CountName = "alerts.emitted" | "alerts.suppressed";

/** What an actor declares, as records; for naming its context before there is the actor. */
interface Declared {
  readonly state?: Readonly<Record<string, unknown>>;
  readonly out?: Readonly<Record<string, unknown>>;
  readonly timers?: Readonly<Record<string, unknown>>;
  readonly reference?: Readonly<Record<string, unknown>>;
}

/** The context of the handlers of an actor that declares `D`, for handlers that lie in modules of their own. */
export type ContextOf<D extends Declared> = Context<
  { [K in keyof D["state"]]: D["state"][K] extends Cell<infer H> ? H : never },
  { [K in keyof D["out"]]: D["out"][K] extends OutputType<infer T> ? T : never },
  { [K in keyof D["timers"]]: D["timers"][K] extends TimerType<infer T> ? T : never },
  { [K in keyof D["reference"]]: D["reference"][K] extends ReferenceTable<infer T> ? T : never },
  None
>;

type EventHandlers<Ctx, I> = { readonly [K in keyof I]: (ctx: Ctx, event: DeepReadonly<I[K]>, info: EventInfo) => void };
type TimerHandlers<Ctx, T> = { readonly [K in keyof T]: (ctx: Ctx, timer: FiredTimer<T[K]>) => void };
/** What a handle fires; `never` where it is no operator's. */
type FiredBy<H> = H extends Fires<infer F> ? (unknown extends F ? never : F) : never;
/** An operator whose cell has no handler is only read. */
type OperatorHandlers<Ctx, C> = {
  readonly [K in keyof C as [FiredBy<C[K]>] extends [never] ? never : K]?: (ctx: Ctx, fired: FiredBy<C[K]>) => void;
};
type Handlers<Ctx, I, T, E, C> = EventHandlers<Ctx, I> & TimerHandlers<Ctx, T> & ResultHandlers<Ctx, E> & OperatorHandlers<Ctx, C>;

/**
 * By version: what the actor's state of the version before becomes. Gets and gives plain values by cell: what `value`,
 * `counter`, `map` (an object), `list` and `set` (arrays) show in the API; a cell that was empty is absent. Called once
 * for each key, when a handler of the new version first needs it; a cell that it leaves out is emptied.
 */
export type Migrations = Readonly<Record<number, Migration["step"]>>;

/** As a method, so that a step may say which cells it expects of the version before. */
interface Migration {
  step(old: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
}

export interface ActorOptions<I, C, O, T, R, E> {
  /** Raise it with every change of behaviour. Default 1. */
  readonly version?: number;
  readonly in: { readonly [K in keyof I]: Stream<I[K]> };
  readonly out?: { readonly [K in keyof O]: OutputType<O[K]> };
  readonly state?: { readonly [K in keyof C]: Cell<C[K]> };
  readonly timers?: { readonly [K in keyof T]: TimerType<T[K]> };
  /** Tables that its handlers look things up in. */
  readonly reference?: { readonly [K in keyof R]: ReferenceTable<R[K]> };
  readonly effects?: { readonly [K in keyof E]: Effect<E[K]> };
  readonly on: NoInfer<Handlers<Context<C, O, T, R, E>, I, T, E, C>>;
  /** Questions about the committed state, by name, for the API and the test kit. */
  readonly queries?: NoInfer<Readonly<Record<string, Query<C>>>>;
  readonly migrate?: Migrations;
  /** Called for an event behind the allowed lateness. Without it the event goes to `tidemark.late`. */
  readonly late?: NoInfer<(ctx: Context<C, O, T, R, E>, event: DeepReadonly<I[keyof I]>, info: EventInfo) => void>;
}

/** What an actor declares, as types by name: the data of its streams, outputs and timers, and the handles of its cells. */
export interface ActorShape {
  readonly in: unknown;
  readonly state: unknown;
  readonly out: unknown;
  readonly timers: unknown;
  readonly effects: unknown;
}

type Untyped = Readonly<Record<keyof ActorShape, Readonly<Record<string, unknown>>>>;

/** An actor as the fold sees it: names resolved to numbers, handlers untyped. `S` is for those who ask from outside, such as tests. */
export interface Actor<S extends ActorShape = Untyped> {
  readonly kind: "actor";
  /** Carries the types; there is no such field at run time. */
  readonly shape?: S;
  readonly name: string;
  readonly version: number;
  readonly streams: readonly (Stream<unknown> & { readonly name: string; readonly handler: Handler })[];
  /** `handler`: of an operator that is heard. */
  readonly cells: readonly (Cell<unknown> & { readonly name: string; readonly handler: FiredHandler | undefined })[];
  readonly outputs: readonly (OutputType<unknown> & { readonly name: string })[];
  /** Also the alarms of operators, which have no handler, and what effects need. */
  readonly timers: readonly DeclaredTimer[];
  readonly references: readonly { readonly name: string; readonly table: ReferenceTable<unknown> }[];
  readonly effects: readonly DeclaredEffect[];
  readonly late: Handler | undefined;
  readonly queries: Readonly<Record<string, UntypedQuery>>;
  readonly migrate: Readonly<Record<number, (old: Readonly<Record<string, unknown>>) => unknown>>;
  /** Of a flow, for drawings. */
  readonly steps?: readonly DrawnStep[];
}

/** `effect`: whose it is, where it is neither declared nor an operator's. */
export type DeclaredTimer = Omit<TimerType<unknown>, "kind"> & {
  readonly name: string;
  readonly handler: TimerHandler | undefined;
  readonly effect?: string;
};

export type Handler = (ctx: Context, event: never, info: EventInfo) => unknown;
export type TimerHandler = (ctx: Context, timer: FiredTimer<unknown>) => unknown;
export type FiredHandler = (ctx: Context, fired: unknown) => unknown;

const NAME = /^[a-z][a-z0-9-]{0,30}$/;
const MEMBER = /^[A-Za-z][A-Za-z0-9_]{0,62}$/;

export function actor<I, C = None, O = None, T = None, R = None, E = None>(
  name: string,
  options: ActorOptions<I, C, O, T, R, E>,
): Actor<{
  readonly in: NoInfer<I>;
  readonly state: NoInfer<C>;
  readonly out: NoInfer<O>;
  readonly timers: NoInfer<T>;
  readonly effects: NoInfer<E>;
}> {
  if (!isName(name)) throw new TypeError(`actor "${name}": a name matches ${NAME}.`);
  const handlers = options.on as Readonly<Record<string, unknown>>;
  const { effects = {}, timers = {} } = options;
  const members = [options.in, options.state ?? {}, options.out ?? {}, timers, effects, options.reference ?? {}].flatMap(Object.keys);
  for (const member of members) {
    if (!MEMBER.test(member)) throw new TypeError(`actor "${name}": the name "${member}" does not match ${MEMBER}.`);
  }
  const cells = Object.entries(options.state ?? {}).map(([member, cell]) => ({ ...(cell as Cell<unknown>), name: member }));
  const operators = cells.filter(({ operator }) => operator !== undefined);
  const answered = [...[options.in, timers, effects].flatMap((part) => Object.keys(part)), ...operators.map((cell) => cell.name)];
  const known = new Set(answered);
  for (const handled of Object.keys(handlers)) {
    if (!known.has(handled))
      throw new TypeError(`actor "${name}": on.${handled} handles nothing: no stream, timer, effect or operator has that name.`);
  }
  if (known.size !== answered.length) {
    throw new TypeError(`actor "${name}": of its streams, timers, effects and operators two share a name. Rename one.`);
  }
  const handler = (member: string): unknown => {
    const found = handlers[member];
    if (typeof found !== "function") throw new TypeError(`actor "${name}": on.${member} is missing.`);
    return found;
  };
  const version = options.version ?? 1;
  if (!Number.isSafeInteger(version) || version < 1) throw new TypeError(`actor "${name}": version is a whole number from 1.`);
  const declared = declaredEffects(name, effects, handlers);
  return {
    kind: "actor",
    name,
    version,
    streams: Object.entries(options.in).map(([member, source]) => ({
      ...(source as Stream<unknown>),
      name: member,
      handler: handler(member) as Handler,
    })),
    cells: cells.map((cell) => ({
      ...cell,
      handler: handlers[cell.name] === undefined ? undefined : (handler(cell.name) as FiredHandler),
    })),
    outputs: Object.entries(options.out ?? {}).map(([member, type]) => ({ ...(type as OutputType<unknown>), name: member })),
    timers: [
      ...Object.entries(timers).map(([member, type]) => ({
        ...(type as TimerType<unknown>),
        name: member,
        handler: handler(member) as TimerHandler,
      })),
      ...operators.map((cell) => ({ ...timer(cell.operator!.clock), name: cell.name, handler: undefined })),
      ...effectTimers(declared),
    ],
    references: Object.entries(options.reference ?? {}).map(([member, table]) => ({
      name: member,
      table: table as ReferenceTable<unknown>,
    })),
    effects: declared,
    late: options.late as Handler | undefined,
    queries: queriesOf(name, options.queries ?? {}) as Actor["queries"],
    migrate: migrationsOf(name, version, options.migrate ?? {}) as Actor["migrate"],
  };
}

function queriesOf(name: string, queries: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  for (const [member, query] of Object.entries(queries)) {
    if (!MEMBER.test(member)) throw new TypeError(`actor "${name}": the query "${member}" does not match ${MEMBER}.`);
    if (typeof query !== "function") throw new TypeError(`actor "${name}": queries.${member} is no function.`);
  }
  return queries;
}

function migrationsOf(name: string, version: number, migrations: Migrations): Migrations {
  for (const [to, step] of Object.entries(migrations)) {
    if (!(Number(to) >= 2 && Number(to) <= version))
      throw new TypeError(`actor "${name}": migrate.${to} leads to no version from 2 to ${version}.`);
    if (typeof step !== "function") throw new TypeError(`actor "${name}": migrate.${to} is no function.`);
  }
  return migrations;
}

/** Whether a text can name a log, job, actor or table. */
export function isName(name: string): boolean {
  return NAME.test(name);
}
