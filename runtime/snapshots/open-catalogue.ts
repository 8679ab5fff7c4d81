/** The snapshots that a node's settings name, with what encrypts them, and what else lies beside them. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Replication } from "../log/replication.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { isBucketThere, RESULT_BUCKET } from "./blobs/object-bucket.ts";
import { type BlobSetting, openBlobs } from "./blobs/open-blobs.ts";
import { SnapshotCatalogue } from "./catalogue.ts";
import type { Seal } from "./chunk-writer.ts";
import { KeyRing } from "./key-ring.ts";

/** How a node keeps snapshots. A plain record: it crosses threads. */
export interface SnapshotSettings extends BlobSetting, Replication {
  /** File of the keys that encrypt them; undefined: they are not encrypted. */
  readonly keysFile: string | undefined;
  /** `max_bytes` of the object store. */
  readonly maxBytes: number;
}

/** Where blobs lie, and what encrypts them. */
export interface BlobPlace {
  readonly blobs: BlobStore;
  readonly seal: Seal;
}

export interface OpenedCatalogue extends BlobPlace {
  readonly catalogue: SnapshotCatalogue;
}

/** Throws SNAPSHOT_STORE, CONFIG_INVALID, or with a place in NATS NATS_STORAGE and NATS_UNREACHABLE. */
export async function openCatalogue(nc: NatsConnection, settings: SnapshotSettings): Promise<OpenedCatalogue> {
  const { keysFile, maxBytes, replicas, placement } = settings;
  const seal = await KeyRing.read(keysFile);
  const blobs = await openBlobs(settings, nc, { maxBytes, replicas, placement });
  return { catalogue: new SnapshotCatalogue(blobs, seal), blobs, seal };
}

/** Where large results lie; opened when first asked for. Throws then, each time that it fails, as {@link openCatalogue}. */
export function resultPlace(nc: NatsConnection, settings: SnapshotSettings): () => Promise<BlobPlace> {
  const { keysFile, maxBytes, replicas, placement } = settings;
  return whenAsked(async () => {
    const seal = await KeyRing.read(keysFile);
    return { blobs: await openBlobs(settings, nc, { maxBytes, replicas, placement }, RESULT_BUCKET), seal };
  });
}

/** As {@link resultPlace}, and `undefined` where nothing was stored ever: a bucket in NATS is not created only to be looked at. */
export function resultPlaceIfThere(nc: NatsConnection, settings: SnapshotSettings): () => Promise<BlobPlace | undefined> {
  const place = resultPlace(nc, settings);
  return async () => (settings.snapshots.kind === "nats" && !(await isBucketThere(nc, RESULT_BUCKET)) ? undefined : await place());
}

/** Opens with the first question; what failed is tried again with the next. */
export function whenAsked<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
}
