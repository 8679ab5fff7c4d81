/**
 * Elements in the order of their times, whatever the order of the log: each waits until the watermark has passed it, so
 * that no earlier one can come on time. Elements of one time come in the order of the log. One that is behind when it
 * arrives, within the allowed lateness, is handed on at once and says so: what was to stand behind it has gone before.
 */
import { type Cell, type CellStore, type CellView, defineCell } from "../cell.ts";
import { HandlerError } from "../handler-error.ts";
import type { DeepReadonly } from "../readonly.ts";
import { type AnySchema, type Infer, schemaOf, storedSchema } from "../schema.ts";
import { elementOf } from "./element-check.ts";
import { instantOf } from "./instant.ts";
import { type Fires, isOver, type OperatorHost, wakeBy } from "./operator.ts";
import { rawContent, restoreRaw } from "./raw-content.ts";
import { freeId, SAME_TIME_MAX } from "./time-id.ts";

/** An element whose turn has come. */
export interface InOrder<T> {
  readonly element: DeepReadonly<T>;
  readonly time: number;
  /** It came when the watermark had passed it already. */
  readonly behind: boolean;
}

export interface OrderedHandle<T> extends Fires<InOrder<T>> {
  /** Elements that wait. */
  readonly size: number;
  /** `time`: when it happened, default `ctx.now`. */
  add(element: DeepReadonly<T>, options?: { readonly time?: number }): void;
}

interface Waiting {
  readonly time: number;
  readonly element: unknown;
  /** Id of its event. */
  readonly cause: string;
}

const WAITING_MAX = 10_000;
const CONFIG = { kind: "ordered" };

/** Elements by a schema; at most 10,000 wait, and at most 500 of one time. */
export function ordered<S extends AnySchema>(schema: S): Cell<OrderedHandle<Infer<S>>> {
  const elements = schemaOf(schema);
  const properties = { time: { type: "integer" }, element: elements.json, cause: { type: "string" } };
  return defineCell({
    kind: "operator",
    entry: schemaOf(storedSchema({ type: "object", properties, required: Object.keys(properties) })),
    operator: { clock: "event", config: CONFIG, ring, show },
    bind: (store, host) => ({
      get size() {
        return store.count();
      },
      add(element, options) {
        add(store, host, elementOf(elements, element, store.path), instantOf(options?.time, host.time, store.path));
      },
    }),
    plain: (view) => rawContent(CONFIG, view),
    load: (store, plain) => restoreRaw(CONFIG, store, plain),
  });
}

function add(store: CellStore, host: OperatorHost, element: unknown, time: number): void {
  if (isOver(host, time + 1)) {
    host.fire(() => ({ element, time, behind: true }), time);
    return;
  }
  if (store.count() >= WAITING_MAX)
    throw new HandlerError("TOO_MANY_WAITING", `${store.path}: ${WAITING_MAX} elements wait for the watermark. Make the key finer.`);
  const id = freeId(time, (one) => store.entry(one) !== undefined);
  if (id === undefined)
    throw new HandlerError("TOO_MANY_WAITING", `${store.path}: ${SAME_TIME_MAX} elements of one time wait. Make the key finer.`);
  store.setEntry(id, { time, element, cause: host.cause });
  wakeBy(host, time + 1);
}

function ring(store: CellStore, host: OperatorHost): void {
  for (const [id, entry] of store.entries()) {
    const { time, element, cause } = entry as Waiting;
    if (time >= host.reached) break;
    store.deleteEntry(id);
    host.fire(() => ({ element, time, behind: false }), time, cause);
  }
  const [next] = store.entries();
  if (next !== undefined) wakeBy(host, (next[1] as Waiting).time + 1);
}

function show(view: CellView): unknown {
  return [...view.entries()].map(([, entry]) => {
    const { time, element } = entry as Waiting;
    return { time, element };
  });
}
