/**
 * Begins a generation. The order is what makes a death harmless: nothing runs before its record says `ready`, and that
 * is written last.
 *
 *   claim (the record, `beginning`) ──▶ skips ──▶ root epoch entries ──▶ bases, read back ──▶ the snapshot of them ──▶ ready
 *
 * Dead before `ready`, it leaves a claim, which its node takes back when it starts again, entries in a journal that
 * nobody folds, and blobs that the next beginning of the name clears away.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { CodeIdentity, Epoch } from "../../actors/fold/meta.ts";
import { generationOf, type Job } from "../../actors/model/job.ts";
import { formatPosition } from "../../actors/model/position.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { streamInfo } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { Replication } from "../log/replication.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { appendRoot } from "../shard/epochs.ts";
import { SkipList } from "../shard/skips.ts";
import type { ShardManifest } from "../snapshots/manifest.ts";
import type { SnapshotShard } from "../snapshots/shard-snapshot.ts";
import type { GenerationBucket } from "./generation-bucket.ts";
import { GENERATION_FORMAT, type GenerationRecord, type GenerationShard, jobName } from "./generation-record.ts";

/** What the state of one shard is taken from. */
export type BaseSource =
  | { readonly kind: "snapshot"; readonly manifest: ShardManifest }
  /** An environment that was folded to the place; nobody else has it open. */
  | { readonly kind: "folder"; readonly folder: string };

export interface BaseRequest {
  readonly source: BaseSource;
  /** Of the generation. */
  readonly shard: SnapshotShard;
  /** Name of the shard snapshot that is written. */
  readonly snapshot: string;
  readonly root: Epoch;
}

/** Writes and names snapshots; the keeper's thread does the work. */
export interface BaseWriter {
  /** Deletes whatever blobs lie under the job. */
  deleteAll(job: string): Promise<void>;
  writeBase(request: BaseRequest, progress: (rows: number) => void): Promise<ShardManifest>;
  /** Names the bases as the first snapshot of the generation. */
  nameBases(bases: readonly ShardManifest[]): Promise<void>;
  /** A name for a shard snapshot. */
  newName(sequence: number): string;
}

export interface BeginRequest {
  readonly origin: Job;
  readonly identity: CodeIdentity;
  readonly mapVersion: number;
  readonly generation: string;
  /** By shard, all of them. */
  readonly bases: readonly {
    readonly source: BaseSource;
    readonly cursor: number;
    readonly last: { readonly sequence: number; readonly index: number };
  }[];
  readonly of: string;
  readonly who: string;
}

export interface BeginParts {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  readonly node: string;
  readonly replication: Replication;
  readonly bucket: GenerationBucket;
  readonly writer: BaseWriter;
}

/** A claimed name: nobody else may begin a generation of it. */
export interface Claim {
  readonly job: Job;
  readonly record: GenerationRecord;
  readonly revision: number;
}

/** The job of a generation. Throws GENERATION_INVALID for a name that none may have. */
export function generationJob(origin: Job, generation: string): Job {
  if (origin.origin !== undefined)
    throw new TidemarkError(
      "GENERATION_INVALID",
      `${origin.name} is a generation itself: begin the other one from a snapshot of ${origin.origin}.`,
    );
  if (generation === ORIGIN_WORD)
    throw new TidemarkError("GENERATION_INVALID", `"${ORIGIN_WORD}" is how a switch names the job itself; choose another name.`);
  try {
    return generationOf(origin, generation);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new TidemarkError("GENERATION_INVALID", error.message);
  }
}

/** What stands for the origin where a generation is to be named. */
export const ORIGIN_WORD = "origin";

/** Throws GENERATION_INVALID, or GENERATION_TAKEN when there is a generation, a job or a stream of the name. */
export async function claimName(
  parts: BeginParts,
  request: Omit<BeginRequest, "bases" | "mapVersion">,
  jobs: readonly Job[],
): Promise<Claim> {
  const { nc, clock, node, bucket } = parts;
  const { origin, identity, generation, of, who } = request;
  const job = generationJob(origin, generation);
  if (jobs.some(({ name, origin: from }) => name === job.name && from === undefined))
    throw new TidemarkError("GENERATION_TAKEN", `The app has a job "${job.name}".`);
  const { record: found, revision } = await bucket.generation(job.name);
  if (found !== undefined)
    throw new TidemarkError("GENERATION_TAKEN", `There is a generation "${generation}" of ${origin.name}: ${found.status}.`);
  const stream = outputStreamName(job.name, 0);
  if (await hasStream(nc, stream)) throw new TidemarkError("GENERATION_TAKEN", `There is a stream ${stream}.`);
  const { version, codeHash } = identity;
  const record: GenerationRecord = {
    format: GENERATION_FORMAT,
    job: origin.name,
    generation,
    log: origin.log,
    status: "beginning",
    who,
    begunAt: clock.now(),
    node,
    of,
    version,
    codeHash,
    shards: [],
  };
  try {
    return { job, record, revision: await bucket.writeGeneration(record, revision) };
  } catch (error) {
    if (!isTidemarkError(error, "LOG_CONFLICT")) throw error;
    throw new TidemarkError("GENERATION_TAKEN", `Somebody else begins a generation "${generation}" of ${origin.name} right now.`);
  }
}

