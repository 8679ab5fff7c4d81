/** Places of large results: that of a node with the settings that it has by itself, and one in memory. */
import type { NatsConnection } from "@nats-io/transport-node";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { MemoryBlobs } from "../../runtime/snapshots/blobs/memory-blobs.ts";
import { KeyRing } from "../../runtime/snapshots/key-ring.ts";
import { type BlobPlace, resultPlace } from "../../runtime/snapshots/open-catalogue.ts";

export function natsResults(nc: NatsConnection): () => Promise<BlobPlace> {
  return resultPlace(nc, { snapshots: { kind: "nats" }, s3Endpoint: undefined, keysFile: undefined, maxBytes: 1 << 30, replicas: 1 });
}

/** `blobs`: those that there are, not encrypted. */
export function memoryResults(blobs: BlobStore = new MemoryBlobs()): () => Promise<BlobPlace> {
  return async () => ({ blobs, seal: await KeyRing.read(undefined) });
}
