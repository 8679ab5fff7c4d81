/**
 * Effects: calls to the outside that a handler asks for. Asking gives no answer: it records a call, and the result
 * comes back later as an entry of the log, to the handlers `done` and `failed` of the same name.
 */
import { Type } from "typebox";
import type { Context } from "./actor.ts";
import { type Budget, budgetOf } from "./budget.ts";
import type { Clock } from "./clock.ts";
import type { DeepReadonly } from "./readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf } from "./schema.ts";
import { DAY_MS, durationMs } from "./time.ts";

/** What goes out and what comes back. */
export interface Exchange {
  readonly input: unknown;
  readonly output: unknown;
}
type InputOf<X> = X extends { readonly input: infer I } ? I : never;
type OutputOf<X> = X extends { readonly output: infer O } ? O : never;

export type HttpMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Whom a call goes to, for whoever makes it. */
export type Callee =
  | { readonly kind: "infer"; readonly model: string; readonly residency?: string; readonly tenant?: string }
  | { readonly kind: "http"; readonly url: string; readonly method: HttpMethod; readonly mayRepeat: boolean };

export interface Effect<X> {
  readonly kind: "effect";
  readonly callee: Callee;
  /** Callee as a text; part of what a result must match. */
  readonly target: string;
  readonly input: Schema<InputOf<X>>;
  readonly output: Schema<OutputOf<X>>;
  readonly timeoutMs: number;
  /** `undefined` without one. */
  readonly sloMs: number | undefined;
  readonly hold: boolean;
  readonly budget: Budget | undefined;
}

export interface EffectOptions<I extends AnySchema, O extends AnySchema> {
  readonly input: I;
  /** A result that it refuses reaches `failed`, with the code RESULT_SCHEMA. */
  readonly output: O;
  /** How long the call may take from the log time at which it was asked for: 1 ms to 24 h. */
  readonly timeout: string | number;
  /**
   * How long an answer may take before `breached` is told, 1 ms to the timeout. It is an alarm and no result: the
   * answer still comes, to `done` or `failed`.
   */
  readonly slo?: string | number;
  /**
   * While such a call waits, the key's later events and its timers are kept back, and run in order when it was answered.
   * Default false.
   */
  readonly hold?: boolean;
  /**
   * What the calls of a key may cost: `{ units: 1000, per: "1d", reserve: 10 }`. Asking takes `reserve`, the most that
   * one call costs; the answer gives back what it did not cost. Beyond it asking throws BUDGET_EXCEEDED.
   */
  readonly budget?: { readonly units: number; readonly per: string | number; readonly reserve: number };
}

export interface InferOptions<I extends AnySchema, O extends AnySchema> extends EffectOptions<I, O> {
  /** Tag of where the input may go, as `eu`: a server in another region is not asked. The node's settings say which regions it means. */
  readonly residency?: string;
  /** For whom it is asked: limits and budgets by tenant count for it. */
  readonly tenant?: string;
}

export interface HttpOptions<I extends AnySchema, O extends AnySchema> extends EffectOptions<I, O> {
  /** Default POST. */
  readonly method?: HttpMethod;
  /**
   * Whether an attempt that ended without an answer, or with a status that may pass, may be made again. Default: true
   * for GET, PUT and DELETE. It is no promise: any call may repeat after a crash.
   */
  readonly mayRepeat?: boolean;
}

/** The types of an effect, of its schemas. */
type ExchangeOf<I extends AnySchema, O extends AnySchema> = { readonly input: Infer<I>; readonly output: Infer<O> };

/**
 * Asks for effects of an actor, by name; each gives the call's id. Throws HandlerError: EFFECT_SCHEMA, EFFECT_TOO_LARGE,
 * TOO_MANY_CALLS, and BUDGET_EXCEEDED, whose `exhausted` is `key`, `tenant` or `model`.
 */
export type EffectHandles<E> = { readonly [K in keyof E]: EffectHandle<InputOf<E[K]>> };

