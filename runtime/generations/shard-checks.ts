/** The checks of what is to be restored, with what the log and the output streams say now. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { Job } from "../../actors/model/job.ts";
import { streamInfo } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { epochsBeside } from "../shard/epochs.ts";
import { checkLog, checkOrigin, checkOutputs, makersOf, type RestoredShard } from "./restore-checks.ts";

/** A job as it runs here: of the app, or a generation. */
export interface RestorableJob {
  readonly job: Job;
  readonly partitions: number;
  readonly mapVersion: number;
  readonly identity: CodeIdentity;
}

/**
 * Throws SNAPSHOT_FOREIGN, SNAPSHOT_FORMAT, CODE_UNAVAILABLE, LOG_TRUNCATED, LOG_TRIMMED or OUTPUTS_TRUNCATED. `published`:
 * what is restored goes on behind the outputs that are there.
 */
export async function checkShards(
  nc: NatsConnection,
  shards: readonly RestoredShard[],
  { job, partitions, identity }: RestorableJob,
  published: boolean,
): Promise<void> {
  for (const shard of shards) {
    const log = new NatsPartitionLog(nc, job.log, shard.shard);
    const { root, epochs } = await epochsBeside(log, { log: job.log, partition: shard.shard, job: job.name }, shard);
    const makers = published ? [shard.epoch] : makersOf(shard, epochs);
    checkOrigin(shard, { name: job.name, log: job.log, partitions, identity }, makers);
    checkLog(shard, { ...(await log.bounds()), epochRoot: root });
    if (!published) continue;
    const stream = outputStreamName(job.name, shard.shard);
    checkOutputs(shard, stream, (await streamInfo(nc, stream)).state.last_seq);
  }
}
