/** Pumps over logs in memory: every source partition, every target partition, and what folds make of the target. */
import assert from "node:assert/strict";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { type PumpLink, readPumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { slotOf, writeKey } from "../../actors/model/key.ts";
import type { Repartition } from "../../actors/model/repartition.ts";
import { MemoryPartitionLog } from "../../runtime/log/memory-partition-log.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import { firstSlotMap } from "../../runtime/log/slot-map.ts";
import { Pump, type PumpParts } from "../../runtime/pump/pump.ts";
import { type Folded, foldHistory } from "../../runtime/replay/fold-history.ts";
import { cloudEvent, identityFor, readOutputs, T0 } from "./entries.ts";
import { SleepClock, turn } from "./memory-world.ts";
import { runEvent, type Step } from "./scripted.ts";

/** Far more than any test needs. */
const STEPS_MAX = 20_000;

export interface SourceEvent {
  readonly key?: string;
  readonly id?: string;
  readonly time?: number;
  readonly steps?: readonly Step[];
}

export class PumpWorld {
  readonly clock = new SleepClock();
  readonly job: Job;
  readonly pump: Repartition;
  readonly sources: MemoryPartitionLog[];
  readonly targets: MemoryPartitionLog[];
  #ids = 0;

  constructor(job: Job, partitions: { readonly sources: number; readonly targets: number }) {
    this.job = job;
    this.pump = job.from[0]!;
    this.sources = Array.from({ length: partitions.sources }, (_, p) => new MemoryPartitionLog({ stream: `src-${p}` }));
    this.targets = Array.from({ length: partitions.targets }, (_, p) => new MemoryPartitionLog({ stream: `${job.log}-${p}` }));
    for (const log of [...this.sources, ...this.targets]) log.now = T0;
  }

  /** A pump of a source partition; `through`: how it reaches the target partitions. */
  start(partition: number, changes: Partial<PumpParts> = {}, through: (log: MemoryPartitionLog) => PartitionLog = (log) => log): Pump {
    return new Pump({
      pump: this.pump,
      job: this.job.name,
      settings: this.job.settings,
      partition,
      partitions: this.sources.length,
      owners: firstSlotMap(this.targets.length).owners,
      targetLog: this.job.log,
      targets: this.targets.map(through),
      source: this.sources[partition]!,
      guard: { enter() {}, leave() {} },
      clock: this.clock,
      notice: () => {},
      tellEveryMs: 0,
      ...changes,
    });
  }

  /** Partition of a key in the source. */
  sourceOf(key: string): number {
    return slotOf(writeKey(key)!) % this.sources.length;
  }

  /** Publishes an event to the source under its key there; gives its partition. */
  async publish({ key = "d1", ...rest }: SourceEvent): Promise<number> {
    const token = writeKey(key)!;
    const partition = this.sourceOf(key);
    const text = JSON.stringify(cloudEvent(runEvent({ id: `n${++this.#ids}`, key, ...rest })));
    await this.append(partition, `src.${slotOf(token)}.e.${token}`, text);
    return partition;
  }

  append(partition: number, subject: string, payload: string): Promise<number> {
    return this.sources[partition]!.append(subject, Buffer.from(payload));
  }

  /** Steps a pump until it has nothing to do. */
  async drain(pump: Pump): Promise<void> {
    for (let steps = 0; ; steps++) {
      assert(steps < STEPS_MAX, "the pump does not come to rest");
      if ((await pump.step()) === "idle") return;
      await turn();
    }
  }

  entries(target: number): LogEntry[] {
    const log = this.targets[target]!;
    return Array.from({ length: log.lastSequence }, (_, i) => log.entryAt(i + 1)!);
  }

  /** What the pump of a source partition has told a target partition, in order. */
  links(target: number, source: number): PumpLink[] {
    const subject = pumpSubject(this.job.log, target, this.pump.name, source);
    return this.entries(target)
      .filter((entry) => entry.subject === subject)
      .map(({ headers }) => readPumpLink(headers)!);
  }

  fold(target: number): Folded {
    const { job } = this;
    return foldHistory({
      job,
      partition: target,
      partitions: this.targets.length,
      identity: identityFor(job),
      epochRoot: 0,
      from: 1,
      entries: this.entries(target),
    });
  }

  /** What handlers said in all target partitions, by key. */
  said(): Record<string, string[]> {
    const said: Record<string, string[]> = {};
    for (const target of this.targets.keys()) {
      for (const { subject = "%", type, data } of readOutputs(this.fold(target).outputs)) {
        said[subject] ??= [];
        said[subject].push(type === "script.said" ? String(data.text) : type === "tidemark.quarantine" ? String(data.code) : type);
      }
    }
    return said;
  }
}
