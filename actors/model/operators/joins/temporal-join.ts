/**
 * Temporal join: each element of a stream with what was in force in a table at its time. Elements wait until the
 * watermark has passed them, so that every version that came on time is seen whatever the order of the log; one that is
 * behind is joined at once, with what is known. A version that comes behind changes nothing that was fired before.
 */
import { type Cell, type CellStore, type CellView, defineCell } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import type { DeepReadonly } from "../../readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf, storedSchema } from "../../schema.ts";
import { elementOf } from "../element-check.ts";
import { instantOf } from "../instant.ts";
import { type Fires, isOver, type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { freeId, prefixRange, SAME_TIME_MAX, untilRange } from "../time-id.ts";
import { putVersion, versionAt, versionsOf } from "./version-table.ts";

export interface TemporalJoinOptions<S extends AnySchema, V extends AnySchema> {
  readonly stream: S;
  /** Must not allow `null`: that ends a version. */
  readonly table: V;
  /** `inner` (default): what finds nothing in force is not fired. `left`: it is, without `row`. */
  readonly type?: "inner" | "left";
}

export interface WithVersion<T, V> {
  readonly element: DeepReadonly<T>;
  readonly time: number;
  readonly row: DeepReadonly<V> | undefined;
  /** From when on that was in force. */
  readonly rowFrom: number | undefined;
  /** The element came when the watermark had passed it already. */
  readonly behind: boolean;
}

export interface TemporalJoinHandle<T, V> extends Fires<WithVersion<T, V>> {
  /** Elements that wait. */
  readonly size: number;
  /** An element of the stream; `time`: when it happened, default `ctx.now`. Throws HandlerError TOO_MANY_WAITING. */
  add(element: DeepReadonly<T>, options?: { readonly time?: number }): void;
  /** Holds from `from` (default `ctx.now`) until the next version. Throws HandlerError TOO_MANY_VERSIONS. */
  set(row: DeepReadonly<V>, options?: { readonly from?: number }): void;
  /** From `from` (default `ctx.now`) on there is nothing. */
  end(options?: { readonly from?: number }): void;
}

interface Waiting {
  readonly time: number;
  readonly element: unknown;
  /** Id of its event. */
  readonly cause: string;
}

interface Spec {
  readonly stream: Schema<unknown>;
  readonly table: Schema<unknown>;
  readonly inner: boolean;
}

const PREFIX = "s";
const ALL = prefixRange(PREFIX);
const WAITING_MAX = 10_000;

/** `temporalJoin({ stream: Order, table: Rate })`; at most 10,000 elements wait, and 1,000 versions can be asked for. */
export function temporalJoin<const S extends AnySchema, const V extends AnySchema>({
  stream,
  table,
  type = "inner",
}: TemporalJoinOptions<S, V>): Cell<TemporalJoinHandle<Infer<S>, Infer<V>>> {
  if (!["inner", "left"].includes(type)) throw new TypeError("temporalJoin: type is inner or left.");
  const spec: Spec = { stream: schemaOf(stream), table: schemaOf(table), inner: type === "inner" };
  if (spec.table.check(null))
    throw new TypeError("temporalJoin: the table's schema allows null, which ends a version. Wrap the value in an object.");
  const config = { kind: "temporal-join", stream: spec.stream.json, table: spec.table.json };
  const properties = {
    time: { type: "integer" },
    element: {},
    cause: { type: "string" },
    from: { type: "integer" },
    value: {},
  };
  return defineCell({
    kind: "operator",
    // An element that waits, or a version.
    entry: schemaOf(storedSchema({ type: "object", properties })),
    operator: { clock: "event", config, ring: (store, host) => new TemporalJoin(spec, store, host).ring(), show },
    bind: (store, host) => new TemporalJoin(spec, store, host) as unknown as TemporalJoinHandle<Infer<S>, Infer<V>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class TemporalJoin {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
  }

  get size(): number {
    return [...this.#store.entries(ALL)].length;
  }

  add(given: unknown, options?: { readonly time?: number }): void {
    const element = elementOf(this.#spec.stream, given, this.#store.path);
    const time = instantOf(options?.time, this.#host.time, this.#store.path);
    if (isOver(this.#host, time + 1)) {
      this.#fire({ time, element, cause: this.#host.cause }, true);
      return;
    }
    const id = this.#store.count() < WAITING_MAX ? freeId(time, (one) => this.#store.entry(one) !== undefined, PREFIX) : undefined;
    if (id === undefined)
      throw new HandlerError(
        "TOO_MANY_WAITING",
        `${this.#store.path}: at most ${WAITING_MAX} elements wait, and ${SAME_TIME_MAX} of one time. Make the key finer.`,
      );
    this.#store.setEntry(id, { time, element, cause: this.#host.cause });
    wakeBy(this.#host, time + 1);
  }

  set(row: unknown, options?: { readonly from?: number }): void {
    this.#put(instantOf(options?.from, this.#host.time, this.#store.path), elementOf(this.#spec.table, row, this.#store.path));
  }

  end(options?: { readonly from?: number }): void {
    this.#put(instantOf(options?.from, this.#host.time, this.#store.path), null);
  }

  /** Time has reached the alarm: elements that it has passed are joined. */
  ring(): void {
    for (const [id, entry] of this.#store.entries(untilRange(this.#host.reached - 1, PREFIX))) {
      this.#store.deleteEntry(id);
      this.#fire(entry as Waiting, false);
    }
    const [next] = this.#store.entries(ALL);
    if (next !== undefined) wakeBy(this.#host, (next[1] as Waiting).time + 1);
  }

  #put(from: number, value: unknown): void {
    // What waits may be of a time that an alarm is still to come for.
    const reached = Math.min(this.#host.reached, this.#host.alarm ?? Number.POSITIVE_INFINITY);
    putVersion(this.#store, { from, value }, reached - this.#host.allowedLatenessMs);
  }

  #fire({ time, element, cause }: Waiting, behind: boolean): void {
    const version = versionAt(this.#store, time);
    if (version === undefined && this.#spec.inner) return;
    this.#host.fire(() => ({ element, time, row: version?.value, rowFrom: version?.from, behind }), time, cause);
  }
}

function show(view: CellView): unknown {
  const waiting = [...view.entries(ALL)].map(([, entry]) => ({ time: (entry as Waiting).time, element: (entry as Waiting).element }));
  return { waiting, versions: versionsOf(view) };
}
