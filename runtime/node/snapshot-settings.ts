/** Where a node's settings keep snapshots and builds, and in how many copies everything on NATS; the same for commands without a node. */
import type { Replication } from "../log/replication.ts";
import type { OutputStreamSizes } from "../outputs/output-layout.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import type { Config } from "./config.ts";

export function snapshotSettings(config: Config): SnapshotSettings {
  const { snapshots, s3Endpoint, snapshotKeys: keysFile, streamMaxBytes: maxBytes } = config;
  return { snapshots, s3Endpoint, keysFile, maxBytes, ...replicationOf(config) };
}

/** Of each log and output stream that is created. */
export function streamSizes(config: Config): OutputStreamSizes {
  return { maxBytes: config.streamMaxBytes, ...replicationOf(config) };
}

/** Of every stream and bucket that is created. */
export function replicationOf({ natsReplicas: replicas, natsPlacementCluster: cluster, natsPlacementTags: tags }: Config): Replication {
  if (cluster === undefined && tags.length === 0) return { replicas };
  return { replicas, placement: { ...(cluster === undefined ? {} : { cluster }), tags } };
}
