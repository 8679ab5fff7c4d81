/**
 * Where the pumps of an app run, and whether they can: pure decisions over what its jobs declare.
 *
 * A pump of a log runs beside the shard of its own job with the source partition's number, modulo; a pump of outputs
 * beside the shard that makes them, for only that knows how far they are.
 */
import { type Job, lineageOf } from "../../actors/model/job.ts";
import type { PumpSource, Repartition } from "../../actors/model/repartition.ts";
import { TidemarkError } from "../errors.ts";
import type { RunningJob } from "../node/node.ts";

/** One pump of one source partition. A plain record: it crosses threads. */
export interface PumpPlace {
  /** The job that declares it. */
  readonly job: string;
  readonly pump: string;
  readonly partition: number;
  readonly partitions: number;
  /** Partition of the target log that owns each slot. */
  readonly owners: readonly number[];
  readonly targets: number;
}

/** The log whose partitions a source has. */
export function logOfSource(source: PumpSource, jobs: readonly Job[]): string | undefined {
  return source.kind === "log" ? source.log : jobs.find(({ name }) => name === source.job)?.log;
}

/** The logs of an app: those that its jobs read, and those that their pumps do. */
export function logsOf(jobs: readonly Job[]): string[] {
  const sources = jobs.flatMap(({ from }) => from.flatMap(({ source }) => (source.kind === "log" ? [source.log] : [])));
  return [...new Set([...jobs.map(({ log }) => log), ...sources])];
}

/** The pumps that run beside one shard: of a generation those of its job's outputs, which it may be its turn to carry on. */
export function pumpsBeside(shard: { readonly job: Job; readonly partition: number }, jobs: readonly RunningJob[]): PumpPlace[] {
  return jobs.flatMap(({ job, map, sources }) =>
    job.from.flatMap(({ name, source }) => {
      const isBeside = source.kind === "log" ? job.name === shard.job.name : source.job === lineageOf(shard.job);
      if (!isBeside) return [];
      const { partitions } = sources.get(name)!;
      const hosts = source.kind === "log" ? map.partitions : partitions;
      const numbers = Array.from({ length: partitions }, (_, partition) => partition).filter(
        (number) => number % hosts === shard.partition,
      );
      const place = { job: job.name, pump: name, partitions, owners: map.owners, targets: map.partitions };
      return numbers.map((partition) => ({ ...place, partition }));
    }),
  );
}

/** Throws APP_INVALID for pumps that could not run, or would never end. `path`: the app's. */
export function checkPumps(path: string, jobs: readonly Job[]): void {
  const refuse = (job: Job, { name }: Repartition, why: string): never => {
    throw new TidemarkError("APP_INVALID", `${path}: the pump "${name}" of job "${job.name}" ${why}.`);
  };
  const fed = new Map<string, Set<string>>();
  for (const { log } of jobs) fed.set(log, new Set());
  for (const job of jobs) {
    for (const pump of job.from) {
      const from = logOfSource(pump.source, jobs);
      if (from === undefined) refuse(job, pump, "reads the outputs of a job that the app does not have");
      else fed.get(job.log)!.add(from);
      const same = jobs.find((other) => other !== job && other.log === job.log && other.from.some(({ name }) => name === pump.name));
      if (same !== undefined) refuse(job, pump, `has the name of a pump of job "${same.name}" into the same log: declare it once`);
    }
  }
  for (const job of jobs) {
    for (const pump of job.from) {
      if (pump.source.kind === "log" && (fed.get(pump.source.log)?.size ?? 0) > 0)
        refuse(job, pump, "reads a log that pumps feed: read the log that those read, or a job's outputs");
      if (reaches(logOfSource(pump.source, jobs)!, job.log, fed)) refuse(job, pump, "is part of a circle: its watermark could never rise");
    }
  }
}

function reaches(from: string, to: string, fed: ReadonlyMap<string, ReadonlySet<string>>, seen = new Set<string>()): boolean {
  if (from === to) return true;
  if (seen.has(from)) return false;
  seen.add(from);
  return [...(fed.get(from) ?? [])].some((next) => reaches(next, to, fed, seen));
}