interface EffectHandle<I> {
  (input: DeepReadonly<I>): string;
  /** Units that may still be asked for: the least of what key, tenant and model have left; infinite without a budget. */
  left(): number;
}

/** A call whose result has come. */
export interface AnsweredCall<I> {
  readonly id: string;
  readonly input: DeepReadonly<I>;
  /** `<partition>:<sequence>.<index>` of the entry that was folded when it was asked for. */
  readonly requestedAt: string;
  /** `ctx.now` of the handler that asked. */
  readonly now: number;
  /** Of a call to a model that was in force: who answered, and how. */
  readonly inference?: InferenceInfo;
  /** Of an effect with an `slo`: whether that had passed before the answer came. */
  readonly sloBreached?: boolean;
}

/** What is known of an inference besides its result. */
export interface InferenceInfo {
  /** Model and version that answered: the one in force when it was asked, or its fallback. */
  readonly model: string;
  readonly version: number;
  /** From 0 to 1; `null` for a model that gives none. */
  readonly confidence: number | null;
  /** False when the confidence is below the least one that the version in force allows: not to be acted on by itself. */
  readonly actionable: boolean;
  readonly latencyMs: number;
  readonly cached: boolean;
  /** What it cost, in the model's own unit: tokens, or calls. */
  readonly units: number;
}

export interface CallFailure {
  readonly code: string;
  readonly message: string;
}

/** What an actor does with the results of each of its effects. */
export type ResultHandlers<Ctx, E> = {
  readonly [K in keyof E]: {
    readonly done: (ctx: Ctx, result: DeepReadonly<OutputOf<E[K]>>, call: AnsweredCall<InputOf<E[K]>>) => void;
    readonly failed: (ctx: Ctx, failure: CallFailure, call: AnsweredCall<InputOf<E[K]>>) => void;
    /** Called when the effect's `slo` has passed and the call still waits. */
    readonly breached?: (ctx: Ctx, call: AnsweredCall<InputOf<E[K]>>) => void;
  };
};

/** An effect of an actor as the fold sees it. */
export interface DeclaredEffect extends Effect<Exchange> {
  readonly name: string;
  readonly done: (ctx: Context, result: unknown, call: AnsweredCall<unknown>) => unknown;
  readonly failed: (ctx: Context, failure: CallFailure, call: AnsweredCall<unknown>) => unknown;
  readonly breached: ((ctx: Context, call: AnsweredCall<unknown>) => unknown) | undefined;
}

/** A timer that belongs to an effect: it has no handle, and a name that no timer of an actor can have. */
export interface EffectTimer {
  readonly name: string;
  readonly clock: Clock;
  readonly schema: Schema<unknown> | undefined;
  readonly handler: undefined;
  /** Of which effect. */
  readonly effect: string;
}

const MODEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const METHODS: readonly HttpMethod[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const URL_MAX_CHARS = 2_048;
const TIMEOUT_MAX_MS = DAY_MS;
const TAG = /^[a-z][a-z0-9-]{0,30}$/;
const Spent = schemaOf(Type.Object({ used: Type.Number(), reserved: Type.Integer() }));

/** Declares a call to a model: `infer("fraud", { input: Features, output: Score, timeout: "2s" })`. Throws TypeError for a bad declaration. */
export function infer<I extends AnySchema, O extends AnySchema>(model: string, options: InferOptions<I, O>): Effect<ExchangeOf<I, O>> {
  if (!MODEL.test(model)) throw new TypeError(`infer "${model}": a model's name matches ${MODEL}.`);
  const { residency, tenant } = options;
  for (const [name, text] of Object.entries({ residency, tenant })) {
    if (text !== undefined && !TAG.test(text)) throw new TypeError(`infer "${model}": the ${name} "${text}" does not match ${TAG}.`);
  }
  const tags = { ...(residency === undefined ? {} : { residency }), ...(tenant === undefined ? {} : { tenant }) };
  return effectOf({ kind: "infer", model, ...tags }, `infer ${model}`, options);
}

/** Declares an HTTP request: `http("https://rates.example/v1", { input: Pair, output: Rate, timeout: "5s" })`. Throws TypeError for a bad declaration. */
export function http<I extends AnySchema, O extends AnySchema>(url: string, options: HttpOptions<I, O>): Effect<ExchangeOf<I, O>> {
  const { method = "POST" } = options;
  if (!METHODS.includes(method)) throw new TypeError(`http "${url}": the method "${method}" is none of ${METHODS.join(", ")}.`);
  const parsed = URL.canParse(url) && url.length <= URL_MAX_CHARS ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol))
    throw new TypeError(`http "${url}": give an http or https URL of at most ${URL_MAX_CHARS} characters.`);
  if (parsed.username !== "" || parsed.password !== "")
    throw new TypeError(`http "${parsed.host}": the URL has credentials in it, and it is written into state. Leave them out.`);
  const mayRepeat = options.mayRepeat ?? (method !== "POST" && method !== "PATCH");
  return effectOf({ kind: "http", url: parsed.href, method, mayRepeat }, `http ${method} ${parsed.href}`, options);
}

