/**
 * A pattern as an operator. An event waits until the watermark has passed it, so that none can come before it any more;
 * then the matcher gets it, in the order of times and, of one time, of the log. One that is behind when it is added has
 * no place in that order: it is told late. The entries hold each event once, first as one that waits, then under the
 * matcher's number for as long as a partial match has it; the slot holds the partial matches.
 *
 * A condition that throws fails the alarm; then its event is passed over, as if it had not been added.
 */
import { type Cell, type CellStore, type CellView, defineCell } from "../cell.ts";
import { HandlerError } from "../handler-error.ts";
import { elementOf } from "../operators/element-check.ts";
import { instantOf } from "../operators/instant.ts";
import { type Fires, isOver, type OperatorHost, wakeBy } from "../operators/operator.ts";
import { rawContent, restoreRaw } from "../operators/raw-content.ts";
import { freeId, prefixRange, SAME_TIME_MAX } from "../operators/time-id.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf, storedSchema } from "../schema.ts";
import type { Declaration } from "./declaration.ts";
import { type Advance, advance, advanceTime, type Found, type MatcherState, NO_STATE, nextDeadline } from "./matcher.ts";
import { takenBy } from "./partial-match.ts";
import type { Matched, Pattern } from "./pattern.ts";
import { configOf, EventSchema, StateSchema } from "./stored-pattern.ts";

/** What is found: the events by step, and when the first and the last of them were. */
export type PatternFound<E, N extends string> = Matched<DeepReadonly<E>, N> & {
  readonly start: number;
  readonly end: number;
  /** It is no match: it lacked events when its time was over. Only with the option `timeouts`. */
  readonly timedOut: boolean;
};

export interface PatternHandle<E, N extends string> extends Fires<PatternFound<E, N>> {
  /** Events that wait for the watermark. */
  readonly waiting: number;
  /** Partial matches. */
  readonly size: number;
  /** `time`: when it happened, default `ctx.now`. */
  add(event: DeepReadonly<E>, options?: { readonly time?: number }): void;
  /** Forgets the events that wait and the partial matches. */
  clear(): void;
}

export interface PatternOptions {
  /** Hand on also what timed out. Default false. */
  readonly timeouts?: boolean;
  /** What becomes of an event that is behind: to `tidemark.late` (`side-output`, default), or counted as `lateDropped`. */
  readonly late?: "side-output" | "drop";
}

interface StoredEvent {
  readonly time: number;
  readonly event: unknown;
  /** Its id. */
  readonly cause: string;
}

/** Events that wait. */
const WAITING_MAX = 10_000;
/** Partial matches that the API shows. */
const SHOWN_MAX = 100;
/** Of the entries: what waits, in the order of times and of arrival, stands before what is kept, by number. */
const WAITING = "0";
const KEPT = "1";
const RESERVED = ["start", "end", "timedOut"];

