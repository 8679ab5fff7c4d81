/** What became of one key at one unit of the fold, as a plain record that crosses threads. Times are milliseconds. */
import type { Disposition } from "../../actors/fold/fold-observer.ts";
import type { Outcome } from "../../actors/fold/result-entry.ts";

export interface ItemOutput {
  readonly k: number;
  readonly type: string;
  /** `<actor>.<handler>`; `undefined` for an output that no handler wrote. */
  readonly handler: string | undefined;
}

export interface ItemCall {
  readonly id: string;
  readonly effect: string;
  readonly input: unknown;
}

/** The event that an item is about, as it stands in the log. */
export interface ItemEvent {
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly time: number | undefined;
  readonly source: string | undefined;
  readonly disposition: Disposition;
  readonly code: string | undefined;
  /** It was held back, and its handlers run now. */
  readonly released?: true;
  /** The CloudEvent; `undefined` when the entry holds none that can be read. */
  readonly content: unknown;
}

export type ItemOf =
  | { readonly kind: "event"; readonly event: ItemEvent }
  | {
      readonly kind: "timer";
      readonly actor: string;
      readonly name: string;
      readonly id: string;
      readonly clock: "event" | "processing";
      readonly at: number;
      readonly armedBy: string;
      readonly done: boolean;
    }
  | { readonly kind: "expiry"; readonly actor: string; readonly cell: string; readonly entry: string }
  | {
      readonly kind: "result";
      readonly actor: string;
      readonly effect: string;
      readonly call: string;
      /** Which of the actor's waiting calls it answers, counted from 0 in the order in which they were asked for. */
      readonly waiting: number;
      readonly outcome: Outcome;
      readonly done: boolean;
    }
  | {
      readonly kind: "redrive";
      readonly deadLetter: string;
      readonly handler: string;
      readonly outcome: string;
      /** Which of the key's dead letters it is, counted from 0; -1 when it was written before the watch began. */
      readonly number: number;
      /** The journal entry. */
      readonly entry: unknown;
    };

/** Of the state of one actor: a cell, or an entry of one. */
export interface StateChange {
  readonly actor: string;
  readonly cell: string;
  /** Of a map, by its key; `undefined` when the whole cell is shown. */
  readonly entry: string | undefined;
  /** `null` where there was nothing. */
  readonly before: unknown;
  readonly after: unknown;
}

export type KeyItem = ItemOf & {
  readonly sequence: number;
  readonly index: number;
  readonly logTime: number;
  /** Of the shard, before the unit. */
  readonly watermark: number | undefined;
  readonly processingTime: number;
  readonly outputs: readonly ItemOutput[];
  readonly calls: readonly ItemCall[];
  /** `<table>:<written id>:<version>` */
  readonly lookups: readonly string[];
  /** `undefined` when states were not asked for. */
  readonly changes: readonly StateChange[] | undefined;
};
