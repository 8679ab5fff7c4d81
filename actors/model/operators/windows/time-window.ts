/**
 * Tumbling and sliding windows. Time is cut into panes, as long as the greatest common divisor of size and slide; an
 * element changes its pane and nothing else, and a window is put together from its panes when it is read or fired. So
 * an element costs the same whether it lies in one window or in thirty.
 *
 * Windows are [start, end), aligned to the epoch in UTC plus `offset`. One fires when it is over, if it holds anything;
 * an element that comes behind makes it fire again with the next revision. A pane is kept as long as a window that it
 * is part of can still change: at most (size + allowed lateness) / pane + 1 panes of each group.
 */
import type { CellStore, CellView } from "../../cell.ts";
import { type Cell, defineCell } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import { type AnySchema, schemaOf } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { instantOf } from "../instant.ts";
import { isOver, type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { type Aggregates, type ElementOf, type Gathered, type Gathering, gathering, type ResultsOf } from "./gathered.ts";
import { GROUPS_MAX, groupOf, type Span, SpanTable, spanSchema, spansOf } from "./span-table.ts";
import {
  type AddOptions,
  type EarlyOptions,
  keptUntil,
  type Lateness,
  latenessOf,
  mayChange,
  refuseLate,
  type WindowHandle,
  type WindowOptions,
} from "./window-options.ts";

export interface TimeWindowOptions<T> extends WindowOptions<T> {
  /** Moves the edges of all windows: "-1h" is not a duration, so write "23h" for a day that ends an hour early. Default 0. */
  readonly offset?: string | number;
  readonly early?: EarlyOptions;
}

/** `cause`: id of the event that came to it first. `revision`: of the window that ends with this pane; absent until that has changed behind its end. */
interface Pane extends Span {
  readonly cause: string;
  readonly events: number;
  readonly gathered?: Gathered;
  readonly revision?: number;
}

interface FilledPane extends Pane {
  readonly gathered: Gathered;
}

/** Windows of `size` side by side: `tumbling("5m", { count: count(), sum: sum((t: Transaction) => t.amount) })`. */
export function tumbling<const A extends Aggregates, E extends ElementOf<A> = ElementOf<A>>(
  size: string | number,
  aggregates: A,
  options: TimeWindowOptions<E> = {},
): Cell<WindowHandle<E, ResultsOf<A>>> {
  const sizeMs = durationMs(size, "tumbling: size");
  return timeWindow("tumbling", sizeMs, sizeMs, aggregates, options);
}

/** Windows of `size`, one every `slide`: `sliding("1h", "5m", { avg: avg((t: Transaction) => t.amount) })`. */
export function sliding<const A extends Aggregates, E extends ElementOf<A> = ElementOf<A>>(
  size: string | number,
  slide: string | number,
  aggregates: A,
  options: TimeWindowOptions<E> = {},
): Cell<WindowHandle<E, ResultsOf<A>>> {
  return timeWindow("sliding", durationMs(size, "sliding: size"), durationMs(slide, "sliding: slide"), aggregates, options);
}

const PANES_MAX = 10_000;
/** That an element which comes behind may change: each is told in one call. */
const WINDOWS_MAX = 500;

function timeWindow<A extends Aggregates, E>(
  kind: string,
  sizeMs: number,
  slideMs: number,
  aggregates: A,
  options: TimeWindowOptions<E>,
): Cell<WindowHandle<E, ResultsOf<A>>> {
  if (slideMs < 1 || slideMs > sizeMs) throw new TypeError(`${kind}: the slide is from 1 ms to the size.`);
  const paneMs = gcd(sizeMs, slideMs);
  if (sizeMs / paneMs > PANES_MAX) throw new TypeError(`${kind}: a window has at most ${PANES_MAX} panes. Take a longer slide.`);
  if (sizeMs / slideMs > WINDOWS_MAX)
    throw new TypeError(`${kind}: an element lies in at most ${WINDOWS_MAX} windows. Take a longer slide.`);
  const { clock = "event", by, early = {} } = options;
  if (early.everyEvents !== undefined && !(Number.isSafeInteger(early.everyEvents) && early.everyEvents >= 1))
    throw new TypeError(`${kind}: early.everyEvents is a whole number from 1.`);
  const gather = gathering(kind, aggregates);
  const offsetMs = durationMs(options.offset ?? 0, `${kind}: offset`) % slideMs;
  const everyMs = early.every === undefined ? undefined : durationMs(early.every, `${kind}: early.every`);
  if (everyMs === 0) throw new TypeError(`${kind}: early.every is at least 1 ms.`);
  const spec: Spec = {
    kind,
    sizeMs,
    slideMs,
    paneMs,
    offsetMs,
    gather,
    groupOf: by as Spec["groupOf"],
    lateness: latenessOf(kind, options),
    everyMs,
    everyEvents: early.everyEvents,
  };
  const { policy, allowedMs } = spec.lateness;
  const config = { kind, sizeMs, slideMs, offsetMs, clock, aggregates: gather.config, late: policy, allowedMs: allowedMs ?? null };
  const schema = schemaOf(paneSchema(gather));
  return defineCell({
    kind: "operator",
    slot: schema,
    entry: schema,
    operator: {
      clock,
      config,
      ring: (store, host) => new TimeWindow(spec, store, host).ring(),
      show: (view) => shownPanes(spec, view),
    },
    bind: (store, host) => new TimeWindow(spec, store, host) as unknown as WindowHandle<E, ResultsOf<A>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

interface Spec {
  readonly kind: string;
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly paneMs: number;
  readonly offsetMs: number;
  readonly gather: Gathering;
  readonly groupOf: ((element: unknown) => unknown) | undefined;
  readonly lateness: Lateness;
  readonly everyMs: number | undefined;
  readonly everyEvents: number | undefined;
}

class TimeWindow {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;
  readonly #panes: SpanTable<Pane>;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
    this.#panes = new SpanTable(store);
  }

  add(element: unknown, options?: AddOptions): void {
    const { gather, groupOf: by, lateness, paneMs, slideMs } = this.#spec;
    const host = this.#host;
    const time = instantOf(options?.time, host.time, this.#store.path);
    const start = this.#floor(time, paneMs);
    const group = by === undefined ? "" : groupOf(by(element), this.#store.path);
    const lastEnd = this.#lastEnd(start);
    const over: number[] = [];
    let pending: number | undefined;
    for (let end = this.#firstEnd(time); end <= lastEnd && pending === undefined; end += slideMs) {
      if (!isOver(host, end)) pending = end;
      else if (mayChange(end, lateness, host)) over.push(end);
    }
    if (pending === undefined && over.length === 0) {
      refuseLate(lateness, host);
      return;
    }
    const known = this.#panes.get(start, group);
    const before = over.map((end) => ({ end, fired: host.heard && this.#panesOf(end, group).length > 0 }));
    if (known === undefined) this.#checkGroups(group);
    const events = (known?.events ?? 0) + 1;
    const cause = known?.cause ?? host.cause;
    this.#panes.put({ ...known, start, by: group, cause, events, gathered: gather.add(known?.gathered, element, time) });
    if (host.heard) for (const { end, fired } of before) this.#fireAgain(end, group, fired);
    if (pending !== undefined && host.heard) {
      this.#fireEarly(pending, group);
      wakeBy(host, this.#nextEarly(pending, Math.max(host.reached, pending - this.#spec.sizeMs)) ?? pending);
    } else wakeBy(host, this.#goneAt(start));
  }

  current({ by = "", time }: { readonly by?: string; readonly time?: number } = {}): object | undefined {
    const end = this.#firstEnd(instantOf(time, this.#host.time, this.#store.path));
    const panes = this.#panesOf(end, by);
    return panes.length === 0 ? undefined : this.#window(end, by, panes);
  }

  clear(): void {
    this.#store.clear();
    this.#host.setAlarm(undefined);
  }

  /** Time has reached the alarm: windows that end there fire, and panes that nobody needs any more go. */
  ring(): void {
    const { slideMs, everyMs } = this.#spec;
    const host = this.#host;
    const at = host.reached;
    if (host.heard) {
      const ends = this.#floor(at, slideMs) === at;
      const early = everyMs !== undefined && at % everyMs === 0;
      for (const group of [...new Set(this.#panes.all().map(({ by }) => by))].sort()) {
        if (ends) this.#fire(at, group, { revision: 0, early: false }, true);
        if (early) this.#fire(this.#firstEnd(at), group, { revision: 0, early: true }, true);
      }
    }
    for (const pane of this.#panes.all()) {
      if (this.#goneAt(pane.start) <= at) this.#panes.delete(pane);
      else wakeBy(host, this.#nextWake(pane, at));
    }
  }

  /** When the pane next makes something happen, behind `at`. */
  #nextWake({ start, events }: Pane, at: number): number {
    const { slideMs, offsetMs, sizeMs } = this.#spec;
    const gone = this.#goneAt(start);
    if (!this.#host.heard || events === 0) return gone;
    const behind = Math.floor((at - offsetMs) / slideMs) * slideMs + slideMs + offsetMs;
    const end = Math.max(this.#firstEnd(start), behind);
    if (end > this.#lastEnd(start)) return gone;
    return this.#nextEarly(end, Math.max(at, end - sizeMs)) ?? end;
  }

  /** The first instant behind `from` and before `end` at which the window fires early. */
  #nextEarly(end: number, from: number): number | undefined {
    const { everyMs } = this.#spec;
    if (everyMs === undefined) return undefined;
    const at = Math.floor(from / everyMs) * everyMs + everyMs;
    return at < end ? at : undefined;
  }

  #fireEarly(end: number, group: string): void {
    const { everyEvents } = this.#spec;
    if (everyEvents !== undefined && eventsIn(this.#panesOf(end, group)) % everyEvents === 0)
      this.#fire(end, group, { revision: 0, early: true });
  }

  /** A window that was over before the element in hand came. */
  #fireAgain(end: number, group: string, fired: boolean): void {
    if (!fired) {
      this.#fire(end, group, { revision: 0, early: false });
      return;
    }
    const start = end - this.#spec.paneMs;
    const pane = this.#panes.get(start, group) ?? { start, by: group, cause: this.#host.cause, events: 0 };
    const revision = (pane.revision ?? 0) + 1;
    this.#panes.put({ ...pane, revision });
    this.#fire(end, group, { revision, early: false });
  }

  /** `rung`: because of its alarm; then it is for the event that came first to its first pane. */
  #fire(end: number, group: string, how: { readonly revision: number; readonly early: boolean }, rung = false): void {
    const panes = this.#panesOf(end, group);
    if (panes.length === 0) return;
    const time = how.early ? this.#host.time : end - 1;
    this.#host.fire(() => ({ ...this.#window(end, group, panes), ...how }), time, rung ? panes[0]!.cause : undefined);
  }

  #window(end: number, by: string, panes: readonly FilledPane[]): object {
    const { sizeMs, gather } = this.#spec;
    const gathered = gather.merge(panes.map((pane) => pane.gathered));
    return { start: end - sizeMs, end, by, events: eventsIn(panes), ...gather.result(gathered) };
  }

  /** Of the window that ends at `end`, those that hold something. */
  #panesOf(end: number, group: string): readonly FilledPane[] {
    return [...this.#panes.between(end - this.#spec.sizeMs, end, group)].filter(isFilled);
  }

  #checkGroups(group: string): void {
    if (group === "" || this.#store.count() < GROUPS_MAX) return;
    const groups = new Set(this.#panes.all().map(({ by }) => by));
    if (groups.size >= GROUPS_MAX && !groups.has(group))
      throw new HandlerError(
        "WINDOW_GROUPS",
        `${this.#store.path}: a window has at most ${GROUPS_MAX} groups. Make what "by" gives part of the key.`,
      );
  }

  #floor(time: number, step: number): number {
    const { offsetMs } = this.#spec;
    return Math.floor((time - offsetMs) / step) * step + offsetMs;
  }

  /** End of the window around `time` that ends first. */
  #firstEnd(time: number): number {
    return this.#floor(time, this.#spec.slideMs) + this.#spec.slideMs;
  }

  /** End of the last window that a pane is part of. */
  #lastEnd(start: number): number {
    return this.#floor(start + this.#spec.sizeMs, this.#spec.slideMs);
  }

  #goneAt(start: number): number {
    return keptUntil(this.#lastEnd(start), this.#spec.lateness, this.#host);
  }
}

function isFilled(pane: Pane): pane is FilledPane {
  return pane.gathered !== undefined;
}

function eventsIn(panes: readonly Pane[]): number {
  return panes.reduce((sum, { events }) => sum + events, 0);
}

function paneSchema(gather: Gathering): AnySchema {
  return spanSchema({ cause: { type: "string" }, events: { type: "integer" }, gathered: gather.json, revision: { type: "integer" } }, [
    "cause",
    "events",
  ]);
}

/** Panes with their results. */
function shownPanes({ gather, paneMs }: Spec, view: CellView): unknown {
  return spansOf<Pane>(view)
    .filter(({ gathered }) => gathered !== undefined)
    .map(({ start, by, events, gathered }) => ({
      start,
      end: start + paneMs,
      ...(by === "" ? {} : { by }),
      events,
      ...gather.result(gathered!),
    }));
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
