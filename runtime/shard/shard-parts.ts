/** What a shard is made of: its job and place, and every implementation of the world around it. Plain records. */
import type { ActivatedVersion } from "../../actors/fold/activated-models.ts";
import type { CallWatch } from "../../actors/fold/call-table.ts";
import type { Guard } from "../../actors/fold/fold-options.ts";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { NumberedOutput } from "../../actors/fold/output-writer.ts";
import type { Job } from "../../actors/model/job.ts";
import type { Clock } from "../clock.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import type { OutputStream } from "../outputs/output-stream.ts";
import type { ChangedRows } from "../snapshots/changed-rows.ts";
import type { ShardStore } from "../store/shard-store.ts";
import type { CrashMarks } from "./crash-marks.ts";

export interface ShardTuning {
  /** Entries of one step. Default 512. */
  readonly stepEntriesMax?: number;
  /** A group is sealed when so many rows changed, at the latest: the bound of both overlays. Default 50,000. */
  readonly groupRowsMax?: number;
  /** … or when so much time has passed since the last seal. Default 500 ms. */
  readonly groupMs?: number;
  readonly liveRowsMax?: number;
  readonly doubtMs?: number;
}

/** One owner of a shard publishes; its standbys fold the same. */
export type ShardRole = "owner" | "standby";

export interface ShardParts {
  readonly job: Job;
  readonly partition: number;
  readonly partitions: number;
  readonly identity: CodeIdentity;
  readonly profile: "development" | "production";
  readonly node: string;
  readonly log: PartitionLog;
  readonly store: ShardStore;
  readonly outputs: OutputStream;
  readonly marks: CrashMarks;
  readonly skips: ReadonlyMap<string, string>;
  readonly guard: Guard;
  readonly clock: Clock;
  /** A standby folds, and publishes and appends nothing, until it is promoted. */
  readonly role: ShardRole;
  /** A fresh random token for the owner entry of one that starts as owner. */
  readonly ownerToken: string;
  readonly notice: (message: string) => void;
  readonly onFailure?: (position: string, handler: string, thrown: unknown) => void;
  /** Told of each commit group as it is sealed. */
  readonly changed?: ChangedRows;
  /** Told of all outputs as they are numbered, those included that the stream has already. */
  readonly onOutputs?: (outputs: readonly NumberedOutput[]) => void;
  /** Told of calls as the fold asks for them and closes them. */
  readonly calls?: CallWatch;
  /** See FoldOptions. */
  readonly champions?: ReadonlyMap<string, ActivatedVersion>;
  /** Whether it keeps the index of what touched a key. Default true. */
  readonly timelineIndex?: boolean;
  /** Node id of another owner that folds this shard at this moment, when one answers. */
  readonly otherOwner: () => Promise<string | undefined>;
  /** Development only, when the history begins anew: an empty output stream in place of the old one. */
  readonly deleteOutputs: () => Promise<void>;
  /** Development only: empties the store. The meta row goes last: state that is half gone still names its void history. */
  readonly clearState: () => Promise<void>;
  readonly tuning?: ShardTuning;
}
