/** What windows of every kind may be told, and what they tell. */
import type { Clock } from "../../clock.ts";
import type { DeepReadonly } from "../../readonly.ts";
import { durationMs } from "../../time.ts";
import type { OperatorHost } from "../operator.ts";

/**
 * What becomes of an element whose window is over: `update`, it changes the window, which fires again with the next
 * `revision`, as long as it is within the window's `allowedLateness`; `side-output`, the event goes to `tidemark.late`
 * with the reason `window`, as it does with `update` behind that; `drop`, it is counted as `lateDropped`.
 */
export type LatePolicy = "update" | "side-output" | "drop";

export interface LatenessOptions {
  /** Default `update`. */
  readonly late?: LatePolicy;
  /** How long after its end a window can still change. Default: whatever event still comes, by the job's own allowed lateness. */
  readonly allowedLateness?: string | number;
}

export interface WindowOptions<T> extends LatenessOptions {
  /** Elements of one key that are not to be gathered together, such as currencies; at most 128 characters. */
  readonly by?: (element: T) => string;
  /** `event` (default), or `processing`: by the log's time. */
  readonly clock?: Clock;
}

/** Fired before the end: `early` is true, and `revision` says nothing yet. */
export interface EarlyOptions {
  /** At every so many-th element of a window. */
  readonly everyEvents?: number;
  /** At every multiple of this, counted from the epoch, that lies in a window which is not empty. */
  readonly every?: string | number;
}

/** A window as its handler gets it. R: results by the aggregate's name. */
export type Fired<R> = {
  /** The first instant. */
  readonly start: number;
  /** The first instant behind it. */
  readonly end: number;
  /** Empty without the option `by`. */
  readonly by: string;
  /** Elements. */
  readonly events: number;
  /** 0 when it is over; then 1, 2, … each time that an element came behind that. */
  readonly revision: number;
  readonly early: boolean;
} & { readonly [K in keyof R]: R[K] };

/** A window as it stands. */
export type Running<R> = Omit<Fired<R>, "revision" | "early">;

export interface AddOptions {
  /** When the element happened; default `ctx.now`. */
  readonly time?: number;
}

/** T: elements, R: results by the aggregate's name. */
export interface WindowHandle<T, R> {
  add(element: DeepReadonly<T>, options?: AddOptions): void;
  /** The window in which `time` (default `ctx.now`) lies and which ends first, with what is in it so far; `undefined` when it is empty. */
  current(options?: { readonly by?: string; readonly time?: number }): Running<R> | undefined;
  clear(): void;
  readonly fires?: Fired<R>;
}

export interface Lateness {
  readonly policy: LatePolicy;
  /** `undefined`: the job's. */
  readonly allowedMs: number | undefined;
}

export function latenessOf(what: string, { late = "update", allowedLateness }: LatenessOptions): Lateness {
  if (!["update", "side-output", "drop"].includes(late)) throw new TypeError(`${what}: late is update, side-output or drop.`);
  return { policy: late, allowedMs: allowedLateness === undefined ? undefined : durationMs(allowedLateness, `${what}: allowedLateness`) };
}

/** Until when what ends at `end` is kept. */
export function keptUntil(end: number, lateness: Lateness, host: OperatorHost): number {
  if (lateness.policy !== "update") return end;
  return end + (lateness.allowedMs === undefined ? host.allowedLatenessMs : Math.min(lateness.allowedMs, host.allowedLatenessMs));
}

/** Whether what is over may still change. */
export function mayChange(end: number, lateness: Lateness, host: OperatorHost): boolean {
  return lateness.policy === "update" && keptUntil(end, lateness, host) > host.reached;
}

export function refuseLate(lateness: Lateness, host: OperatorHost): void {
  if (lateness.policy === "drop") host.countLate();
  else host.tellLate();
}
