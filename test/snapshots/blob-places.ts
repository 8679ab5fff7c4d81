/** The places of snapshots, each real, each empty and its own for one test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { BlobStore } from "../../runtime/snapshots/blobs/blob-store.ts";
import { MemoryBlobs } from "../../runtime/snapshots/blobs/memory-blobs.ts";
import { openBlobs } from "../../runtime/snapshots/blobs/open-blobs.ts";
import { type Cleanup, startTestNats, type TestNats } from "../support/nats.ts";
import { type S3Server, startS3Server } from "../support/s3-server.ts";

export const BUCKET_SIZES = { maxBytes: 256 * 1024 * 1024, replicas: 1 };

export interface BlobPlace {
  readonly name: string;
  open(t: Cleanup): Promise<BlobStore>;
}

export function temporaryFolder(t: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), "tidemark-blobs-"));
  t.after(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export async function natsBlobs(
  t: Cleanup,
  maxBytes = BUCKET_SIZES.maxBytes,
): Promise<{ readonly nats: TestNats; readonly nc: NatsConnection; readonly blobs: BlobStore }> {
  const nats = await startTestNats(t);
  const nc = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  t.after(() => nc.close());
  const blobs = await openBlobs({ snapshots: { kind: "nats" }, s3Endpoint: undefined }, nc, { maxBytes, replicas: 1 });
  t.after(() => blobs.close());
  return { nats, nc, blobs };
}

/** For the places that need no connection. */
export const NO_CONNECTION = undefined as unknown as NatsConnection;

/** Credentials where the AWS tools look for them: the environment, which the SDK reads with a client's first request. */
export function setS3Keys(server: S3Server, env: Readonly<Record<string, string>> = {}): void {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: server.accessKey,
    AWS_SECRET_ACCESS_KEY: server.secretKey,
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: "/dev/null",
    AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
    ...env,
  });
}

export async function s3Blobs(
  t: Cleanup,
  { prefix = "", pageSize = 100 } = {},
): Promise<{ readonly server: S3Server; readonly blobs: BlobStore }> {
  const server = await startS3Server(t, { pageSize });
  const setting = { snapshots: { kind: "s3", bucket: server.bucket, prefix }, s3Endpoint: server.url } as const;
  setS3Keys(server);
  const blobs = await openBlobs(setting, NO_CONNECTION, BUCKET_SIZES);
  t.after(() => blobs.close());
  return { server, blobs };
}

export const PLACES: readonly BlobPlace[] = [
  { name: "a JetStream object store", open: async (t) => (await natsBlobs(t)).blobs },
  {
    name: "a directory",
    open: (t) =>
      openBlobs({ snapshots: { kind: "directory", path: temporaryFolder(t) }, s3Endpoint: undefined }, NO_CONNECTION, BUCKET_SIZES),
  },
  { name: "memory", open: async () => new MemoryBlobs() },
  { name: "S3", open: async (t) => (await s3Blobs(t, { prefix: "some/prefix" })).blobs },
];
