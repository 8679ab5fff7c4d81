/**
 * Asks everybody who may need something of a log: the jobs that have epochs in it, wherever they run, their snapshots,
 * the shards of this node, pumps, feature sinks and durable consumers. It changes nothing.
 *
 * It cannot see a pump of another app that reads this log, nor a consumer that is not durable.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { STATE_FORMAT } from "../../actors/fold/meta.ts";
import type { PumpLink } from "../../actors/fold/pump-entry.ts";
import { epochSubject, PUMP_JOURNAL } from "../../actors/fold/subject.ts";
import { lineageOf } from "../../actors/model/job.ts";
import { parsePosition } from "../../actors/model/position.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { FeatureBucket } from "../features/feature-bucket.ts";
import { GenerationBucket } from "../generations/generation-bucket.ts";
import { askStream, streamInfo } from "../log/jetstream-api.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { SlotMap } from "../log/slot-map.ts";
import type { RunningJob } from "../node/node.ts";
import { outputStreamName } from "../outputs/output-layout.ts";
import { pumpLinks, pumpsOfOutputs } from "../pump/carried-outputs.ts";
import { isEndOf, newestStretch, stretchOf } from "../pump/pump-course.ts";
import { type EpochPlace, readRoot } from "../shard/epochs.ts";
import type { ShardReport } from "../shard/report.ts";
import type { Snapshots } from "../snapshots/snapshots.ts";
import type { Hold, JobFacts, OutputFacts, PartitionFacts, SnapshotFact, TrimFacts } from "./trim-plan.ts";

export interface TrimScope {
  readonly log: string;
  readonly map: SlotMap;
  readonly keepMs: number;
  /** Whether output streams are trimmed too. */
  readonly outputs: boolean;
  /** Jobs that are gone for good and hold nothing. */
  readonly without: readonly string[];
}

export interface TrimWorld {
  readonly nc: NatsConnection;
  /** All of this node, also those of other logs. */
  readonly jobs: readonly RunningJob[];
  readonly snapshots: Pick<Snapshots, "list" | "get">;
  readonly shards: () => Promise<readonly ShardReport[]>;
  readonly now: () => number;
}

/** By shard number. */
type ShardSnapshots = ReadonlyMap<number, readonly { readonly fact: SnapshotFact; readonly epochRoot: number }[]>;

const CONSUMERS_PAGE_MAX = 10_000;

/** Throws SNAPSHOT_STORE, NATS_UNREACHABLE or LOG_MISSING. */
export async function gatherTrimFacts(world: TrimWorld, scope: TrimScope): Promise<TrimFacts> {
  const { log, map, keepMs } = scope;
  const running = world.jobs.filter(({ job }) => job.log === log).map(({ job }) => job.name);
  const now = world.now();
  const bucket = new GenerationBucket(world.nc);
  const known = new Map<string, ShardSnapshots>();
  const partitions: PartitionFacts[] = [];
  const outputs: OutputFacts[] = [];
  for (let partition = 0; partition < map.partitions; partition++) {
    const stream = new NatsPartitionLog(world.nc, log, partition);
    const names = new Set([...running, ...(await jobsWithEpochs(world.nc, stream.stream, log, partition))]);
    const jobs: JobFacts[] = [];
    for (const name of [...names].sort()) {
      const newest = await stream.lastOn(epochSubject(log, partition, name));
      // One that runs here is not gone, whatever was said.
      if (!running.includes(name) && (scope.without.includes(name) || (await isDropped(bucket, name, newest)))) continue;
      if (!known.has(name)) known.set(name, await snapshotsOf(world, scope, name));
      const snapshots = await ofHistory(known.get(name)!.get(partition) ?? [], stream, { log, partition, job: name });
      jobs.push({ job: name, snapshots, newestEpoch: newest?.sequence ?? 0 });
    }
    // Asked behind the snapshots: a shard that has folded less than those say is seen here.
    const shards = (await world.shards()).filter((report) => report.shard === partition);
    const withShards = jobs.map((facts) => withShard(facts, shards));
    const { firstSequence: first, lastSequence: last } = await stream.bounds();
    const holds = [...(await marksOf(world, log, partition)), ...(await readersOfLog(world, log, partition, first))];
    const young = await firstSince(stream, first, last, now - keepMs);
    partitions.push({ stream: stream.stream, partition, first, last, jobs: withShards, holds, young });
    if (scope.outputs) for (const job of withShards) outputs.push(...(await outputFacts(world, job, partition)));
  }
  return { now, keepMs, partitions, outputs };
}

/** Throws INPUT_INVALID for a job that is said to be gone and never was, as a name that is mistyped. */
export async function checkGone(nc: NatsConnection, { log, map, without }: TrimScope): Promise<void> {
  const unheard = new Set(without);
  for (let partition = 0; partition < map.partitions && unheard.size > 0; partition++) {
    for (const name of await jobsWithEpochs(nc, new NatsPartitionLog(nc, log, partition).stream, log, partition)) unheard.delete(name);
  }
  if (unheard.size === 0) return;
  const names = [...unheard].map((name) => `"${name}"`).join(", ");
  throw new TidemarkError("INPUT_INVALID", `without: no job ${names} has ever folded the log ${log}.`);
}

