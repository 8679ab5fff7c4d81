/** What crosses between a node and the process that proves a shard for it: plain records. */
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { ErrorRecord } from "../errors.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";

export interface VerifyTask {
  readonly app: string;
  readonly codeHash: string;
  readonly settings: Partial<FoldSettings>;
  readonly snapshots: SnapshotSettings;
  readonly nats: NatsAccess;
  readonly job: string;
  readonly shard: number;
  readonly partitions: number;
  /** Of the shard's state; read and never written. */
  readonly folder: string;
  /** A folder of its own for what it folds. */
  readonly scratch: string;
  /** `start`, the id of a shard snapshot, or `undefined`: the oldest snapshot that leads on, else the start. */
  readonly from: string | undefined;
  /**
   * Of a standby: only its marks and rows are compared, with a fold from the newest snapshot up to this sequence, at which it agreed with
   * its owner: a later one may hold what the owner got wrong. Without such a one from the oldest that leads on.
   */
  readonly copyFrom?: number | undefined;
  /** What another build has proven before: this one goes on with what that one folded, in the same scratch folder. */
  readonly before?: BuildVerdict;
}

/** What was found to be as folded: state at a snapshot or a mark, and in the end the rows of the shard. */
export interface Check {
  readonly kind: "snapshot" | "mark" | "state";
  /** Of the snapshot, or the sequence of the mark; of the state its position. */
  readonly name: string;
  readonly position: string;
}

export interface VerifyDifference {
  readonly kind: "output" | "snapshot" | "mark" | "state";
  /** Number of the output, id of the snapshot, sequence of the mark. */
  readonly name: string;
  /** The last check that held, and where the difference shows: what makes it lies between them. */
  readonly after: string;
  readonly at: string;
  readonly table: string | null;
  readonly slot: number | null;
  readonly key: string | null;
  readonly actor: string | null;
  readonly cell: string | null;
  /** As folded, and as found; cut to a bound. */
  readonly expected: string;
  readonly actual: string;
  /** Rows that differ, in all. */
  readonly rows: number;
}

export interface ShardVerdict {
  readonly job: string;
  readonly shard: number;
  readonly ok: boolean;
  /** Id of the snapshot that it was folded from, or `start`. */
  readonly from: string;
  readonly entries: number;
  readonly outputs: number;
  /** How many of each kind held. */
  readonly snapshots: number;
  readonly marks: number;
  /** Position up to which all of it is proven. */
  readonly position: string | null;
  readonly stateHash: string | null;
  readonly difference: VerifyDifference | null;
  /** What could not be checked, and why. */
  readonly remarks: readonly string[];
}

/** What one build can prove of a shard. */
export interface BuildVerdict extends ShardVerdict {
  /** The last check that held. */
  readonly after: string;
  readonly unreadable: readonly string[];
  /** Whose code goes on, and the epoch entry that says so. */
  readonly next?: { readonly epoch: CodeIdentity; readonly sequence: number };
}

/** `working`: it gets on with what comes before the fold. */
export type FromVerify =
  | { readonly kind: "working" }
  | { readonly kind: "folded"; readonly entries: number; readonly total: number }
  | { readonly kind: "verdict"; readonly verdict: BuildVerdict }
  | { readonly kind: "failed"; readonly error: ErrorRecord };
