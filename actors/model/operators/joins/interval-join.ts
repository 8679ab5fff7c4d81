/**
 * Interval join: elements of two streams of one key that happened within a time of each other. A right one goes with a
 * left one when its time lies from `before` before to `after` after that of the left, both included, and both give the
 * same text by `on`. Each pair is fired once, when the second of the two has come, whichever that is.
 *
 * What stays alone is fired, by a left, right or outer join, once nothing can come any more that would go with it: when
 * the watermark has passed the end of its time by the allowed lateness. So an element is either in pairs or alone, and
 * nothing is ever taken back. As long it is kept; a join without bounds would keep both streams for ever, and is refused.
 */
import { type Cell, type CellStore, type CellView, defineCell } from "../../cell.ts";
import { HandlerError } from "../../handler-error.ts";
import type { DeepReadonly } from "../../readonly.ts";
import { type AnySchema, type Infer, type Schema, schemaOf, storedSchema } from "../../schema.ts";
import { durationMs } from "../../time.ts";
import { elementOf } from "../element-check.ts";
import { instantOf } from "../instant.ts";
import { type Fires, type OperatorHost, wakeBy } from "../operator.ts";
import { rawContent, restoreRaw } from "../raw-content.ts";
import { freeId, prefixRange, timeRange, untilRange } from "../time-id.ts";
import { groupOf } from "../windows/span-table.ts";

export type JoinType = "inner" | "left" | "right" | "outer";

export interface IntervalJoinOptions<L extends AnySchema, R extends AnySchema> {
  readonly left: L;
  readonly right: R;
  /** How long before the left one a right one may have happened. */
  readonly before: string | number;
  /** How long after. */
  readonly after: string | number;
  /** Which elements are fired alone. Default `inner`: none. */
  readonly type?: JoinType;
  /** What must be equal beside the key: a text of each, at most 128 characters. */
  readonly on?: { readonly left: (left: Infer<L>) => string; readonly right: (right: Infer<R>) => string };
}

/** A pair, or what stayed alone. Times are those of the elements. */
export type Joined<L, R> = { readonly time: number } & (
  | { readonly left: DeepReadonly<L>; readonly leftTime: number; readonly right: DeepReadonly<R>; readonly rightTime: number }
  | { readonly left: DeepReadonly<L>; readonly leftTime: number; readonly right: undefined; readonly rightTime: undefined }
  | { readonly left: undefined; readonly leftTime: undefined; readonly right: DeepReadonly<R>; readonly rightTime: number }
);

export interface IntervalJoinHandle<L, R> extends Fires<Joined<L, R>> {
  /** Elements that wait for others. */
  readonly size: number;
  /** `time`: when it happened, default `ctx.now`. Throws HandlerError TOO_MANY_WAITING. */
  addLeft(left: DeepReadonly<L>, options?: { readonly time?: number }): void;
  addRight(right: DeepReadonly<R>, options?: { readonly time?: number }): void;
}

interface Waiting {
  readonly time: number;
  readonly on: string;
  readonly element: unknown;
  /** Id of its event. */
  readonly cause: string;
  readonly paired: boolean;
}

type Side = "left" | "right";

interface Spec {
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly schemas: Readonly<Record<Side, Schema<unknown>>>;
  readonly onOf: Readonly<Record<Side, ((element: unknown) => unknown) | undefined>>;
  /** Whether it is fired when it stays alone. */
  readonly alone: Readonly<Record<Side, boolean>>;
}

const WAITING_MAX = 10_000;
const SIDES: readonly Side[] = ["left", "right"];
const PREFIX: Readonly<Record<Side, string>> = { left: "l", right: "r" };

export function intervalJoin<const L extends AnySchema, const R extends AnySchema>(
  options: IntervalJoinOptions<L, R>,
): Cell<IntervalJoinHandle<Infer<L>, Infer<R>>> {
  const { type = "inner", on } = options;
  if (options.before === undefined || options.after === undefined)
    throw new TypeError("intervalJoin: give before and after. A join without bounds in time would keep both streams for ever.");
  if (!["inner", "left", "right", "outer"].includes(type)) throw new TypeError("intervalJoin: type is inner, left, right or outer.");
  const schemas = { left: schemaOf(options.left), right: schemaOf(options.right) };
  const spec: Spec = {
    schemas,
    beforeMs: durationMs(options.before, "intervalJoin: before"),
    afterMs: durationMs(options.after, "intervalJoin: after"),
    onOf: { left: on?.left as Spec["onOf"]["left"], right: on?.right as Spec["onOf"]["right"] },
    alone: { left: type === "left" || type === "outer", right: type === "right" || type === "outer" },
  };
  const config = {
    kind: "interval-join",
    beforeMs: spec.beforeMs,
    afterMs: spec.afterMs,
    type,
    on: on !== undefined,
    left: schemas.left.json,
    right: schemas.right.json,
  };
  const text = { type: "string" };
  const properties = { time: { type: "integer" }, on: text, element: {}, cause: text, paired: { type: "boolean" } };
  return defineCell({
    kind: "operator",
    entry: schemaOf(storedSchema({ type: "object", properties, required: Object.keys(properties) })),
    operator: { clock: "event", config, ring: (store, host) => new IntervalJoin(spec, store, host).ring(), show },
    bind: (store, host) => new IntervalJoin(spec, store, host) as unknown as IntervalJoinHandle<Infer<L>, Infer<R>>,
    plain: (view) => rawContent(config, view),
    load: (store, plain) => restoreRaw(config, store, plain),
  });
}