/** A generation that is dropped holds nothing. A job that took its name since has written an epoch behind that. */
async function isDropped(bucket: GenerationBucket, name: string, newestEpoch: LogEntry | undefined): Promise<boolean> {
  const goneAt = await bucket.goneAt(name);
  return goneAt !== undefined && newestEpoch !== undefined && newestEpoch.logTime < goneAt;
}

function withShard(facts: JobFacts, shards: readonly ShardReport[]): JobFacts {
  const report = shards.find(({ job }) => job === facts.job);
  if (report === undefined) return facts;
  const runs = report.status === "running" || report.status === "stopping" || report.status === "stopped";
  return { ...facts, shard: { folded: runs ? parsePosition(report.position)!.sequence : undefined } };
}

async function jobsWithEpochs(nc: NatsConnection, stream: string, log: string, partition: number): Promise<string[]> {
  const subjects = await subjectsOf(nc, stream, epochSubject(log, partition, "*"));
  return subjects.map((subject) => subject.split(".").at(-2)!);
}

async function subjectsOf(nc: NatsConnection, stream: string, filter: string): Promise<string[]> {
  const { state } = await askStream<{ readonly state: { readonly subjects?: Readonly<Record<string, number>> } }>(
    nc,
    stream,
    `STREAM.INFO.${stream}`,
    { subjects_filter: filter },
  );
  return Object.keys(state.subjects ?? {});
}

/** Those that a shard could go on from. A history that was made void leaves snapshots behind that nobody may. */
async function ofHistory(
  found: readonly { readonly fact: SnapshotFact; readonly epochRoot: number }[],
  log: NatsPartitionLog,
  place: EpochPlace,
): Promise<readonly SnapshotFact[]> {
  if (found.length === 0) return [];
  try {
    const root = await readRoot(log, place);
    const { firstSequence } = await log.bounds();
    const isOf = (epochRoot: number): boolean => (root === undefined ? epochRoot < firstSequence : epochRoot === root);
    return found.filter(({ epochRoot }) => isOf(epochRoot)).map(({ fact }) => fact);
  } catch (error) {
    // Where the history begins cannot be told: none of them is one to rely on.
    if (isTidemarkError(error, "LOG_TRIMMED") || isTidemarkError(error, "CODE_UNAVAILABLE")) return [];
    throw error;
  }
}

/** One that cannot be read, or restored by this Tidemark in this log, is none to rely on: then an older one is. */
async function snapshotsOf({ snapshots }: TrimWorld, { log, map }: TrimScope, job: string): Promise<ShardSnapshots> {
  const byShard = new Map<number, { readonly fact: SnapshotFact; readonly epochRoot: number }[]>();
  for (const { id } of (await snapshots.list(job)).snapshots) {
    try {
      for (const manifest of (await snapshots.get(id)).shards) {
        if (manifest.stateFormat !== STATE_FORMAT || manifest.log !== log || manifest.partitions !== map.partitions) continue;
        const { shard, takenAt, cursor, last, processingTime, outputs, epochRoot } = manifest;
        const fact = { id, takenAt, next: cursor.sequence, last, processingTime, outputs };
        byShard.set(shard, [...(byShard.get(shard) ?? []), { fact, epochRoot }]);
      }
    } catch (error) {
      if (!isTidemarkError(error) || error.code === "SNAPSHOT_STORE" || error.code === "NATS_UNREACHABLE") throw error;
    }
  }
  return byShard;
}

/** A pump begins behind its last message in each partition that it feeds; without that it would read its source again. */
async function marksOf({ nc, jobs }: TrimWorld, log: string, partition: number): Promise<Hold[]> {
  const target = new NatsPartitionLog(nc, log, partition);
  const declared = new Set(jobs.filter(({ job }) => job.log === log).flatMap(({ job }) => job.from.map(({ name }) => name)));
  const holds: Hold[] = [];
  for (const subject of await subjectsOf(nc, target.stream, `${log}.p${partition}.j.${PUMP_JOURNAL}.>`)) {
    const name = subject.split(".").at(-2)!;
    const last = declared.has(name) ? await target.lastOn(subject) : undefined;
    if (last !== undefined) holds.push({ by: `the pump ${name}`, from: last.sequence, why: "its last message says how far it is" });
  }
  return holds;
}

/** Pumps of this node's jobs that read the partition. */
async function readersOfLog(world: TrimWorld, log: string, partition: number, first: number): Promise<Hold[]> {
  const readers = world.jobs.flatMap((running) =>
    running.job.from.filter(({ source }) => source.kind === "log" && source.log === log).map(({ name }) => ({ running, name })),
  );
  return await Promise.all(readers.map(({ running, name }) => pumpHold(world.nc, running, name, partition, first)));
}

