/** Where a node's settings keep snapshots and builds; the same for commands that look there without a node. */
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import type { Config } from "./config.ts";

/** Of every stream and bucket. */
export const REPLICAS = 1;

export function snapshotSettings({ snapshots, s3Endpoint, snapshotKeys: keysFile, streamMaxBytes: maxBytes }: Config): SnapshotSettings {
  return { snapshots, s3Endpoint, keysFile, maxBytes, replicas: REPLICAS };
}
