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
  /** Written key of the actor that asked. */
  readonly key: string;
  /** What the effect of the build that runs says of it; absent where it says nothing. */
  readonly residency?: string;
  readonly tenant?: string;
  /** What the effect of the build that runs says; `undefined` when it declares another target under that name. */
  readonly mayRepeat: boolean | undefined;
  /** Milliseconds by the machine's clock. */
  readonly deadline: number;
}

/** What whoever makes a call is told while it is made. */
export interface CallNotes {
  /** Before each attempt. */
  readonly onAttempt: () => void;
  /** The call is tried by itself, for it may end what runs it: resolves when the fold knows. */
  readonly onTrial: () => Promise<void>;
  /** The answer is over {@link LARGE_BYTES}: resolves when there is room for the rest of it, or the call is over. */
  readonly onLarge: () => Promise<void>;
}

export interface Caller {
  /** Calls of one shard that are being made at a time; of those, to one origin. */
  readonly inFlightMax: number;
  readonly originInFlightMax: number;
  /** Whom the call goes to, as far as bounds are concerned: calls of one origin share `originInFlightMax`. */
  originOf(target: string): string;
  /**
   * What became of the call. When `signal` is aborted, at the deadline or by a stop, it ends at once with whatever; nobody
   * looks at that.
   */
  call(call: CallToMake, signal: AbortSignal, notes: CallNotes): Promise<Outcome>;
}

/** By kind: the first word of a target. */
export type Callers = ReadonlyMap<string, Caller>;

export function kindOf(target: string): string {
  return target.slice(0, target.indexOf(" "));
}