async function pumpHold(nc: NatsConnection, { job, map }: RunningJob, pump: string, source: number, first: number): Promise<Hold> {
  const by = `the pump ${pump} of ${job.name}`;
  const links = await pumpLinks(nc, job.log, map.partitions, pump, source);
  const missing = links.indexOf(undefined);
  if (missing !== -1) return { by, from: first, why: `${job.log}-${missing} has nothing of it yet` };
  return { by, from: Math.min(...links.map((link) => link!.next.sequence)), why: "it reads on there" };
}

/** By halves: the server finds messages by sequence, and leaders' clocks may step back a little. */
export async function firstSince(log: Pick<NatsPartitionLog, "firstOn">, first: number, last: number, since: number): Promise<number> {
  let low = first;
  let high = last + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const entry = await log.firstOn(">", middle);
    if (entry === undefined || entry.logTime >= since) high = middle;
    else low = entry.sequence + 1;
  }
  return low;
}

/** Of pumps that carry outputs of a job, or of a generation of it. */
async function carriedHolds({ nc, jobs }: TrimWorld, name: string, partition: number, first: number): Promise<Hold[]> {
  const found = jobs.find(({ job }) => job.name === name)?.job;
  const origin = found === undefined ? name : lineageOf(found);
  const pumps = pumpsOfOutputs(
    jobs.map(({ job }) => job),
    origin,
  );
  const isFollowed = pumps.length > 0 && (await new GenerationBucket(nc).activeOf(origin)) === name;
  return await Promise.all(
    pumps.map(async ({ pump, job }): Promise<Hold> => {
      const targets = jobs.find((running) => running.job === job)!.map.partitions;
      const links = await pumpLinks(nc, job.log, targets, pump, partition);
      return { by: `the pump ${pump} of ${job.name}`, from: neededFrom(links, origin, name, isFollowed, first), why: "it reads on there" };
    }),
  );
}

/** The first output of `name` that its pump has yet to carry, or will when it begins there. */
function neededFrom(links: readonly (PumpLink | undefined)[], origin: string, name: string, isFollowed: boolean, first: number): number {
  const newest = newestStretch(links, origin);
  if (newest === undefined || newest.isOver || newest.stretch.job !== name) return isFollowed ? first : Number.POSITIVE_INFINITY;
  const { stretch, end } = newest;
  const needs = links.map((link) => {
    if (link === undefined || stretchOf(link, origin).turn !== stretch.turn) return first;
    return isEndOf(link, origin, stretch, end) ? Number.POSITIVE_INFINITY : Math.max(first, link.next.sequence - stretch.offset);
  });
  return Math.min(...needs);
}

/** None when the job has no output stream, as one whose node never started. */
async function outputFacts(world: TrimWorld, job: JobFacts, partition: number): Promise<OutputFacts[]> {
  const { nc } = world;
  const stream = outputStreamName(job.job, partition);
  try {
    const { state, created } = await streamInfo(nc, stream);
    const first = Math.max(1, state.first_seq);
    const holds = await carriedHolds(world, job.job, partition, first);
    holds.push(...(await sinkHold(world, job.job, partition, created, first)), ...(await consumerHolds(nc, stream)));
    return [{ stream, partition, first, last: state.last_seq, job, holds }];
  } catch (error) {
    if (isTidemarkError(error, "LOG_MISSING")) return [];
    throw error;
  }
}

async function sinkHold({ nc, jobs }: TrimWorld, name: string, partition: number, created: string, first: number): Promise<Hold[]> {
  const running = jobs.find(({ job }) => job.name === name);
  if (running === undefined || running.job.features.size === 0) return [];
  const place = await new FeatureBucket(nc).place(name, partition);
  const isOfStream = place !== undefined && Date.parse(place.history) === Date.parse(created);
  return [{ by: "the features", from: isOfStream ? place.k + 1 : first, why: "their sink has come so far" }];
}

async function consumerHolds(nc: NatsConnection, stream: string): Promise<Hold[]> {
  const holds: Hold[] = [];
  for (let offset = 0; offset < CONSUMERS_PAGE_MAX; ) {
    const { consumers, total } = await askStream<ConsumerPage>(nc, stream, `CONSUMER.LIST.${stream}`, { offset });
    for (const { config, ack_floor } of consumers ?? []) {
      if (config.durable_name === undefined) continue;
      holds.push({ by: `the consumer ${config.durable_name}`, from: ack_floor.stream_seq + 1, why: "it has acknowledged so far" });
    }
    offset += consumers?.length ?? 0;
    if ((consumers?.length ?? 0) === 0 || offset >= total) break;
  }
  return holds;
}

interface ConsumerPage {
  readonly total: number;
  readonly consumers:
    | readonly { readonly config: { readonly durable_name?: string }; readonly ack_floor: { readonly stream_seq: number } }[]
    | null;
}
