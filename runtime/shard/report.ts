/** What a shard says of itself (CONTRACT "Shapes"). A plain record: it crosses threads and the API. */
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { formatInstant } from "../../actors/model/time.ts";
import type { HistogramRecord } from "../../inference/histogram.ts";
import type { EffectMeasures } from "../effects/effects-meter.ts";
import type { ErrorRecord } from "../errors.ts";
import type { SinkReport } from "../features/feature-sink.ts";
import type { PumpReport } from "../pump/shard-pumps.ts";
import type { RestoreProgress, RestoreReport } from "../snapshots/restore-newest.ts";
import type { Shard } from "./shard.ts";
import type { ShardMeasures } from "./shard-meter.ts";
import type { ShardRole } from "./shard-parts.ts";

export interface ShardReport {
  readonly job: string;
  readonly shard: number;
  /** The node that owns it, as far as the node where this copy runs knows. */
  readonly owner: string;
  /** Where this copy runs. */
  readonly node: string;
  readonly role: ShardRole;
  readonly status: string;
  /** That folds it; `null` before the shard has started. */
  readonly build: CodeIdentity | null;
  /** Another owner writes the same outputs. */
  readonly contested: boolean;
  readonly position: string;
  readonly logEnd: number;
  readonly lag: number;
  readonly watermark: string | null;
  readonly outputs: number;
  readonly outputsStored: number;
  readonly actors: number;
  readonly timers: number;
  readonly pendingCalls: number;
  readonly stateBytes: number;
  /** As of the last commit. */
  readonly stateHash: string | null;
  /** Of those that this node took or found; `null` before the first. */
  readonly lastSnapshot: LastSnapshot | null;
  readonly counts: Readonly<Record<string, number>>;
  readonly error?: ErrorRecord;
  /** What keeps it from starting: it goes on trying. */
  readonly waitsFor?: ErrorRecord;
  /** Of a job that puts out features; `lag` is in outputs. */
  readonly features?: Pick<SinkReport, "written" | "failures" | "error"> & { readonly lag: number };
  /** Pumps that run beside it; absent when none does. */
  readonly pumps?: readonly PumpReport[];
  /** For metrics; absent before the shard has started. */
  readonly measures?: ShardMeasures;
  /** Calls as they are made; absent when the job asks for none. */
  readonly effects?: EffectMeasures;
  /** While it restores its state from a snapshot. */
  readonly restoring?: RestoreProgress;
  /** When it began from a snapshot. */
  readonly restored?: RestoreReport;
  /** Of the snapshots that this node took of it; absent before the first. */
  readonly snapshots?: SnapshotMeasures;
  /** How often this node has built its state anew since it started; absent when never. */
  readonly rebuilds?: number;
}

export interface LastSnapshot {
  /** Of the job. */
  readonly id: string;
  readonly position: string;
  readonly takenAt: string;
  /** What it takes with what it stands on. */
  readonly bytes: number;
}

/** Since the node started. */
export interface SnapshotMeasures {
  readonly duration: HistogramRecord;
  /** Written, by all of them. */
  readonly bytes: number;
  readonly failures: number;
}

/** What runs beside a shard, as far as something does. */
export interface Beside {
  readonly features?: SinkReport | undefined;
  readonly pumps?: readonly PumpReport[] | undefined;
  readonly effects?: EffectMeasures | undefined;
  readonly restored?: RestoreReport | undefined;
}

export function reportOf(shard: Shard, { features, pumps = [], effects, restored }: Beside = {}): ShardReport {
  const { job, partition, node, store, identity } = shard.parts;
  const { meta } = shard.fold;
  return {
    job: job.name,
    shard: partition,
    owner: node,
    node,
    role: shard.role,
    status: shard.status,
    build: identity,
    contested: shard.ownership.contested,
    position: formatPosition(partition, meta.last.sequence, meta.last.index),
    logEnd: meta.last.sequence + shard.lag,
    lag: shard.lag,
    watermark: meta.watermark === undefined ? null : formatInstant(meta.watermark),
    outputs: meta.outputs,
    outputsStored: shard.stored,
    actors: meta.keys,
    timers: meta.timers,
    pendingCalls: meta.calls,
    stateBytes: store.bytes(),
    stateHash: shard.stateHash ?? null,
    lastSnapshot: null,
    counts: { ...meta.counts },
    ...(shard.error === undefined ? {} : { error: shard.error.toRecord() }),
    ...(features === undefined ? {} : { features: withLag(features, shard.stored) }),
    ...(pumps.length === 0 ? {} : { pumps }),
    ...(effects === undefined ? {} : { effects }),
    ...(restored === undefined ? {} : { restored }),
    measures: shard.meter.toRecord(),
  };
}

function withLag({ place, ...report }: SinkReport, stored: number): NonNullable<ShardReport["features"]> {
  return { ...report, lag: Math.max(0, stored - place) };
}

/** How a shard starts. */
interface Start {
  readonly role: ShardRole;
  readonly restoring: RestoreProgress | undefined;
  /** It could not start. */
  readonly error: ErrorRecord | undefined;
  /** It goes on trying. */
  readonly waitsFor: ErrorRecord | undefined;
}

export function unstartedReport(job: string, shard: number, node: string, { role, restoring, error, waitsFor }: Start): ShardReport {
  return {
    job,
    shard,
    owner: node,
    node,
    role,
    status: error === undefined ? "starting" : "halted",
    build: null,
    contested: false,
    position: formatPosition(shard, 0, 0),
    logEnd: 0,
    lag: 0,
    watermark: null,
    outputs: 0,
    outputsStored: 0,
    actors: 0,
    timers: 0,
    pendingCalls: 0,
    stateBytes: 0,
    stateHash: null,
    lastSnapshot: null,
    counts: {},
    ...(restoring === undefined ? {} : { restoring }),
    ...(error === undefined ? {} : { error }),
    ...(error === undefined && waitsFor !== undefined ? { waitsFor } : {}),
  };
}