class IntervalJoin {
  readonly #spec: Spec;
  readonly #store: CellStore;
  readonly #host: OperatorHost;

  constructor(spec: Spec, store: CellStore, host: OperatorHost) {
    this.#spec = spec;
    this.#store = store;
    this.#host = host;
  }

  get size(): number {
    return this.#store.count();
  }

  addLeft(element: unknown, options?: { readonly time?: number }): void {
    this.#add("left", element, instantOf(options?.time, this.#host.time, this.#store.path));
  }

  addRight(element: unknown, options?: { readonly time?: number }): void {
    this.#add("right", element, instantOf(options?.time, this.#host.time, this.#store.path));
  }

  /** Time has reached the alarm: what cannot be paired any more goes. */
  ring(): void {
    for (const side of SIDES) {
      for (const [id, entry] of this.#store.entries(this.#goneBy(side))) {
        this.#store.deleteEntry(id);
        const one = entry as Waiting;
        if (!one.paired && this.#spec.alone[side]) this.#fireAlone(side, one);
      }
    }
    for (const side of SIDES) {
      const [first] = this.#store.entries(prefixRange(PREFIX[side]));
      if (first !== undefined) wakeBy(this.#host, this.#goneAt(side, (first[1] as Waiting).time));
    }
  }

  #add(side: Side, given: unknown, time: number): void {
    const element = elementOf(this.#spec.schemas[side], given, this.#store.path);
    const onOf = this.#spec.onOf[side];
    const on = onOf === undefined ? "" : groupOf(onOf(element), this.#store.path);
    const partners = [...this.#store.entries(this.#partnersOf(side, time))].filter(([, entry]) => (entry as Waiting).on === on);
    const own: Waiting = { time, on, element, cause: this.#host.cause, paired: partners.length > 0 };
    for (const [id, entry] of partners) {
      const partner = entry as Waiting;
      if (!partner.paired) this.#store.setEntry(id, { ...partner, paired: true });
      this.#firePair(side === "left" ? own : partner, side === "left" ? partner : own);
    }
    const gone = this.#goneAt(side, time);
    if (gone > this.#host.reached) this.#keep(side, own, gone);
    else if (!own.paired && this.#spec.alone[side]) this.#fireAlone(side, own);
  }

  #keep(side: Side, own: Waiting, gone: number): void {
    const isTaken = (id: string): boolean => this.#store.entry(id) !== undefined;
    const id = this.#store.count() < WAITING_MAX ? freeId(own.time, isTaken, PREFIX[side]) : undefined;
    if (id === undefined)
      throw new HandlerError(
        "TOO_MANY_WAITING",
        `${this.#store.path}: too many elements wait for others. Shorten the bounds, or make the key finer.`,
      );
    this.#store.setEntry(id, own);
    wakeBy(this.#host, gone);
  }

  #firePair(left: Waiting, right: Waiting): void {
    const time = Math.max(left.time, right.time);
    const pair = { left: left.element, leftTime: left.time, right: right.element, rightTime: right.time };
    this.#host.fire(() => ({ time, ...pair }), time);
  }

  #fireAlone(side: Side, { time, element, cause }: Waiting): void {
    const none = { left: undefined, leftTime: undefined, right: undefined, rightTime: undefined };
    this.#host.fire(() => ({ time, ...none, [side]: element, [`${side}Time`]: time }), time, cause);
  }

  /** Where those of the other side lie that an element goes with. */
  #partnersOf(side: Side, time: number): { readonly from: string; readonly to: string } {
    const { beforeMs, afterMs } = this.#spec;
    if (side === "left") return timeRange(time - beforeMs, time + afterMs, PREFIX.right);
    return timeRange(time - afterMs, time + beforeMs, PREFIX.left);
  }

  /** When nothing can come any more that goes with it. */
  #goneAt(side: Side, time: number): number {
    return time + this.#kept(side) + 1;
  }

  #kept(side: Side): number {
    return (side === "left" ? this.#spec.afterMs : this.#spec.beforeMs) + this.#host.allowedLatenessMs;
  }

  #goneBy(side: Side): { readonly from: string; readonly to: string } {
    return untilRange(this.#host.reached - this.#kept(side) - 1, PREFIX[side]);
  }
}

function show(view: CellView): unknown {
  return SIDES.flatMap((side) =>
    [...view.entries(prefixRange(PREFIX[side]))].map(([, entry]) => {
      const { time, element, paired } = entry as Waiting;
      return { side, time, element, paired };
    }),
  );
}
