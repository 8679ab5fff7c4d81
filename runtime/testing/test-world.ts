/**
 * The partitions of a job under test and the one clock over them. Time passes through the ticks that nodes would
 * append, in their order; between two calls everything is folded and published.
 */

import { type Counts, newCounts } from "../../actors/fold/meta.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { TidemarkError } from "../errors.ts";
import type { TestClock } from "./test-clock.ts";
import type { WrittenEvent } from "./test-event.ts";
import { TestReference } from "./test-reference.ts";
import type { TestShard } from "./test-shard.ts";
import { TestSource } from "./test-source.ts";

/** A job that needs more ticks in one call has a timer that arms itself for ever. */
const TICKS_MAX = 1_000_000;
/** Of the map of slots that a log begins with. */
const MAP_VERSION = 1;

export class TestWorld {
  readonly log: string;
  readonly clock: TestClock;
  readonly shards: readonly TestShard[];
  readonly reference: TestReference;
  /** By pump. */
  readonly sources: ReadonlyMap<string, TestSource>;

  constructor(job: Job, clock: TestClock, shards: readonly TestShard[]) {
    this.log = job.log;
    this.reference = new TestReference(job, shards.length);
    this.clock = clock;
    this.shards = shards;
    const logs = shards.map(({ log }) => log);
    this.sources = new Map(job.from.map((pump) => [pump.name, new TestSource(job, pump, logs, clock)]));
  }

  async start(): Promise<void> {
    for (const shard of this.shards) await shard.start();
    await this.settle();
    await this.copyReference();
    await this.pump();
  }

  /** Brings what the sources of pumps have and the log has not, and folds it. Pumps run beside shards: none while they are crashed. */
  async pump(): Promise<void> {
    if (this.crashed || this.sources.size === 0) return;
    for (const source of this.sources.values()) await source.pump();
    await this.settle();
  }

  async crash(): Promise<void> {
    for (const shard of this.shards) await shard.crash();
  }

  /** Throws why a shard halted. */
  checkHalted(): void {
    for (const { halted } of this.shards) if (halted !== undefined) throw halted;
  }

  get crashed(): boolean {
    return this.shards.some((shard) => shard.crashed);
  }

  /** The partition of a slot, as at the beginning of every log. */
  partitionOf(slot: number): number {
    return slot % this.shards.length;
  }

  async appendEvent(event: WrittenEvent): Promise<string> {
    const partition = this.partitionOf(event.slot);
    return await this.append(partition, `${this.log}.${event.slot}.e.${event.token}`, Buffer.from(event.text));
  }

  /** One message for each partition; positions in the order given. */
  async appendBatch(events: readonly WrittenEvent[]): Promise<string[]> {
    const positions: string[] = new Array<string>(events.length);
    for (const [partition, shard] of this.shards.entries()) {
      const numbers = [...events.keys()].filter((i) => this.partitionOf(events[i]!.slot) === partition);
      if (numbers.length === 0) continue;
      const payload = Buffer.from(`[${numbers.map((i) => events[i]!.text).join(",")}]`);
      const sequence = await shard.append(`${this.log}.p${partition}.b.${MAP_VERSION}`, payload);
      numbers.forEach((i, index) => {
        positions[i] = formatPosition(partition, sequence, index);
      });
    }
    return positions;
  }

  async append(partition: number, subject: string, payload: Uint8Array, headers?: ReadonlyMap<string, string>): Promise<string> {
    const sequence = await this.shards[partition]!.append(subject, payload, headers);
    return formatPosition(partition, sequence, 0);
  }

  /** Appends to the control journal of every partition. */
  async appendControl(payload: Uint8Array): Promise<void> {
    for (const [partition, shard] of this.shards.entries()) await shard.append(controlSubject(this.log, partition), payload);
  }

  /** Brings every partition what was put; a crashed one when it runs again. */
  async copyReference(): Promise<void> {
    const { source } = this.reference;
    if (source.lastSequence === 0) return;
    for (const shard of this.shards) await shard.copyReference(source);
  }

  /** Folds what is there, then lets time pass until `to`, through every tick that is due on the way; `atOnce`: with none before `to`. `folded`: called after each. */
  async pass(to: number, folded: () => void, atOnce = false): Promise<void> {
    await this.settle();
    await this.pump();
    folded();
    if (atOnce) {
      this.clock.moveTo(to);
      for (const shard of this.shards) await shard.catchUp();
      folded();
    }
    for (let ticks = 0; ; ticks++) {
      const next = this.#nextTick();
      if (next === undefined || next.at > to) break;
      if (ticks === TICKS_MAX) throw new TidemarkError("TEST_STATE", `The job asked for ${TICKS_MAX} ticks in one call.`);
      this.clock.moveTo(next.at);
      await next.shard.tick();
      folded();
    }
    this.clock.moveTo(to);
    await this.pump();
    folded();
  }

  async settle(): Promise<void> {
    for (const shard of this.shards) await shard.settle();
  }

  /** Of all partitions the least; `undefined` while one has none. */
  get watermark(): number | undefined {
    let least: number | undefined;
    for (const { meta } of this.shards) {
      if (meta?.watermark === undefined) return undefined;
      least = least === undefined ? meta.watermark : Math.min(least, meta.watermark);
    }
    return least;
  }

  /** Summed over the partitions. */
  get counts(): Counts {
    const sum = newCounts();
    for (const { meta } of this.shards) {
      if (meta === undefined) continue;
      for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += meta.counts[name];
    }
    return sum;
  }

  #nextTick(): { readonly at: number; readonly shard: TestShard } | undefined {
    let next: { readonly at: number; readonly shard: TestShard } | undefined;
    for (const shard of this.shards) {
      const at = shard.nextTickAt;
      if (at !== undefined && (next === undefined || at < next.at)) next = { at, shard };
    }
    return next;
  }
}
