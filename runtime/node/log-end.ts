/**
 * Folding to the log's end, for a node that is started to finish what its build has begun: every shard reaches the entry that was
 * the last one when it was asked, or the epoch entry of its successor before that, or halts.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { parsePosition } from "../../actors/model/position.ts";
import type { Clock } from "../clock.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { HandOverReport } from "../shard/hand-over.ts";
import type { ShardReport } from "../shard/report.ts";
import type { RunningJob } from "./node.ts";

export interface FoldedShard {
  readonly job: string;
  readonly shard: number;
  readonly position: string;
  /** Its successor's epoch entry was reached. */
  readonly handedOver: boolean;
  /** Why it does not get there. */
  readonly error: ShardReport["error"];
}

interface Folding {
  readonly nc: NatsConnection;
  readonly jobs: readonly RunningJob[];
  readonly clock: Clock;
  readonly shards: () => Promise<readonly ShardReport[]>;
  readonly handOvers: () => Promise<readonly HandOverReport[]>;
  readonly stopped: () => boolean;
}

const POLL_MS = 50;

/** What became of each shard; fewer of them when the node is stopped meanwhile. Has no bound of time, for the backlog has none. */
export async function foldToLogEnd({ nc, jobs, clock, shards, handOvers, stopped }: Folding): Promise<readonly FoldedShard[]> {
  const ends = new Map<string, number>();
  for (const { job, map } of jobs) {
    for (let partition = 0; partition < map.partitions; partition++) {
      const { lastSequence } = await new NatsPartitionLog(nc, job.log, partition).bounds();
      ends.set(`${job.name}/${partition}`, lastSequence);
    }
  }
  for (;;) {
    const over = new Map((await handOvers()).map((report) => [`${report.job}/${report.shard}`, report]));
    const folded = (await shards()).flatMap((report): FoldedShard[] => {
      const { job, shard, position, status, error } = report;
      const name = `${job}/${shard}`;
      const about = { job, shard, position };
      if (status === "stopped" || over.get(name)?.state === "handed-over") return [{ ...about, handedOver: true, error: undefined }];
      if (error !== undefined) return [{ ...about, handedOver: false, error }];
      // The owner's entry of this process stands behind the end: a shard that runs gets past it.
      const reached = status === "running" && (parsePosition(position)?.sequence ?? 0) >= ends.get(name)!;
      return reached ? [{ ...about, handedOver: false, error: undefined }] : [];
    });
    if (folded.length === ends.size || stopped()) return folded;
    await clock.sleep(POLL_MS);
  }
}
