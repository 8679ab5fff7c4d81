/**
 * The source of a pump of a job under test: its partitions in memory, each with the production pump over it. A source of
 * outputs is such a log too; of the job that makes them there is only the watermark that the test tells.
 */
import { writeWatermark } from "../../actors/fold/journal.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import type { Repartition } from "../../actors/model/repartition.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { MemoryPartitionLog } from "../log/memory-partition-log.ts";
import { eventSubject, firstSlotMap } from "../log/slot-map.ts";
import { Pump } from "../pump/pump.ts";
import { installGuards } from "../shard/guards.ts";
import type { TestClock } from "./test-clock.ts";
import { EventWriter, type WrittenEvent } from "./test-event.ts";

export class TestSource {
  readonly writer: EventWriter;
  readonly clock: TestClock;
  readonly #log: string;
  readonly #partitions: readonly MemoryPartitionLog[];
  readonly #targets: readonly MemoryPartitionLog[];
  readonly #pumps: readonly Pump[];
  readonly #ofOutputs: boolean;
  #watermark: number | undefined;

  constructor(job: Job, pump: Repartition, targets: readonly MemoryPartitionLog[], clock: TestClock) {
    const { name, source, streams } = pump;
    this.writer = new EventWriter({
      title: `Pump "${name}"`,
      streams: streams.map((stream) => ({ ...stream, name: stream.type })),
      maxAheadMs: job.settings.maxAheadMs,
    });
    this.clock = clock;
    this.#log = source.kind === "log" ? source.log : `${source.job}-out`;
    this.#ofOutputs = source.kind === "outputs";
    this.#targets = targets;
    this.#partitions = targets.map((_, partition) => new MemoryPartitionLog({ stream: `${this.#log}-${partition}` }));
    const { owners } = firstSlotMap(targets.length);
    const shardClock = (of: MemoryPartitionLog) => ({
      watermark: this.#watermark,
      outputs: of.lastSequence,
      stored: of.lastSequence,
      entry: 0,
      atEnd: true,
    });
    this.#pumps = this.#partitions.map((of, partition) => {
      const place = { job: job.name, partition, partitions: targets.length, owners, targetLog: job.log, targets };
      const world = { guard: installGuards(), clock, notice: () => {}, tellEveryMs: 0 };
      return new Pump({
        pump,
        settings: job.settings,
        source: of,
        ...place,
        ...world,
        ...(this.#ofOutputs ? { shardClock: () => shardClock(of) } : {}),
      });
    });
  }

  /** Gives the event's position in the source. */
  async append({ slot, token, text }: WrittenEvent): Promise<string> {
    const partition = slot % this.#partitions.length;
    const sequence = await this.#append(partition, eventSubject(this.#log, token), text);
    return formatPosition(partition, sequence, 0);
  }

  async advanceWatermark(time: number): Promise<void> {
    if (this.#ofOutputs) this.#watermark = Math.max(time, this.#watermark ?? time);
    else
      for (const partition of this.#partitions.keys())
        await this.#append(partition, controlSubject(this.#log, partition), writeWatermark(formatInstant(time)));
  }

  /** Until its pumps have nothing to do. */
  async pump(): Promise<void> {
    for (const target of this.#targets) target.now = this.clock.now();
    for (const pump of this.#pumps) {
      for (let result = await pump.step(); result !== "idle"; result = await pump.step()) await undefined;
    }
  }

  #append(partition: number, subject: string, text: string): Promise<number> {
    const log = this.#partitions[partition]!;
    log.now = this.clock.now();
    return log.append(subject, Buffer.from(text));
  }
}
