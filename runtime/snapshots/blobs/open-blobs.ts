/** The place of snapshots that a node's settings name, opened. What S3 needs is loaded only where S3 is named. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { BlobStore } from "./blob-store.ts";
import { DirectoryBlobs } from "./directory-blobs.ts";
import { SNAPSHOT_BUCKET, type SnapshotBucketSizes } from "./object-bucket.ts";
import { ObjectStoreBlobs } from "./object-store-blobs.ts";
import type { SnapshotPlace } from "./snapshot-place.ts";

/** A part of the node's `Config`. */
export interface BlobSetting {
  readonly snapshots: SnapshotPlace;
  readonly s3Endpoint: string | undefined;
}

/** Throws SNAPSHOT_STORE; with `nats` NATS_STORAGE and NATS_UNREACHABLE too. S3 is not asked before the first blob. `sizes` and `bucket`: in NATS. */
export async function openBlobs(
  setting: BlobSetting,
  nc: NatsConnection,
  sizes: SnapshotBucketSizes,
  bucket = SNAPSHOT_BUCKET,
): Promise<BlobStore> {
  const place = setting.snapshots;
  switch (place.kind) {
    case "nats":
      return await ObjectStoreBlobs.open(nc, sizes, bucket);
    case "directory":
      return await DirectoryBlobs.open(place.path);
    case "s3": {
      const { S3Blobs } = await import("./s3-blobs.ts");
      return await S3Blobs.open({ ...place, endpoint: setting.s3Endpoint });
    }
  }
}
