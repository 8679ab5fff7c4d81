/** What becomes of a shard that is asked to hand over to another build. Plain records: they cross threads and processes. */
import type { ErrorRecord } from "../errors.ts";

export type HandOverState =
  /** It has not started yet, or its epoch entry is being appended. */
  | "asked"
  /** Its entry stands in the log; it folds up to there. `lag` entries wait. */
  | "folding"
  /** Everything up to its entry is published and committed. */
  | "handed-over"
  /** It halted, or the entry could not be appended: `error` says why. */
  | "failed";

export interface HandOverReport {
  readonly job: string;
  readonly shard: number;
  readonly state: HandOverState;
  readonly lag: number;
  readonly error?: ErrorRecord;
}

/** Nothing more will change. */
export function isSettled({ state }: HandOverReport): boolean {
  return state === "handed-over" || state === "failed";
}
