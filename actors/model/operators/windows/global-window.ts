/**
 * The global window: everything of a key, for ever, or since it last fired. It is never over; a trigger says when it fires:
 * at every so many-th element, at every so much time, or both.
 */
import { type Cell, type CellStore, defineCell } from "../../cell.ts";
import { schemaOf } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { instantOf } from "../instant.ts";
import { type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { type Aggregates, type ElementOf, type Gathered, type Gathering, gathering, type ResultsOf } from "./gathered.ts";
import { checkGroups, groupOf, type Span, SpanTable, spanSchema, spansOf } from "./span-table.ts";
import type { AddOptions, WindowHandle, WindowOptions } from "./window-options.ts";

export interface GlobalOptions<T> extends Pick<WindowOptions<T>, "by" | "clock"> {
  /** Fires at every so many-th element since it was last emptied. */
  readonly everyEvents?: number;
  /** Fires when time reaches a multiple of this, counted from the epoch, and elements have come since it last did. */
  readonly every?: string | number;
  /** Empties it when it fires. Default false. */
  readonly purge?: boolean;
}

/** `start` is 0: a group has one. */
interface Total extends Span {
  readonly first: number;
  readonly last: number;
  readonly events: number;
  readonly gathered: Gathered;
  /** Elements have come since time last fired it. */
  readonly due: boolean;
}

interface Spec {
  readonly gather: Gathering;
  readonly groupOf: ((element: unknown) => unknown) | undefined;
  readonly everyEvents: number | undefined;
  readonly everyMs: number | undefined;
  readonly purge: boolean;
}

/** `globalWindow({ total: sum((t: Trade) => t.price) }, { everyEvents: 1_000 })`; without a trigger it is only read. */
export function globalWindow<const A extends Aggregates, E extends ElementOf<A> = ElementOf<A>>(
  aggregates: A,
  options: GlobalOptions<E> = {},
): Cell<WindowHandle<E, ResultsOf<A>>> {
  const { clock = "event", by, everyEvents, every, purge = false } = options;
  const everyMs = every === undefined ? undefined : durationMs(every, "globalWindow: every");
  if (everyMs === 0) throw new TypeError("globalWindow: every is at least 1 ms.");
  if (everyEvents !== undefined && !(Number.isSafeInteger(everyEvents) && everyEvents >= 1))
    throw new TypeError("globalWindow: everyEvents is a whole number from 1.");
  const gather = gathering("globalWindow", aggregates);
  const spec: Spec = { gather, groupOf: by as Spec["groupOf"], everyEvents, everyMs, purge };
  const config = { kind: "global", clock, aggregates: gather.config };
  const integer = { type: "integer" };
  const properties = { first: integer, last: integer, events: integer, gathered: gather.json, due: { type: "boolean" } };
  const schema = schemaOf(spanSchema(properties, Object.keys(properties)));
  return defineCell({
    kind: "operator",
    slot: schema,
    entry: schema,
    operator: {
      clock,
      config,
      ring: (store, host) => new GlobalWindow(spec, store, host).ring(),
      show: (view) =>
        spansOf<Total>(view).map(({ by: group, ...one }) => ({ ...(group === "" ? {} : { by: group }), ...shown(spec, one) })),
    },
    bind: (store, host) => new GlobalWindow(spec, store, host) as unknown as WindowHandle<E, ResultsOf<A>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class GlobalWindow {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;
  readonly #groups: SpanTable<Total>;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
    this.#groups = new SpanTable(store);
  }

  add(element: unknown, options?: AddOptions): void {
    const { gather, groupOf: by, everyEvents, everyMs } = this.#spec;
    const host = this.#host;
    const time = instantOf(options?.time, host.time, this.#store.path);
    const group = by === undefined ? "" : groupOf(by(element), this.#store.path);
    const known = this.#groups.get(0, group);
    if (known === undefined) checkGroups(this.#store, group);
    const next: Total = {
      start: 0,
      by: group,
      first: Math.min(time, known?.first ?? time),
      last: Math.max(time, known?.last ?? time),
      events: (known?.events ?? 0) + 1,
      gathered: gather.add(known?.gathered, element, time),
      due: true,
    };
    this.#groups.put(next);
    if (!host.heard) return;
    if (everyEvents !== undefined && next.events % everyEvents === 0) this.#fire(next, next.due);
    if (everyMs !== undefined) wakeBy(host, Math.floor(Math.max(time, host.reached) / everyMs) * everyMs + everyMs);
  }

  current({ by = "" }: { readonly by?: string } = {}): object | undefined {
    const known = this.#groups.get(0, by);
    return known === undefined ? undefined : { by, ...shown(this.#spec, known) };
  }

  clear(): void {
    this.#store.clear();
    this.#host.setAlarm(undefined);
  }

  ring(): void {
    for (const { by } of this.#groups.all()) {
      // Read anew: the handler of one group may add to another.
      const one = this.#groups.get(0, by);
      if (one?.due) this.#fire(one, false);
    }
  }

  #fire(total: Total, due: boolean): void {
    if (this.#spec.purge) this.#groups.delete(total);
    else this.#groups.put({ ...total, due });
    this.#host.fire(() => ({ by: total.by, ...shown(this.#spec, total), revision: 0, early: false }), this.#host.time);
  }
}

/** The greatest time is in it, so its end is behind that. */
function shown({ gather }: Spec, { first, last, events, gathered }: Omit<Total, "by">): object {
  return { start: first, end: last + 1, events, ...gather.result(gathered) };
}
