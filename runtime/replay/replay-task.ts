/** What one thread of a replay is given and gives: plain records, for they cross threads. */
import type { ActivatedVersion } from "../../actors/fold/activated-models.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { ServiceAddress } from "../../inference/service/messages.ts";
import type { ErrorRecord } from "../errors.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { OutputStreamSizes } from "../outputs/output-layout.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import type { DifferenceClass } from "./output-diff.ts";
import type { ShardProgress, ShardReplayed } from "./shard-replay.ts";

export interface ThreadSetup {
  readonly app: string;
  readonly settings: Partial<FoldSettings>;
  /** `undefined`: an archive is folded, nothing is published and nothing compared. */
  readonly nats: NatsAccess | undefined;
  readonly snapshots: SnapshotSettings;
  /** Of the process that runs models; `undefined`: none is asked. */
  readonly inference: ServiceAddress | undefined;
}

/** A place in a log: before everything, an entry, a log time (milliseconds), behind everything. */
export type ReplayPoint =
  | { readonly kind: "start" | "end" }
  | { readonly kind: "position"; readonly partition: number; readonly sequence: number }
  | { readonly kind: "time"; readonly time: number };

export interface ReplayedModel {
  readonly name: string;
  /** `undefined`: the one that was in force. */
  readonly champion: ActivatedVersion | undefined;
}

export interface PartitionTask {
  readonly job: string;
  readonly generation: string;
  readonly partition: number;
  readonly partitions: number;
  /** Empty, for the state. */
  readonly folder: string;
  /** Ignored for an archive, which is folded whole. */
  readonly from: ReplayPoint;
  readonly to: ReplayPoint;
  /** Id of a job's snapshot to begin with. Without one the newest before `from`, if that is not the start. */
  readonly snapshot: string | undefined;
  readonly archive: { readonly file: string; readonly watermark: number | undefined } | undefined;
  /** Models that may be asked, with the versions that answer in place of those in force; `undefined`: none is. */
  readonly models: readonly ReplayedModel[] | undefined;
  /** `undefined`: nothing is published. */
  readonly publish: OutputStreamSizes | undefined;
  readonly compare: boolean;
  /** Differences are appended to it, a line each. */
  readonly diffFile: string | undefined;
}

/** A difference without what was put out: for a summary. */
export interface DifferenceSample {
  readonly class: DifferenceClass;
  readonly type: string | null;
  readonly key: string | null;
  readonly fields: readonly string[];
  /** Id of the published output, else of the replay's. */
  readonly output: string;
}

export interface PartitionReplayed extends ShardReplayed {
  readonly samples: readonly DifferenceSample[];
  /** Lines of the archive that are no events, in all, and the first of them; told by partition 0. */
  readonly malformed: number;
  readonly malformedLines: readonly { readonly line: number; readonly why: string }[];
  /** Shard snapshot that it began with. */
  readonly snapshot: string | null;
}

export interface PartitionProgress extends ShardProgress {
  /** Entries or, of an archive, bytes: so many of so many. */
  readonly done: number;
  readonly total: number;
}

/** What the app says of the job. */
export interface ReplayedJob {
  readonly log: string;
  readonly version: number;
  readonly codeHash: string;
  /** Jobs of the app. */
  readonly jobs: readonly string[];
}

/** One of the two; no union, for Comlink would make one of promises. */
export interface Answer<T> {
  readonly ok?: T;
  readonly failed?: ErrorRecord;
}

export interface ReplayThread {
  /** Loads the app and connects. */
  open(job: string, generation: string): Promise<Answer<ReplayedJob>>;
  replay(task: PartitionTask): Promise<Answer<PartitionReplayed>>;
  /** Of the partition in hand. */
  progress(): PartitionProgress | undefined;
  /** What is in hand is brought to a stop; `replay` answers with what it came to. */
  stop(): void;
  close(): Promise<void>;
}
