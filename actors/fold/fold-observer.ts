/**
 * Told what a fold does, as it does it: for the timeline of a key and for `explain`. It notes, and must not act. A fold
 * without one spends nothing on it.
 *
 * A unit is told once it is done; the outputs, calls and lookups that were told since the unit before are its own.
 */
import type { CallAddress } from "./keys.ts";
import type { Outcome } from "./result-entry.ts";

/** What became of an event; what a pump repeats was taken before, and nothing becomes of it. `behind` is applied too; `undecidable` is late beyond the horizon, and what is `held` is told of again when its handlers run. */
export type Disposition =
  | "applied"
  | "behind"
  | "late"
  | "undecidable"
  | "duplicate"
  | "conflict"
  | "quarantined"
  | "dead-lettered"
  | "ignored"
  | "held";

export interface SeenEvent {
  /** Written key; of a refused one, where it is known. */
  readonly token: string;
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly time: number | undefined;
  readonly source: string | undefined;
  readonly disposition: Disposition;
  /** Of a quarantine. */
  readonly code: string | undefined;
  /** Of an event that was held and runs now: the event. It does not stand in the entry in hand. */
  readonly released?: unknown;
  /** Number of the event in its entry. */
  readonly index: number;
  /** The watermark before the event: its own time may have lifted it. */
  readonly watermark: number | undefined;
}

export interface SeenTimer {
  readonly token: string;
  readonly actor: string;
  readonly name: string;
  /** As it is, not as written. */
  readonly id: string;
  readonly clock: "event" | "processing";
  readonly at: number;
  readonly armedBy: string;
  readonly done: boolean;
}

/** State, or with an empty `actor` the ids of events that were remembered. */
export interface SeenExpiry {
  readonly token: string;
  readonly actor: string;
  readonly cell: string;
  /** As written; empty for the cell itself. */
  readonly entry: string;
}

export interface SeenResult {
  readonly token: string;
  readonly actor: string;
  readonly effect: string;
  readonly call: string;
  readonly address: CallAddress;
  readonly outcome: Outcome;
  readonly done: boolean;
  /** Number of the result in its entry. */
  readonly index: number;
  readonly watermark: number | undefined;
}

export interface SeenRedrive {
  readonly token: string;
  readonly deadLetter: string;
  readonly handler: string;
  readonly outcome: string;
  readonly eventId: string | undefined;
}

export interface SeenOutput {
  readonly k: number;
  /** Written key, or `%`. */
  readonly token: string;
  readonly type: string;
  /** See Origin: of a handler's output `<actor>.<handler>|…`. */
  readonly unit: string;
  readonly payload: Uint8Array;
}

export interface SeenRecord {
  readonly table: string;
  readonly id: string;
  readonly version: number;
}

export interface FoldObserver {
  event(event: SeenEvent): void;
  timer(timer: SeenTimer): void;
  expiry(expiry: SeenExpiry): void;
  result(result: SeenResult): void;
  redrive(redrive: SeenRedrive): void;
  output(output: SeenOutput): void;
  /** A handler of the key looked reference records up: `<table>:<written id>:<version>`, joined by spaces. */
  lookups(token: string, lookups: string): void;
  /** A version of a reference record was added. */
  record(record: SeenRecord): void;
}