/** Events by a schema, and the pattern that they are to match: `pattern(Login, begin("fail", { where: (e: Login) => … }).times(3))`. */
export function pattern<S extends AnySchema, N extends string>(
  schema: S,
  steps: Pattern<Infer<S>, N>,
  options: PatternOptions = {},
): Cell<PatternHandle<Infer<S>, N>> {
  const declaration = steps.declaration();
  const reserved = declaration.steps.find(({ name }) => RESERVED.includes(name));
  if (reserved !== undefined) throw new TypeError(`pattern: a step cannot be called "${reserved.name}": a match has that field.`);
  const { timeouts = false, late = "side-output" } = options;
  if (!["side-output", "drop"].includes(late)) throw new TypeError("pattern: late is side-output or drop.");
  const config = configOf(declaration, { timeouts, late });
  const events = schemaOf(schema);
  const spec: Spec = { declaration, events, timeouts, late };
  return defineCell({
    kind: "operator",
    slot: schemaOf(StateSchema),
    entry: schemaOf(storedSchema(EventSchema(events.json))),
    operator: {
      clock: "event",
      config,
      ring: (store, host) => new Matching(spec, store, host).ring(),
      show: (view) => shown(spec, view),
    },
    bind: (store, host) => new Matching(spec, store, host) as PatternHandle<Infer<S>, N>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

interface Spec extends Required<PatternOptions> {
  readonly events: Schema<unknown>;
  readonly declaration: Declaration;
}

class Matching {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
  }

  get waiting(): number {
    return [...this.#store.entries(prefixRange(WAITING))].length;
  }

  get size(): number {
    return stateIn(this.#store).partials.length;
  }

  add(event: unknown, options?: { readonly time?: number }): void {
    const host = this.#host;
    const time = instantOf(options?.time, host.time, this.#store.path);
    elementOf(this.#spec.events, event, this.#store.path);
    if (isOver(host, time + 1)) {
      if (this.#spec.late === "drop") host.countLate();
      else host.tellLate("pattern");
      return;
    }
    this.#store.setEntry(this.#freeId(time), { time, event, cause: host.cause });
    wakeBy(host, time + 1);
  }

  clear(): void {
    this.#store.clear();
    this.#host.setAlarm(undefined);
  }

  /** Time has reached the alarm. What a handler changes meanwhile counts: nothing is held from one event to the next. */
  ring(): void {
    const host = this.#host;
    for (const [id, entry] of this.#store.entries(prefixRange(WAITING))) {
      const waiting = entry as StoredEvent;
      if (waiting.time >= host.reached) break;
      this.#store.deleteEntry(id);
      this.#match(waiting);
    }
    const { declaration } = this.#spec;
    if (this.#deadline() <= host.reached) this.#settle(advanceTime(declaration, stateIn(this.#store), host.reached, this.#read), undefined);
    if (this.#deadline() < Infinity) wakeBy(host, this.#deadline());
    const [next] = this.#store.entries(prefixRange(WAITING));
    if (next !== undefined) wakeBy(host, (next[1] as StoredEvent).time + 1);
  }

  #deadline(): number {
    return nextDeadline(this.#spec.declaration, stateIn(this.#store)) ?? Infinity;
  }

  #match(waiting: StoredEvent): void {
    const { time, event: value } = waiting;
    let step: Advance;
    try {
      step = advance(this.#spec.declaration, stateIn(this.#store), { time, value }, this.#read);
    } catch (thrown) {
      if (this.#host.passingOver) return;
      throw thrown;
    }
    this.#settle(step, waiting);
  }

  /** Keeps what a step leaves and then hands on what it found. */
  #settle({ state, found, kept, released, dropped }: Advance, waiting: StoredEvent | undefined): void {
    const store = this.#store;
    const eventOf = (number: number): StoredEvent => (store.entry(keptId(number)) as StoredEvent | undefined) ?? waiting!;
    const fired = found
      .filter(({ timedOut }) => !timedOut || this.#spec.timeouts)
      .map((each) => ({ each, first: eventOf(each.numbers[0]!), last: eventOf(each.numbers.at(-1)!) }));
    for (const number of released) store.deleteEntry(keptId(number));
    if (kept !== undefined) store.setEntry(keptId(kept), waiting);
    if (state === NO_STATE) store.clearSlot();
    else store.setSlot(state);
    if (dropped > 0) this.#host.tellQuality("partial-matches-dropped", { dropped }, waiting?.cause);
    for (const { each, first, last } of fired) {
      const make = () => ({ ...each.events, start: first.time, end: last.time, timedOut: each.timedOut });
      this.#host.fire(make, knownAt(this.#spec.declaration, each, first), last.cause);
    }
  }

  readonly #read = (number: number): unknown => (this.#store.entry(keptId(number)) as StoredEvent).event;

  #freeId(time: number): string {
    const { path } = this.#store;
    if (this.#store.count() >= WAITING_MAX && this.waiting >= WAITING_MAX)
      throw new HandlerError("TOO_MANY_WAITING", `${path}: ${WAITING_MAX} events wait for the watermark. Make the key finer.`);
    const id = freeId(time, (one) => this.#store.entry(one) !== undefined, WAITING);
    if (id !== undefined) return id;
    throw new HandlerError("TOO_MANY_WAITING", `${path}: ${SAME_TIME_MAX} events of one time wait. Make the key finer.`);
  }
}

/** What an event made known is known at its time; what a deadline did, at the last instant before it. */
function knownAt({ withinMs }: Declaration, { at }: Found, first: StoredEvent): number {
  return withinMs !== undefined && at === first.time + withinMs ? at - 1 : at;
}

function stateIn(view: CellView): MatcherState {
  return (view.slot() as MatcherState | undefined) ?? NO_STATE;
}

function keptId(number: number): string {
  return KEPT + number.toString(36);
}

function shown({ declaration }: Spec, view: CellView): unknown {
  const { partials } = stateIn(view);
  const waiting = [...view.entries(prefixRange(WAITING))].map(([, entry]) => entry as StoredEvent);
  const read = (number: number): unknown => (view.entry(keptId(number)) as StoredEvent).event;
  return {
    waiting: waiting.map(({ time, event }) => ({ time, event })),
    partialMatches: partials.length,
    oldest: partials.slice(0, SHOWN_MAX).map((partial) => ({ start: partial.start, ...takenBy(declaration, partial, read) })),
  };
}
