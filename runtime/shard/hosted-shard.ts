/**
 * One shard of a worker thread, from when it is hosted until its state is closed: what runs beside it, and what it says of
 * itself meanwhile. Once closed its store is never touched again: another may have the file descriptor by then.
 */
import type { CodeIdentity, Epoch } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { CallFeed } from "../effects/call-feed.ts";
import type { TidemarkError } from "../errors.ts";
import type { PumpSetup } from "../pump/shard-pumps.ts";
import type { ChangedRows } from "../snapshots/changed-rows.ts";
import type { RestoreProgress, RestoreReport } from "../snapshots/restore-newest.ts";
import { OtherBuildNeeded } from "./epochs.ts";
import type { HandedOver, HandOver } from "./hand-over.ts";
import type { OwnerWork } from "./owner-work.ts";
import { reportOf, type ShardReport, unstartedReport } from "./report.ts";
import type { Shard } from "./shard.ts";
import type { ShardRole } from "./shard-parts.ts";

export interface ShardPlace {
  readonly partition: number;
  readonly partitions: number;
  /** Folder of its LMDB environment. */
  readonly folder: string;
}

export interface PutBack {
  readonly abort: AbortController;
  readonly ended: Promise<unknown>;
}

export class HostedShard implements HandedOver {
  readonly declared: Job;
  readonly place: ShardPlace;
  readonly setups: readonly PumpSetup[];
  /** It is to end, started or not. */
  ending = false;
  shard: Shard | undefined;
  /** What it is to be. */
  role: ShardRole;
  /** What is done beside it as long as it is the owner. */
  work: OwnerWork | undefined;
  /** Units that its fold leaves out, by name. */
  skips = new Map<string, string>();
  /** Why the state of this standby is thrown away and built anew. */
  anew: string | undefined;
  /** Tells the state that stands here from those before it; `undefined` while it is built. */
  life: string | undefined;
  /** It has halted or handed over: nothing goes on here by itself. */
  isOver = false;
  /** Which rows changed since its last snapshot; from when on its state is known. */
  changed: ChangedRows | undefined;
  restoring: RestoreProgress | undefined;
  restored: RestoreReport | undefined;
  /** Calls that its handlers ask for, and what makes them. */
  readonly calls = new CallFeed();
  error: TidemarkError | undefined;
  /** What keeps it from starting, and may pass. */
  waitsFor: TidemarkError | undefined;
  built: Promise<Shard | undefined> = Promise.resolve(undefined);
  stateEpoch: () => Epoch | undefined = () => undefined;
  handOver: HandOver | undefined;
  finished: Promise<void> = Promise.resolve();
  /** While its state is replaced by a snapshot's. */
  putBack: PutBack | undefined;
  /** It ends for good: nothing hosts it again. */
  leaving = false;
  /** While its state is deleted. */
  released: Promise<void> | undefined;
  readonly #open: (() => void | Promise<void>)[] = [];

  constructor(declared: Job, place: ShardPlace, setups: readonly PumpSetup[], role: ShardRole) {
    this.role = role;
    this.declared = declared;
    this.place = place;
    this.setups = setups;
  }

  get job(): string {
    return this.declared.name;
  }

  get partition(): number {
    return this.place.partition;
  }

  /** The build that alone may go on: it has handed over to it, or is not that one and does not start. */
  get needs(): CodeIdentity | undefined {
    const { shard, error, waitsFor } = this;
    if (shard?.status === "stopped" && shard.fold.handedOver) return shard.fold.meta.epoch;
    const why = error ?? (shard === undefined ? waitsFor : undefined);
    return why instanceof OtherBuildNeeded ? why.epoch : undefined;
  }

  /** With which it halted, at its start or later. */
  get failure(): TidemarkError | undefined {
    return this.error ?? this.shard?.error;
  }

  /** Somebody ends it, or puts it back. */
  get isTaken(): boolean {
    return this.ending || this.leaving || this.putBack !== undefined;
  }

  /** `close` is called once when it ends; what was opened last is closed first. */
  opened(close: () => void | Promise<void>): void {
    this.#open.push(close);
  }

  /** Resolves when it has stopped and is closed. */
  async end(): Promise<void> {
    this.ending = true;
    this.shard?.stop();
    await this.finished;
    await this.close();
  }

  /** From then on it is one that has not started. */
  async close(): Promise<void> {
    this.shard = undefined;
    this.waitsFor = undefined;
    this.changed = undefined;
    this.stateEpoch = () => undefined;
    for (let close = this.#open.pop(); close !== undefined; close = this.#open.pop()) await close();
  }

  report(nodeId: string): ShardReport {
    const { job, partition, shard, role, work, restoring, restored, error, waitsFor } = this;
    if (shard === undefined) {
      const start = { role, restoring, error: error?.toRecord(), waitsFor: waitsFor?.toRecord() };
      return unstartedReport(job, partition, nodeId, start);
    }
    return reportOf(shard, { ...work?.report(), restored });
  }
}
