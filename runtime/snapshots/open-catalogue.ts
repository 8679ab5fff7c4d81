/** The snapshots that a node's settings name, with what encrypts them. */
import type { NatsConnection } from "@nats-io/transport-node";
import { type BlobSetting, openBlobs } from "./blobs/open-blobs.ts";
import { SnapshotCatalogue } from "./catalogue.ts";
import type { Seal } from "./chunk-writer.ts";
import { KeyRing } from "./key-ring.ts";

/** How a node keeps snapshots. A plain record: it crosses threads. */
export interface SnapshotSettings extends BlobSetting {
  /** File of the keys that encrypt them; undefined: they are not encrypted. */
  readonly keysFile: string | undefined;
  /** `max_bytes` and replicas of the object store. */
  readonly maxBytes: number;
  readonly replicas: number;
}

/** Throws SNAPSHOT_STORE, CONFIG_INVALID, or with a place in NATS NATS_STORAGE and NATS_UNREACHABLE. */
export async function openCatalogue(
  nc: NatsConnection,
  settings: SnapshotSettings,
): Promise<{ readonly catalogue: SnapshotCatalogue; readonly seal: Seal }> {
  const { keysFile, maxBytes, replicas } = settings;
  const seal = await KeyRing.read(keysFile);
  return { catalogue: new SnapshotCatalogue(await openBlobs(settings, nc, { maxBytes, replicas }), seal), seal };
}
