/**
 * Takes the snapshot of one shard: decides between a delta and a base, writes its rows, and last of all the manifest.
 * Until that is there, and was read back, nothing of it counts.
 *
 *   view ── few rows changed since the last one ──▶ delta
 *     └──── no list of them, or too many ─────────▶ copy ──▶ base
 */
import { randomBytes } from "node:crypto";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { ChunkWriter, type Seal } from "./chunk-writer.ts";
import { type Manifest, type ShardManifest, SNAPSHOT_FORMAT, type SnapshotPart, shardManifestBlob, writeManifest } from "./manifest.ts";
import type { Committed, ShardCopy, ShardView } from "./shard-look.ts";

export interface SnapshotShard {
  readonly job: string;
  readonly log: string;
  readonly shard: number;
  readonly partitions: number;
  readonly mapVersion: number;
}

export interface WriteOptions {
  readonly blobs: BlobStore;
  readonly seal: Seal;
  readonly clock: Clock;
  /** Of the time, what the thread may work; the rest it sleeps, so that shards are not held up. 1: all of it. */
  readonly share: number;
  readonly progress: (rows: number) => void;
  readonly signal: AbortSignal;
  /** Its name, where that had to be known before. */
  readonly snapshot?: string;
}

/** Deltas on one base; with more of them a restore would read too many blobs. */
const DELTAS_MAX = 100;

/** A new base when the deltas, with one of so many raw bytes, come to more than half of it. */
export function baseIsDue(parent: Pick<ShardManifest, "parts">, deltaBytes: number): boolean {
  const bytes = (kind: SnapshotPart["kind"]): number =>
    parent.parts.filter((part) => part.kind === kind).reduce((sum, part) => sum + rawBytes(part), 0);
  return parent.parts.length > DELTAS_MAX || bytes("delta") + deltaBytes > bytes("base") / 2;
}

/** `keys`: all rows that may differ from the parent. `undefined` when a base has to be taken instead. */
export async function writeDelta(
  view: ShardView,
  shard: SnapshotShard,
  parent: ShardManifest,
  keys: readonly string[],
  options: WriteOptions,
): Promise<ShardManifest | undefined> {
  const changes = view.changes(keys);
  // What is read is in memory: the store need not keep the pages for it any longer.
  view.end();
  if (changes === undefined) return undefined;
  const deltaBytes = changes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
  if (baseIsDue(parent, deltaBytes)) return undefined;
  return await write(view.committed!, shard, "delta", [changes], parent.parts, options);
}

export async function writeBase(
  copy: Pick<ShardCopy, "committed" | "rows">,
  shard: SnapshotShard,
  options: WriteOptions,
): Promise<ShardManifest> {
  return await write(copy.committed!, shard, "base", copy.rows(), [], options);
}

async function write(
  committed: Committed,
  shard: SnapshotShard,
  kind: SnapshotPart["kind"],
  pieces: Iterable<readonly { readonly key: string; readonly value: Uint8Array | null }[]>,
  before: readonly SnapshotPart[],
  { blobs, seal, clock, share, progress, signal, snapshot: named }: WriteOptions,
): Promise<ShardManifest> {
  const snapshot = named ?? shardSnapshotId(committed.meta.cursor.sequence, clock.now());
  const writer = new ChunkWriter(blobs, seal, { job: shard.job, shard: shard.shard, snapshot });
  let rows = 0;
  let worked = clock.monotonic();
  for (const piece of pieces) {
    signal.throwIfAborted();
    for (const row of piece) if (writer.add(row)) await writer.room();
    rows += piece.length;
    progress(rows);
    const tookMs = clock.monotonic() - worked;
    await clock.sleep(Math.ceil((tookMs * (1 - share)) / share));
    worked = clock.monotonic();
  }
  const parts = [...before, { kind, snapshot, chunks: await writer.finish() }];
  const manifest = manifestOf(committed, shard, snapshot, clock.now(), parts);
  await putManifest(blobs, seal, shardManifestBlob(shard.job, shard.shard, snapshot), manifest);
  return manifest;
}

/** Writes a manifest and reads it back. Throws SNAPSHOT_STORE or SNAPSHOT_DAMAGED. */
export async function putManifest(blobs: BlobStore, seal: Seal, name: string, manifest: Manifest): Promise<void> {
  const bytes = seal.seal(writeManifest(manifest), name);
  await blobs.put(name, bytes);
  const back = await blobs.get(name);
  if (back === undefined || Buffer.compare(back, bytes) !== 0) {
    throw new TidemarkError("SNAPSHOT_DAMAGED", `The manifest ${name} did not come back as it was put (${blobs.place}).`);
  }
}

/** Names sort by position, and say when they were begun: what nobody names is only cleared away when it is old. */
export function shardSnapshotId(sequence: number, now: number): string {
  return `${String(sequence).padStart(16, "0")}-${now}-${randomBytes(3).toString("hex")}`;
}

/** When a shard snapshot was begun, milliseconds; `undefined` when the name is of another form. */
export function begunAt(snapshot: string): number | undefined {
  const time = /^\d{16}-(\d{13,})-[0-9a-f]{6}$/.exec(snapshot)?.[1];
  return time === undefined ? undefined : Number(time);
}

function manifestOf(
  { meta, stateHash }: Committed,
  shard: SnapshotShard,
  id: string,
  takenAt: number,
  parts: readonly SnapshotPart[],
): ShardManifest {
  const { cursor, last, watermark, processingTime, outputs, chain, epoch, epochRoot } = meta;
  const { sequence, version, codeHash } = epoch;
  return {
    format: SNAPSHOT_FORMAT,
    kind: "shard",
    id,
    ...shard,
    takenAt,
    cursor,
    last,
    watermark: watermark ?? null,
    processingTime,
    outputs,
    chain,
    stateFormat: STATE_FORMAT,
    stateHash,
    epoch: { sequence, version, codeHash },
    epochRoot,
    parts,
  };
}

function rawBytes({ chunks }: SnapshotPart): number {
  return chunks.reduce((sum, chunk) => sum + chunk.rawBytes, 0);
}
