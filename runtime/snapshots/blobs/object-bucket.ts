/** A bucket of blobs, as `tidemark-snapshots`: created when it is missing, else checked that nothing in it goes by itself. */
import { JetStreamApiError, jetstream } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import type { NatsConnection } from "@nats-io/transport-node";
import { isTidemarkError, TidemarkError } from "../../errors.ts";
import { messageOf, refusalOf, type StreamConfig, streamInfo } from "../../log/jetstream-api.ts";
import { bucketReplication, type Replication } from "../../log/replication.ts";
import { blobFailure } from "./blob-failure.ts";

export const SNAPSHOT_BUCKET = "tidemark-snapshots";
/** Of their own: a bucket is listed as a whole, and results may be millions. */
export const RESULT_BUCKET = "tidemark-results";
const TIMEOUT_MS = 5_000;

export function streamOfBucket(bucket: string): string {
  return `OBJ_${bucket}`;
}

/** Of a bucket that is created; one that is there keeps its own. */
export interface SnapshotBucketSizes extends Replication {
  /** Reserved on the server. */
  readonly maxBytes: number;
}

/** Throws NATS_STORAGE, NATS_UNREACHABLE, or SNAPSHOT_STORE when the bucket's layout would lose blobs. */
export async function openObjectBucket(nc: NatsConnection, bucket: string, sizes: SnapshotBucketSizes): Promise<void> {
  let config = await bucketConfig(nc, bucket);
  if (config === undefined) {
    const failure = await createBucket(nc, bucket, sizes);
    config = await bucketConfig(nc, bucket);
    // Another node may have been quicker, with other sizes.
    if (config === undefined)
      throw failure ?? new TidemarkError("NATS_UNREACHABLE", `Stream ${streamOfBucket(bucket)} is not there once created.`);
  }
  const wrong = differences(config);
  if (wrong.length === 0) return;
  throw blobFailure(
    `JetStream object store ${bucket}`,
    `the stream ${streamOfBucket(bucket)} would lose or refuse blobs`,
    wrong.join("; "),
    'Correct it with "nats stream edit", or delete the bucket and let Tidemark create it.',
  );
}

/** Throws NATS_UNREACHABLE. */
export async function isBucketThere(nc: NatsConnection, bucket: string): Promise<boolean> {
  return (await bucketConfig(nc, bucket)) !== undefined;
}

async function createBucket(nc: NatsConnection, bucket: string, sizes: SnapshotBucketSizes): Promise<TidemarkError | undefined> {
  try {
    const description = bucket === RESULT_BUCKET ? "Tidemark: large results of calls" : "Tidemark: snapshots of shards";
    const options = { max_bytes: sizes.maxBytes, ...bucketReplication(sizes), storage: "file", description } as const;
    await new Objm(jetstream(nc, { checkAPI: false, timeout: TIMEOUT_MS })).create(bucket, options);
    return undefined;
  } catch (error) {
    if (error instanceof JetStreamApiError) return refusalOf(error.apiError(), streamOfBucket(bucket));
    return new TidemarkError("NATS_UNREACHABLE", `Stream ${streamOfBucket(bucket)}: ${messageOf(error)}.`, { cause: error });
  }
}

type BucketConfig = StreamConfig & {
  readonly allow_direct?: boolean;
  readonly allow_rollup_hdrs?: boolean;
  readonly deny_delete?: boolean;
};

async function bucketConfig(nc: NatsConnection, bucket: string): Promise<BucketConfig | undefined> {
  try {
    return (await streamInfo(nc, streamOfBucket(bucket))).config as BucketConfig;
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return undefined;
    throw error;
  }
}

function differences(config: BucketConfig): string[] {
  const wanted = {
    retention: "limits",
    discard: "new",
    max_age: 0,
    allow_direct: true,
    allow_rollup_hdrs: true,
    sealed: false,
    deny_delete: false,
    deny_purge: false,
  } as const;
  const wrong = Object.entries(wanted).flatMap(([name, value]) => {
    // The server leaves out what is false or zero.
    const is = config[name as keyof BucketConfig] ?? (typeof value === "boolean" ? false : 0);
    return is === value ? [] : [`${name} is ${JSON.stringify(is)}, must be ${JSON.stringify(value)}`];
  });
  for (const name of ["max_msgs", "max_msgs_per_subject"] as const) {
    if (config[name] > 0) wrong.push(`${name} is ${config[name]}, must be -1`);
  }
  return wrong;
}
