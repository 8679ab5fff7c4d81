/**
 * What of a log, and of the outputs made from it, may go: a pure plan.
 *
 * Everybody who needs something of a stream holds it from a sequence on, and says why; a stream is cut at the least of
 * these. Who says nothing of what he needs holds all of it. Plans name what can no longer be asked once they are done.
 */

/** A snapshot of one shard. Times are milliseconds. */
export interface SnapshotFact {
  /** Of the job's snapshot that names it. */
  readonly id: string;
  readonly takenAt: number;
  /** Where a fold of it goes on. */
  readonly next: number;
  /** The last entry that is in it. */
  readonly last: { readonly sequence: number; readonly index: number };
  readonly processingTime: number;
  readonly outputs: number;
}

/** A job that has epochs in a partition, or runs there. */
export interface JobFacts {
  readonly job: string;
  /** Its shard on this node: sequence of the last entry that it has folded; `undefined` when it does not run. Absent: not on this node. */
  readonly shard?: { readonly folded: number | undefined };
  readonly snapshots: readonly SnapshotFact[];
  /** Sequence of its newest epoch entry; 0 when the log has none. */
  readonly newestEpoch: number;
}

/** Who holds a stream, from which sequence on. */
export interface Hold {
  readonly by: string;
  readonly from: number;
  readonly why: string;
}

interface StreamFacts {
  readonly stream: string;
  /** First sequence that is stored; last + 1 when the stream is empty. */
  readonly first: number;
  readonly last: number;
  /** Of pumps, sinks and consumers. */
  readonly holds: readonly Hold[];
}

export interface PartitionFacts extends StreamFacts {
  readonly partition: number;
  readonly jobs: readonly JobFacts[];
  /** First entry that was stored within the time to keep; last + 1 when none was. */
  readonly young: number;
}

export interface OutputFacts extends StreamFacts {
  readonly partition: number;
  readonly job: JobFacts;
}

export interface TrimFacts {
  readonly now: number;
  readonly keepMs: number;
  readonly partitions: readonly PartitionFacts[];
  readonly outputs: readonly OutputFacts[];
}

export interface StreamPlan {
  readonly stream: string;
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  /** The first message that stays; `first` when nothing goes. */
  readonly keepFrom: number;
  /** Those who need the message at `keepFrom`. */
  readonly heldBy: readonly Hold[];
}

/** What can no longer be asked of a job's shard. */
export interface Loss {
  readonly job: string;
  /** The oldest state that folds can go on from: `?at`, timelines, verification, replay and restore begin there. */
  readonly oldest: Pick<SnapshotFact, "id" | "last" | "processingTime"> | undefined;
  /** Snapshots that show their own moment and nothing behind it. */
  readonly stranded: readonly string[];
}

export interface LogPlan extends StreamPlan {
  /** Jobs whose newest epoch entry would go: it is written again before. */
  readonly epochsAgain: readonly string[];
  /** Snapshots that the cut relies on. */
  readonly reliesOn: readonly string[];
  readonly losses: readonly Loss[];
}

export interface TrimPlan {
  readonly logs: readonly LogPlan[];
  readonly outputs: readonly StreamPlan[];
}

export function planTrim({ now, keepMs, partitions, outputs }: TrimFacts): TrimPlan {
  const before = now - keepMs;
  return {
    logs: partitions.map((facts) => planLog(facts, before)),
    outputs: outputs.map((facts) => planOutputs(facts, before)),
  };
}

function planLog(facts: PartitionFacts, before: number): LogPlan {
  const { first, jobs, young } = facts;
  const needed = jobs.map((job) => ({ job, base: baseOf(job.snapshots, first, before) }));
  const holds = needed.flatMap(({ job, base }) => [...snapshotHold(job, base, first, ({ next }) => next), ...shardHold(job, first)]);
  const keep = { by: "the time to keep", from: young, why: "what was stored within it stays" };
  const plan = cut(facts, [...holds, keep, ...facts.holds]);
  const { keepFrom } = plan;
  const isCut = keepFrom > first;
  return {
    ...plan,
    epochsAgain: isCut ? jobs.filter(({ newestEpoch }) => newestEpoch > 0 && newestEpoch < keepFrom).map(({ job }) => job) : [],
    reliesOn: isCut ? [...new Set(needed.flatMap(({ base }) => (base === undefined ? [] : [base.id])))] : [],
    losses: isCut ? jobs.map((job) => lossOf(job, first, keepFrom)) : [],
  };
}

function planOutputs(facts: OutputFacts, before: number): StreamPlan {
  const base = baseOf(facts.job.snapshots, 0, before);
  return cut(facts, [...snapshotHold(facts.job, base, facts.first, ({ outputs }) => outputs + 1), ...facts.holds]);
}

/** The last message stays, whatever nobody needs: it says where the stream is. */
function cut({ stream, partition, first, last }: PartitionFacts | OutputFacts, holds: readonly Hold[]): StreamPlan {
  const all = [...holds, { by: "the stream", from: last, why: "its last message stays" }];
  const least = Math.min(...all.map(({ from }) => from));
  const keepFrom = Math.max(first, least);
  return { stream, partition, first, last, keepFrom, heldBy: all.filter(({ from }) => from <= keepFrom) };
}

/** The newest that is as old as the time to keep asks; without one the oldest. One that the log does not reach back to is none. */
function baseOf(snapshots: readonly SnapshotFact[], first: number, before: number): SnapshotFact | undefined {
  const usable = snapshots.filter(({ next }) => next >= first).sort((a, b) => b.next - a.next || b.takenAt - a.takenAt);
  return usable.find(({ takenAt }) => takenAt <= before) ?? usable.at(-1);
}

function snapshotHold(
  { job, shard }: JobFacts,
  base: SnapshotFact | undefined,
  first: number,
  needs: (base: SnapshotFact) => number,
): readonly Hold[] {
  if (base !== undefined) return [{ by: job, from: needs(base), why: `its snapshot ${base.id} goes on there` }];
  const why =
    shard === undefined
      ? "it does not run on this node and has no snapshot to go on from: let it run, or say that it is gone"
      : "its shard has no snapshot to go on from: take one";
  return [{ by: job, from: first, why }];
}

function shardHold({ job, shard }: JobFacts, first: number): readonly Hold[] {
  if (shard === undefined) return [];
  if (shard.folded === undefined) return [{ by: job, from: first, why: "its shard does not run" }];
  return [{ by: job, from: shard.folded, why: "its shard has folded so far" }];
}

function lossOf({ job, snapshots }: JobFacts, first: number, keepFrom: number): Loss {
  const sorted = [...snapshots].sort((a, b) => a.next - b.next || a.takenAt - b.takenAt);
  const oldest = sorted.find(({ next }) => next >= keepFrom);
  const stranded = sorted.filter(({ next }) => next >= first && next < keepFrom).map(({ id }) => id);
  return {
    job,
    oldest: oldest && { id: oldest.id, last: oldest.last, processingTime: oldest.processingTime },
    stranded,
  };
}
