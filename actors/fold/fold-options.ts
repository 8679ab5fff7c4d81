/**
 * What a fold is built from: a job and a partition, rows, primitives, and the code that it is.
 */
import type { Job } from "../model/job.ts";
import type { ActivatedVersion } from "./activated-models.ts";
import type { CallWatch } from "./call-table.ts";
import type { FoldObserver } from "./fold-observer.ts";
import type { CodeIdentity, Meta } from "./meta.ts";
import type { Primitives } from "./primitives.ts";
import type { CommittedRows } from "./rows.ts";

/** Switched on around each handler call: what the host does to keep clocks and randomness out. */
export interface Guard {
  enter(): void;
  leave(): void;
}

export interface FoldOptions {
  readonly job: Job;
  readonly partition: number;
  /** Partitions of the log: slot s belongs to partition s modulo this. */
  readonly partitions: number;
  readonly committed: CommittedRows;
  readonly meta: Meta;
  readonly primitives: Primitives;
  readonly guard: Guard;
  /** Code that folds; an epoch entry that names another stops the fold behind it. */
  readonly identity: CodeIdentity;
  /** Units that must not run, by `skipName`, with the reason: read ahead before any fold starts. */
  readonly skips: ReadonlyMap<string, string>;
  /** Live rows kept in memory beyond what must be. Default 50,000. */
  readonly liveRowsMax?: number;
  /** Told of calls as they are asked for and answered. */
  readonly calls?: CallWatch;
  /** For the node's log: stacks belong there, not into the dead letter. */
  readonly onFailure?: (position: string, handler: string, thrown: unknown) => void;
  /** Told what the fold does. */
  readonly observer?: FoldObserver;
  /** Whether it keeps the index of what touched a key; see TouchIndex. Default true. */
  readonly timelineIndex?: boolean;
  /** Versions of models in place of those that are in force, by model: of a replay that asks what would have been. */
  readonly champions?: ReadonlyMap<string, ActivatedVersion>;
}

/** Default of `liveRowsMax`. */
export const LIVE_ROWS = 50_000;

/** Names one unit in a skip: a position, and for a timer its index row. */
export function skipName(position: string, timer: string | undefined): string {
  return timer === undefined ? position : `${position}|${timer}`;
}
