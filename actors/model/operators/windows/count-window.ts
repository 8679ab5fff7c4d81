/**
 * Count windows: the last `size` elements, every `slide` of them. Elements count in the order of the log, whatever their
 * times; there is nothing to be late for. Like those of time, they share panes, each as long as the greatest common
 * divisor of both. Before there are `size` elements a sliding window fires with those that there are.
 */
import { type Cell, type CellStore, defineCell } from "../../cell.ts";
import { schemaOf } from "../../schema.ts";
import { instantOf } from "../instant.ts";
import type { OperatorHost } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { type Aggregates, type ElementOf, type Gathered, type Gathering, gathering, type ResultsOf } from "./gathered.ts";
import { checkGroups, groupOf, type Span, SpanTable, spanSchema, spansOf } from "./span-table.ts";
import type { AddOptions, WindowHandle, WindowOptions } from "./window-options.ts";

interface Pane {
  readonly first: number;
  readonly last: number;
  readonly events: number;
  readonly gathered: Gathered;
}

/** `start` is 0: a group has one. */
interface Counted extends Span {
  /** Elements so far. */
  readonly counted: number;
  /** The last of `size` elements, oldest first. */
  readonly panes: readonly Pane[];
}

interface Spec {
  readonly size: number;
  readonly slide: number;
  readonly pane: number;
  readonly gather: Gathering;
  readonly groupOf: ((element: unknown) => unknown) | undefined;
}

const PANES_MAX = 1_000;

/** Every `size` elements, or with `slide` the last `size` at every `slide`-th: `countWindow(100, { p99: quantile(0.99, …) })`. */
export function countWindow<const A extends Aggregates, E extends ElementOf<A> = ElementOf<A>>(
  size: number,
  aggregates: A,
  options: Pick<WindowOptions<E>, "by"> & { readonly slide?: number } = {},
): Cell<WindowHandle<E, ResultsOf<A>>> {
  const { by, slide = size } = options;
  if (!Number.isSafeInteger(size) || size < 1) throw new TypeError("countWindow: size is a whole number from 1.");
  if (!Number.isSafeInteger(slide) || slide < 1 || slide > size)
    throw new TypeError("countWindow: slide is a whole number from 1 to size.");
  const pane = gcd(size, slide);
  if (size / pane > PANES_MAX) throw new TypeError(`countWindow: a window has at most ${PANES_MAX} panes. Take a longer slide.`);
  const gather = gathering("countWindow", aggregates);
  const spec: Spec = { size, slide, pane, gather, groupOf: by as Spec["groupOf"] };
  const config = { kind: "count", size, slide, aggregates: gather.config };
  const integer = { type: "integer" };
  const properties = { first: integer, last: integer, events: integer, gathered: gather.json };
  const panes = { type: "array", items: { type: "object", properties, required: Object.keys(properties) } };
  const schema = schemaOf(spanSchema({ counted: integer, panes }, ["counted", "panes"]));
  return defineCell({
    kind: "operator",
    slot: schema,
    entry: schema,
    operator: { clock: "event", config, ring: () => {}, show: (view) => spansOf<Counted>(view).map((one) => shown(spec, one)) },
    bind: (store, host) => new CountWindow(spec, store, host) as unknown as WindowHandle<E, ResultsOf<A>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class CountWindow {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;
  readonly #groups: SpanTable<Counted>;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
    this.#groups = new SpanTable(store);
  }

  add(element: unknown, options?: AddOptions): void {
    const { size, slide, pane, gather, groupOf: by } = this.#spec;
    const time = instantOf(options?.time, this.#host.time, this.#store.path);
    const group = by === undefined ? "" : groupOf(by(element), this.#store.path);
    const found = this.#groups.get(0, group);
    if (found === undefined) checkGroups(this.#store, group);
    const known = found ?? { counted: 0, panes: [] };
    const panes = [...known.panes];
    const open = known.counted % pane === 0 ? undefined : panes.pop();
    panes.push({
      first: Math.min(time, open?.first ?? time),
      last: Math.max(time, open?.last ?? time),
      events: (open?.events ?? 0) + 1,
      gathered: gather.add(open?.gathered, element, time),
    });
    if (panes.length > size / pane) panes.shift();
    const counted = known.counted + 1;
    const next: Counted = { start: 0, by: group, counted, panes };
    const complete = counted % slide === 0;
    // Nothing of a tumbling window is needed again.
    if (complete && slide === size) this.#groups.delete(next);
    else this.#groups.put(next);
    if (complete) this.#host.fire(() => ({ ...windowOf(this.#spec, next), revision: 0, early: false }), this.#host.time);
  }

  current({ by = "" }: { readonly by?: string } = {}): object | undefined {
    const known = this.#groups.get(0, by);
    return known === undefined ? undefined : windowOf(this.#spec, known);
  }

  clear(): void {
    this.#store.clear();
  }
}

/** The greatest time is in it, so its end is behind that. */
function windowOf({ gather }: Spec, { by, panes }: Counted): object {
  return {
    start: Math.min(...panes.map(({ first }) => first)),
    end: Math.max(...panes.map(({ last }) => last)) + 1,
    by,
    events: panes.reduce((sum, { events }) => sum + events, 0),
    ...gather.result(gather.merge(panes.map(({ gathered }) => gathered))),
  };
}

function shown(spec: Spec, counted: Counted): unknown {
  const { by, ...window } = windowOf(spec, counted) as { readonly by: string };
  return { ...window, ...(by === "" ? {} : { by }), counted: counted.counted };
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
