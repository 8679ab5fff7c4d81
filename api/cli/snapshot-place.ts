/** The place of snapshots and builds, opened by a command without a node. NATS is needed only where it is the place. */
import type { NatsConnection } from "@nats-io/transport-node";
import { TidemarkError } from "../../runtime/errors.ts";
import { connectNats } from "../../runtime/nats-connect.ts";
import type { Config } from "../../runtime/node/config.ts";
import { natsAccess } from "../../runtime/node/nats-access.ts";
import { snapshotSettings } from "../../runtime/node/snapshot-settings.ts";
import type { SnapshotCatalogue } from "../../runtime/snapshots/catalogue.ts";
import type { Seal } from "../../runtime/snapshots/chunk-writer.ts";
import { openCatalogue } from "../../runtime/snapshots/open-catalogue.ts";

/** Throws CONFIG_INVALID, NATS_UNREACHABLE or SNAPSHOT_STORE, and what `work` throws. */
export async function withCatalogue<T>(config: Config, work: (catalogue: SnapshotCatalogue, seal: Seal) => Promise<T>): Promise<T> {
  const nc = config.snapshots.kind === "nats" ? await connected(config) : undefined;
  try {
    // Only the place in NATS asks for the connection.
    const { catalogue, seal } = await openCatalogue(nc as NatsConnection, snapshotSettings(config));
    try {
      return await work(catalogue, seal);
    } finally {
      await catalogue.blobs.close();
    }
  } finally {
    await nc?.close();
  }
}

async function connected(config: Config): Promise<NatsConnection> {
  const nats = natsAccess(config);
  if (nats === undefined)
    throw new TidemarkError("CONFIG_INVALID", "TIDEMARK_NATS_URL is not set, and TIDEMARK_SNAPSHOTS names no place outside of NATS.");
  return await connectNats(nats, "tidemark command");
}
