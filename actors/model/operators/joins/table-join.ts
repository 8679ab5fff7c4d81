/**
 * Table-table join: the newest row of two tables of one key, fired whenever one of them changes. A row is as new as its
 * time; one that is older than what is known changes nothing, of equal ones the later in the log counts. A row is
 * forgotten when it has not been set for `keep`.
 */
import { type Cell, type CellStore, defineCell } from "../../cell.ts";
import type { DeepReadonly } from "../../readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf, storedSchema } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { elementOf } from "../element-check.ts";
import { instantOf } from "../instant.ts";
import { type Fires, type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import type { JoinType } from "./interval-join.ts";

export interface TableJoinOptions<L extends AnySchema, R extends AnySchema> {
  readonly left: L;
  readonly right: R;
  /** How long a row counts after it was last set, in event time. */
  readonly keep: string | number;
  /** Whether it is fired while there is only one of them. Default `inner`: it is not. */
  readonly type?: JoinType;
}

export interface JoinedRows<L, R> {
  readonly time: number;
  readonly left: DeepReadonly<L> | undefined;
  readonly right: DeepReadonly<R> | undefined;
}

export interface TableJoinHandle<L, R> extends Fires<JoinedRows<L, R>> {
  /** `time`: since when it holds, default `ctx.now`. */
  addLeft(left: DeepReadonly<L>, options?: { readonly time?: number }): void;
  addRight(right: DeepReadonly<R>, options?: { readonly time?: number }): void;
  current(): { readonly left: DeepReadonly<L> | undefined; readonly right: DeepReadonly<R> | undefined };
}

interface Row {
  readonly time: number;
  readonly row: unknown;
}

type Side = "left" | "right";

interface Spec {
  readonly schemas: Readonly<Record<Side, Schema<unknown>>>;
  readonly keepMs: number;
  readonly type: JoinType;
}

export function tableJoin<const L extends AnySchema, const R extends AnySchema>(
  options: TableJoinOptions<L, R>,
): Cell<TableJoinHandle<Infer<L>, Infer<R>>> {
  const { type = "inner", keep } = options;
  if (keep === undefined)
    throw new TypeError("tableJoin: give keep. A join without bounds in time would keep rows that nobody sets for ever.");
  if (!["inner", "left", "right", "outer"].includes(type)) throw new TypeError("tableJoin: type is inner, left, right or outer.");
  const schemas = { left: schemaOf(options.left), right: schemaOf(options.right) };
  const spec: Spec = { schemas, keepMs: durationMs(keep, "tableJoin: keep"), type };
  const config = { kind: "table-join", keepMs: spec.keepMs, left: schemas.left.json, right: schemas.right.json };
  const row = { type: "object", properties: { time: { type: "integer" }, row: {} }, required: ["time", "row"] };
  return defineCell({
    kind: "operator",
    slot: schemaOf(storedSchema({ type: "object", properties: { left: row, right: row } })),
    operator: {
      clock: "event",
      config,
      ring: (store, host) => new TableJoin(spec, store, host).ring(),
      show: (view) => view.slot() ?? null,
    },
    bind: (store, host) => new TableJoin(spec, store, host) as unknown as TableJoinHandle<Infer<L>, Infer<R>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class TableJoin {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
  }

  addLeft(row: unknown, options?: { readonly time?: number }): void {
    this.#add("left", row, instantOf(options?.time, this.#host.time, this.#store.path));
  }

  addRight(row: unknown, options?: { readonly time?: number }): void {
    this.#add("right", row, instantOf(options?.time, this.#host.time, this.#store.path));
  }

  current(): { readonly left: unknown; readonly right: unknown } {
    const { left, right } = this.#rows();
    return { left: left?.row, right: right?.row };
  }

  /** Time has reached the alarm: rows that were not set for so long go. */
  ring(): void {
    const { left, right } = this.#rows();
    if (left === undefined && right === undefined) this.#store.clearSlot();
    else this.#put({ left, right });
  }

  #add(side: Side, given: unknown, time: number): void {
    const row = elementOf(this.#spec.schemas[side], given, this.#store.path);
    const known = this.#rows();
    if ((known[side]?.time ?? Number.NEGATIVE_INFINITY) > time || this.#goneAt(time) <= this.#host.reached) return;
    const rows = { ...known, [side]: { time, row } };
    this.#put(rows);
    const { type } = this.#spec;
    const hasLeft = rows.left !== undefined || type === "right" || type === "outer";
    const hasRight = rows.right !== undefined || type === "left" || type === "outer";
    if (!hasLeft || !hasRight) return;
    const { left, right } = rows;
    this.#host.fire(() => ({ time, left: left?.row, right: right?.row }), time);
  }

  /** Without what is over. */
  #rows(): { readonly left: Row | undefined; readonly right: Row | undefined } {
    const { left, right } = (this.#store.slot() ?? {}) as { readonly left?: Row; readonly right?: Row };
    const alive = (one: Row | undefined): Row | undefined =>
      one !== undefined && this.#goneAt(one.time) > this.#host.reached ? one : undefined;
    return { left: alive(left), right: alive(right) };
  }

  #put(rows: { readonly left: Row | undefined; readonly right: Row | undefined }): void {
    this.#store.setSlot(rows);
    for (const one of [rows.left, rows.right]) if (one !== undefined) wakeBy(this.#host, this.#goneAt(one.time));
  }

  #goneAt(time: number): number {
    return time + this.#spec.keepMs + 1;
  }
}
