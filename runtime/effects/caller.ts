/**
 * What makes calls of one kind. The executor decides when and how many; a caller makes one, its repetitions included,
 * and knows neither shard nor log. A circuit breaker, or a cache, is a caller around another one.
 */
import type { Outcome } from "../../actors/fold/result-entry.ts";

export interface CallToMake {
  /** Stays the same however often the call is made. */
  readonly id: string;
  /** See {@link Effect.target}. */
  readonly target: string;
  /** Canonical JSON. */
  readonly input: string;
  /** What the effect of the build that runs says; `undefined` when it declares another target under that name. */
  readonly mayRepeat: boolean | undefined;
  /** Milliseconds by the machine's clock. */
  readonly deadline: number;
}

export interface Caller {
  /** Whom the call goes to, as far as bounds are concerned: calls of one origin share {@link ORIGIN_IN_FLIGHT_MAX}. */
  originOf(target: string): string;
  /**
   * What became of the call. `onAttempt` is told before each attempt. When `signal` is aborted, at the deadline or by
   * a stop, it ends at once with whatever; nobody looks at that.
   */
  call(call: CallToMake, signal: AbortSignal, onAttempt: () => void): Promise<Outcome>;
}

/** By kind: the first word of a target. */
export type Callers = ReadonlyMap<string, Caller>;

export function kindOf(target: string): string {
  return target.slice(0, target.indexOf(" "));
}
