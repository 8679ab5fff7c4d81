/**
 * What a snapshot says of itself.
 *
 * A shard's snapshot is the state of one shard at an exact position: a base, all rows in the order of their keys, and
 * deltas over it, rows that changed and rows that went. Its manifest names every chunk of them, so it can be read alone.
 * A job's snapshot names one of each of its shards: that is what an operator lists, restores and keeps. A shard that
 * did not change since stands in several of them.
 *
 * Blobs: `<job>/shards/<p>/<shard snapshot>/<part>` chunks, `<job>/shards/<p>/<shard snapshot>/manifest`,
 * `<job>/snapshots/<id>` the job's manifest.
 */
import { createHash } from "node:crypto";
import type { Cursor } from "../../actors/fold/meta.ts";
import { TidemarkError } from "../errors.ts";

/** Raised when a manifest or a chunk is laid out otherwise. */
export const SNAPSHOT_FORMAT = 1;

export interface ChunkRef {
  /** Name of its blob. */
  readonly name: string;
  readonly rows: number;
  /** As stored. */
  readonly bytes: number;
  /** Before compression. */
  readonly rawBytes: number;
  /** SHA-256 of the blob, hex. */
  readonly sha256: string;
}

export interface SnapshotPart {
  readonly kind: "base" | "delta";
  /** The shard snapshot that wrote it. */
  readonly snapshot: string;
  readonly chunks: readonly ChunkRef[];
}

/** Times are milliseconds. */
export interface ShardManifest {
  readonly format: number;
  readonly kind: "shard";
  /** Of this shard snapshot. */
  readonly id: string;
  readonly job: string;
  readonly log: string;
  readonly shard: number;
  readonly partitions: number;
  readonly mapVersion: number;
  readonly takenAt: number;
  /** Where a fold of it goes on. */
  readonly cursor: Cursor;
  /** The last entry that is in it; sequence 0 before the first. */
  readonly last: { readonly sequence: number; readonly index: number };
  readonly watermark: number | null;
  readonly processingTime: number;
  readonly outputs: number;
  readonly chain: string;
  readonly stateFormat: number;
  readonly stateHash: string;
  /** In force at the cursor. */
  readonly epoch: { readonly sequence: number; readonly version: number; readonly codeHash: string };
  /** Sequence of the epoch entry that begins its history. */
  readonly epochRoot: number;
  /** The base first, then the deltas in their order. */
  readonly parts: readonly SnapshotPart[];
}

export const SNAPSHOT_REASONS = ["schedule", "request", "epoch", "generation"] as const;
export type SnapshotReason = (typeof SNAPSHOT_REASONS)[number];

export interface JobManifest {
  readonly format: number;
  readonly kind: "job";
  /** `<job>.<yyyymmddThhmmssmmmZ>`, with a letter behind it when one of that moment was there. */
  readonly id: string;
  readonly job: string;
  readonly log: string;
  readonly partitions: number;
  readonly takenAt: number;
  readonly reason: SnapshotReason;
  /** By shard number. */
  readonly shards: readonly { readonly shard: number; readonly snapshot: string }[];
}

export type Manifest = ShardManifest | JobManifest;

export function jobSnapshotBlob(job: string, id: string): string {
  return `${jobSnapshotsPrefix(job)}${id.toLowerCase()}`;
}

export function jobSnapshotsPrefix(job: string): string {
  return `${job}/snapshots/`;
}

export function shardSnapshotsPrefix(job: string, shard: number): string {
  return `${job}/shards/${shard}/`;
}

export function shardManifestBlob(job: string, shard: number, snapshot: string): string {
  return `${shardSnapshotsPrefix(job, shard)}${snapshot}/manifest`;
}

export function chunkBlob(job: string, shard: number, snapshot: string, number: number): string {
  return `${shardSnapshotsPrefix(job, shard)}${snapshot}/${String(number).padStart(6, "0")}`;
}

/** A line with the SHA-256 of what follows it, then the JSON: so that no flipped bit goes unseen. */
export function writeManifest(manifest: Manifest): Uint8Array {
  const text = JSON.stringify(manifest);
  return Buffer.from(`${sha256(text)}\n${text}\n`);
}

/** Throws SNAPSHOT_DAMAGED or SNAPSHOT_FORMAT. `name`: of its blob, for the message. */
export function readManifest<K extends Manifest["kind"]>(kind: K, name: string, bytes: Uint8Array): Extract<Manifest, { kind: K }> {
  const text = Buffer.from(bytes).toString("utf8");
  const end = text.indexOf("\n");
  const json = text.slice(end + 1, -1);
  if (end !== 64 || !text.endsWith("\n") || sha256(json) !== text.slice(0, end)) {
    throw new TidemarkError("SNAPSHOT_DAMAGED", `The manifest ${name} is not what its checksum says.`);
  }
  const manifest = JSON.parse(json) as Manifest;
  if (manifest.format !== SNAPSHOT_FORMAT) {
    throw new TidemarkError("SNAPSHOT_FORMAT", `The manifest ${name} has format ${manifest.format}, this build reads ${SNAPSHOT_FORMAT}.`);
  }
  if (manifest.kind !== kind) throw new TidemarkError("SNAPSHOT_DAMAGED", `${name} is the manifest of a ${manifest.kind}.`);
  return manifest as Extract<Manifest, { kind: K }>;
}

/** Bytes that a snapshot takes, those of earlier ones that it stands on included. */
export function storedBytes({ parts }: Pick<ShardManifest, "parts">): number {
  return parts.reduce((sum, { chunks }) => sum + chunks.reduce((bytes, chunk) => bytes + chunk.bytes, 0), 0);
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
