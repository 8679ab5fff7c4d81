/**
 * Session windows: elements that follow each other closely. Two of them lie in one session when no more than the gap is
 * between them, the gap itself included; an element between two sessions joins them. A session begins with its first
 * element, ends with its last, and is over once nothing can join it any more: when time has come beyond the last one by
 * more than the gap. An element that joins a session that has fired makes it fire again with the next revision: at once,
 * or, where it lasts longer now, when it is over again.
 */
import { type Cell, type CellStore, defineCell } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import { schemaOf } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { instantOf } from "../instant.ts";
import { isOver, type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { type Aggregates, type ElementOf, type Gathered, type Gathering, gathering, type ResultsOf } from "./gathered.ts";
import { groupOf, type Span, SpanTable, spanSchema, spansOf } from "./span-table.ts";
import {
  type AddOptions,
  keptUntil,
  type Lateness,
  latenessOf,
  mayChange,
  refuseLate,
  type WindowHandle,
  type WindowOptions,
} from "./window-options.ts";

interface Session extends Span {
  readonly last: number;
  readonly events: number;
  readonly gathered: Gathered;
  /** How often it has fired, or the most of those that it was made of. */
  readonly fired: number;
  /** It has changed since. */
  readonly due: boolean;
  /** Id of the event that changed it last: what its outputs come from, whichever session the alarm was set for. */
  readonly cause: string;
}

interface Spec {
  readonly gapMs: number;
  readonly gather: Gathering;
  readonly groupOf: ((element: unknown) => unknown) | undefined;
  readonly lateness: Lateness;
}

/** Sessions of one operator that can still change. */
const SESSIONS_MAX = 10_000;

/** Sessions with at most `gap` between two elements: `session("30m", { pages: collect((v: View) => v.url) })`. */
export function session<const A extends Aggregates, E extends ElementOf<A> = ElementOf<A>>(
  gap: string | number,
  aggregates: A,
  options: WindowOptions<E> = {},
): Cell<WindowHandle<E, ResultsOf<A>>> {
  const gapMs = durationMs(gap, "session: gap");
  const { clock = "event", by } = options;
  const gather = gathering("session", aggregates);
  const lateness = latenessOf("session", options);
  const spec: Spec = { gapMs, gather, groupOf: by as Spec["groupOf"], lateness };
  const config = {
    kind: "session",
    gapMs,
    clock,
    aggregates: gather.config,
    late: lateness.policy,
    allowedMs: lateness.allowedMs ?? null,
  };
  const integer = { type: "integer" };
  const properties = {
    last: integer,
    events: integer,
    gathered: gather.json,
    fired: integer,
    due: { type: "boolean" },
    cause: { type: "string" },
  };
  const schema = schemaOf(spanSchema(properties, Object.keys(properties)));
  return defineCell({
    kind: "operator",
    slot: schema,
    entry: schema,
    operator: {
      clock,
      config,
      ring: (store, host) => new Sessions(spec, store, host).ring(),
      show: (view) => spansOf<Session>(view).map((one) => shown(spec, one)),
    },
    bind: (store, host) => new Sessions(spec, store, host) as unknown as WindowHandle<E, ResultsOf<A>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class Sessions {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;
  readonly #sessions: SpanTable<Session>;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
    this.#sessions = new SpanTable(store);
  }

  add(element: unknown, options?: AddOptions): void {
    const { groupOf: by, lateness } = this.#spec;
    const host = this.#host;
    const time = instantOf(options?.time, host.time, this.#store.path);
    const group = by === undefined ? "" : groupOf(by(element), this.#store.path);
    const joined = this.#around(time, group);
    const start = Math.min(time, ...joined.map((one) => one.start));
    const last = Math.max(time, ...joined.map((one) => one.last));
    const over = isOver(host, this.#end(last));
    if (over && !mayChange(this.#end(last), lateness, host)) {
      refuseLate(lateness, host);
      return;
    }
    if (joined.length === 0 && this.#store.count() >= SESSIONS_MAX)
      throw new HandlerError(
        "TOO_MANY_SESSIONS",
        `${this.#store.path}: ${SESSIONS_MAX} sessions can still change. Shorten the allowed lateness.`,
      );
    const next: Session = {
      start,
      by: group,
      last,
      events: joined.reduce((sum, { events }) => sum + events, 1),
      gathered: this.#gather(joined, element, time),
      fired: Math.max(0, ...joined.map(({ fired }) => fired)),
      due: true,
      cause: host.cause,
    };
    for (const one of joined) if (one.start !== start) this.#sessions.delete(one);
    this.#sessions.put(next);
    if (over && host.heard) this.#fire(next);
    const kept = this.#sessions.get(start, group);
    if (kept !== undefined) wakeBy(host, this.#nextWake(kept));
  }

  current({ by = "", time }: { readonly by?: string; readonly time?: number } = {}): object | undefined {
    const at = instantOf(time, this.#host.time, this.#store.path);
    const found = this.#around(at, by)[0];
    return found === undefined ? undefined : this.#window(found);
  }

  clear(): void {
    this.#store.clear();
    this.#host.setAlarm(undefined);
  }

  /** Time has reached the alarm: sessions that are over fire, and those that cannot change any more go. */
  ring(): void {
    const host = this.#host;
    const all = this.#sessions.all();
    for (const { start, by } of all) {
      // Read anew: the handler of one session may add to another.
      const one = this.#sessions.get(start, by);
      if (one?.due && host.heard && this.#end(one.last) <= host.reached) this.#fire(one);
    }
    for (const one of this.#sessions.all()) {
      const at = this.#nextWake(one);
      if (at <= host.reached) this.#sessions.delete(one);
      else wakeBy(host, at);
    }
  }

  #nextWake({ last, due }: Session): number {
    const end = this.#end(last);
    return due && this.#host.heard && end > this.#host.reached ? end : keptUntil(end, this.#spec.lateness, this.#host);
  }

  #fire(one: Session): void {
    this.#sessions.put({ ...one, fired: one.fired + 1, due: false });
    this.#host.fire(() => ({ ...this.#window(one), revision: one.fired, early: false }), one.last, one.cause);
  }

  #window({ start, last, by, events, gathered }: Session): object {
    return { start, end: last, by, events, ...this.#spec.gather.result(gathered) };
  }

  /** Sessions that an element of that time lies in or next to, in order; at most two. */
  #around(time: number, group: string): Session[] {
    const { gapMs } = this.#spec;
    return this.#sessions.all().filter(({ start, last, by }) => by === group && start - gapMs <= time && time <= last + gapMs);
  }

  /** The element goes into the session that began before it; one that begins behind it follows. */
  #gather(joined: readonly Session[], element: unknown, time: number): Gathered {
    const { gather } = this.#spec;
    const earlier = joined.filter(({ start }) => start <= time);
    const later = joined.filter(({ start }) => start > time);
    const grown = gather.add(earlier.at(-1)?.gathered, element, time);
    return gather.merge([grown, ...later.map(({ gathered }) => gathered)]);
  }

  /** The first instant at which nothing can join any more. */
  #end(last: number): number {
    return last + this.#spec.gapMs + 1;
  }
}

function shown({ gather }: Spec, { start, last, by, events, gathered }: Session): unknown {
  return { start, end: last, ...(by === "" ? {} : { by }), events, ...gather.result(gathered) };
}
