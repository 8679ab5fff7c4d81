/** What crosses between a node and the process that scrubs for it: plain records. */
import type { Scrubbed } from "./scrub.ts";

export interface ScrubPlace {
  readonly job: string;
  readonly shard: number;
  readonly folder: string;
}

export interface ScrubTask {
  readonly places: readonly ScrubPlace[];
  /** Of a core. */
  readonly share: number;
}

/** `at`: number of the place, in the order of the task. */
export type FromScrub =
  | { readonly kind: "reading"; readonly at: number; readonly rows: number }
  | { readonly kind: "scrubbed"; readonly at: number; readonly scrubbed: Scrubbed };

export interface ShardScrub extends Scrubbed {
  readonly job: string;
  readonly shard: number;
}
