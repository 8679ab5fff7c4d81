/** The pumps that run beside one shard, over NATS. They start and stop with it. */

import type { NatsConnection } from "@nats-io/transport-node";
import type { Job } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import { systemClock } from "../clock.ts";
import type { ErrorRecord } from "../errors.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { installGuards } from "../shard/guards.ts";
import type { Shard } from "../shard/shard.ts";
import { Pump, type ShardClock } from "./pump.ts";
import type { PumpPlace } from "./pump-places.ts";

/** A place with the job that declares the pump. */
export interface PumpSetup {
  readonly place: PumpPlace;
  readonly job: Job;
}

/** What a pump says of itself. A plain record. */
export interface PumpReport {
  readonly pump: string;
  /** That declares it. */
  readonly job: string;
  /** Stream that it reads. */
  readonly source: string;
  /** The next entry of the source. */
  readonly next: string;
  /** Entries of the source, and events, known to wait. */
  readonly lag: number;
  /** Why it does not go on at the moment. */
  readonly error?: ErrorRecord;
}

/** Small against a shard's: of a log with many partitions many pumps may run in one thread. */
const READ_AHEAD_BYTES = 1024 * 1024;

export class ShardPumps {
  readonly #pumps: readonly Pump[];

  /** `followed`: whether sinks and pumps follow the shard's job, of its lineage. */
  constructor(nc: NatsConnection, setups: readonly PumpSetup[], shard: Shard, followed: () => boolean, notice: (message: string) => void) {
    this.#pumps = setups.map(({ place, job }) => {
      const declared = job.from.find(({ name }) => name === place.pump)!;
      const { source } = declared;
      const { partition, partitions, owners, targets } = place;
      const beside = shard.parts.job.name;
      const stream = source.kind === "log" ? source.log : `${beside}-out`;
      return new Pump({
        pump: declared,
        job: job.name,
        settings: job.settings,
        partition,
        partitions,
        owners,
        targetLog: job.log,
        targets: Array.from({ length: targets }, (_, target) => new NatsPartitionLog(nc, job.log, target)),
        source: new NatsPartitionLog(nc, stream, partition, { readAheadBytes: READ_AHEAD_BYTES }),
        guard: installGuards(),
        clock: systemClock,
        notice,
        ...(source.kind === "log" ? {} : { shardClock: () => clockOf(shard), lineage: { origin: source.job, job: beside, followed } }),
      });
    });
  }

  start(): void {
    for (const pump of this.#pumps) void pump.run();
  }

  stop(): void {
    for (const pump of this.#pumps) pump.stop();
  }

  reports(): PumpReport[] {
    return this.#pumps.map(({ parts: { pump, job, source, partition }, next, lag, error }) => ({
      pump: pump.name,
      job,
      source: source.stream,
      next: formatPosition(partition, next.sequence, next.index),
      lag,
      ...(error === undefined ? {} : { error: error.toRecord() }),
    }));
  }
}

function clockOf({ fold, lag, stored }: Shard): ShardClock {
  if (fold.inEntry) return undefined;
  return { watermark: fold.meta.watermark, outputs: fold.meta.outputs, stored, entry: fold.meta.last.sequence, atEnd: lag === 0 };
}