/** Writes all of it, and in the end that it is ready. A failure takes the claim back. */
export async function begin(
  parts: BeginParts,
  { record, revision, job }: Claim,
  request: BeginRequest,
  progress: (rows: number) => void,
  signal: AbortSignal,
): Promise<GenerationRecord> {
  try {
    const held = (): Promise<void> => checkClaim(parts, job.name, revision);
    const shards = await writeShards(parts, job, request, { progress, signal, held });
    const ready: GenerationRecord = { ...record, status: "ready", of: request.of, shards };
    await writeReady(parts.bucket, ready, revision);
    return ready;
  } catch (error) {
    await takeBack(parts, record, revision);
    throw error;
  }
}

/** A lost acknowledgement and a claim that is gone look alike until the record is read. */
async function writeReady(bucket: GenerationBucket, ready: GenerationRecord, revision: number): Promise<void> {
  try {
    await bucket.writeGeneration(ready, revision);
  } catch (error) {
    const { record } = await bucket.generation(jobName(ready));
    if (JSON.stringify(record) !== JSON.stringify(ready)) throw error;
  }
}

/** Throws GENERATION_MISSING: the name may be another beginning's by now, and so may be its blobs. */
async function checkClaim({ bucket }: BeginParts, name: string, revision: number): Promise<void> {
  if ((await bucket.generation(name)).revision === revision) return;
  throw new TidemarkError("GENERATION_MISSING", `${name} was dropped while it was being begun.`);
}

/** A claim of a beginning that is over, if it still holds: its blobs go, then the record. */
export async function takeBack(parts: Pick<BeginParts, "bucket" | "writer">, record: GenerationRecord, revision: number): Promise<void> {
  const name = jobName(record);
  try {
    // Whose claim it is shows before anything goes: the blobs may be those of another beginning.
    const dropping = await parts.bucket.writeGeneration({ ...record, status: "dropping" }, revision);
    await parts.writer.deleteAll(name);
    await parts.bucket.deleteGeneration(name, dropping);
  } catch (error) {
    // The claim stays and is taken back at the node's next start, or by whoever drops it.
    if (!isTidemarkError(error)) throw error;
  }
}

interface Writing {
  readonly progress: (rows: number) => void;
  readonly signal: AbortSignal;
  /** Throws when the claim is gone. */
  readonly held: () => Promise<void>;
}

async function writeShards(
  { nc, clock: _clock, replication, writer }: BeginParts,
  job: Job,
  { origin, identity, bases, mapVersion }: BeginRequest,
  { progress, signal, held }: Writing,
): Promise<readonly GenerationShard[]> {
  await held();
  await writer.deleteAll(job.name);
  await SkipList.ensure(nc, job.name, replication);
  const written: ShardManifest[] = [];
  const shards: GenerationShard[] = [];
  let before = 0;
  for (const [shard, { source, cursor, last }] of bases.entries()) {
    signal.throwIfAborted();
    await copySkips(nc, origin.name, job.name, shard);
    const snapshot = writer.newName(cursor);
    const log = new NatsPartitionLog(nc, job.log, shard);
    const place = { log: job.log, partition: shard, job: job.name };
    const root = await appendRoot(log, place, identity, { from: cursor, base: { job: job.name, snapshot } });
    let rows = 0;
    const base: SnapshotShard = { job: job.name, log: job.log, shard, partitions: bases.length, mapVersion };
    const manifest = await writer.writeBase({ source, shard: base, snapshot, root: { ...identity, sequence: root } }, (count) => {
      rows = count;
      progress(before + count);
    });
    before += rows;
    written.push(manifest);
    shards.push({ shard, position: formatPosition(shard, last.sequence, last.index), base: snapshot, root });
  }
  signal.throwIfAborted();
  await held();
  await writer.nameBases(written);
  return shards;
}

/** What took a process down in the origin's fold would take it down again. One copied twice says the same twice. */
async function copySkips(nc: NatsConnection, from: string, to: string, shard: number): Promise<void> {
  const list = new SkipList(nc, to, shard);
  const there = await list.read();
  for (const [unit, reason] of await new SkipList(nc, from, shard).read()) if (!there.has(unit)) await list.copy(unit, reason);
}

async function hasStream(nc: NatsConnection, stream: string): Promise<boolean> {
  try {
    await streamInfo(nc, stream);
    return true;
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return false;
    throw error;
  }
}