function effectOf<I extends AnySchema, O extends AnySchema>(
  callee: Callee,
  target: string,
  options: EffectOptions<I, O>,
): Effect<ExchangeOf<I, O>> {
  const timeoutMs = durationMs(options.timeout, `${target}: timeout`);
  if (timeoutMs < 1 || timeoutMs > TIMEOUT_MAX_MS) throw new TypeError(`${target}: a timeout is 1 ms to 24 h.`);
  const sloMs = options.slo === undefined ? undefined : durationMs(options.slo, `${target}: slo`);
  if (sloMs !== undefined && (sloMs < 1 || sloMs > timeoutMs)) throw new TypeError(`${target}: an slo is 1 ms to the timeout.`);
  const schemas = { input: schemaOf(options.input), output: schemaOf(options.output) };
  return {
    kind: "effect",
    callee,
    target,
    timeoutMs,
    sloMs,
    hold: options.hold ?? false,
    budget: options.budget === undefined ? undefined : budgetOf(options.budget, target),
    ...(schemas as unknown as Pick<Effect<ExchangeOf<I, O>>, "input" | "output">),
  };
}

/** Puts effects and their handlers together. Throws TypeError when a handler is missing. */
export function declaredEffects(
  actor: string,
  effects: Readonly<Record<string, unknown>>,
  handlers: Readonly<Record<string, unknown>>,
): readonly DeclaredEffect[] {
  return Object.entries(effects).map(([name, effect]) => {
    const { done, failed, breached } = (handlers[name] ?? {}) as Partial<DeclaredEffect>;
    if (typeof done !== "function") throw new TypeError(`actor "${actor}": on.${name}.done is missing.`);
    if (typeof failed !== "function") throw new TypeError(`actor "${actor}": on.${name}.failed is missing. Every call can fail.`);
    const declared = effect as Effect<Exchange>;
    if (breached !== undefined && typeof breached !== "function")
      throw new TypeError(`actor "${actor}": on.${name}.breached is no function.`);
    if (breached !== undefined && declared.sloMs === undefined)
      throw new TypeError(`actor "${actor}": on.${name}.breached is never called. Give the effect an slo.`);
    return { ...declared, name, done, failed, breached };
  });
}

/** Timers that effects need of their actor. */
export function effectTimers(effects: readonly DeclaredEffect[]): readonly EffectTimer[] {
  return effects.flatMap(({ name, sloMs, budget }) => {
    const own = { clock: "processing", handler: undefined, effect: name } as const;
    const slo = sloMs === undefined ? [] : [{ ...own, name: sloTimer(name), schema: undefined }];
    return budget === undefined ? slo : [...slo, { ...own, name: budgetTimer(name), schema: Spent }];
  });
}

/** Name of the timer at which a window of the effect's budget ends. Its data is what was spent in that window. */
export function budgetTimer(effect: string): string {
  return `${effect}.budget`;
}

/** Name of the timers that ring when the `slo` of a call of the effect has passed. */
export function sloTimer(effect: string): string {
  return `${effect}.slo`;
}
