/**
 * Where the samples end in logs that pumps feed: in each partition behind the entry in which the last of its sources says
 * that nothing older than the sample's end comes. A sample stands in a source, or in a source of that.
 */
import { readPumpLink } from "../../actors/fold/pump-entry.ts";
import { pumpSubject } from "../../actors/fold/subject.ts";
import type { PartitionLog } from "../../runtime/log/partition-log.ts";
import type { KnownJob } from "./client/known-jobs.ts";

type ReadLog = Pick<PartitionLog, "firstOn" | "lastOn">;

interface FedJob {
  readonly job: KnownJob;
  readonly from: NonNullable<KnownJob["from"]>;
  /** End of the samples that come to it, milliseconds. */
  readonly until: number;
}

export class PumpedEnds {
  readonly #logOf: (log: string, partition: number) => ReadLog;
  #open: readonly FedJob[];

  /** `untils`: by log, where its sample ends in event time. */
  constructor(jobs: readonly KnownJob[], untils: ReadonlyMap<string, number>, logOf: (log: string, partition: number) => ReadLog) {
    this.#logOf = logOf;
    this.#open = jobs.flatMap((job) => {
      const { from = [] } = job;
      const until = from.length === 0 ? undefined : untilOf(job.log, jobs, untils);
      return until === undefined ? [] : [{ job, from, until }];
    });
  }

  /** Logs whose ends were not found yet. */
  get open(): ReadonlySet<string> {
    return new Set(this.#open.map(({ job }) => job.log));
  }

  /** Ends found since the last call: by log, the sequence in each partition. */
  async find(): Promise<ReadonlyMap<string, readonly number[]>> {
    const found = new Map<string, readonly number[]>();
    for (const fed of this.#open) {
      const ends = await Promise.all(Array.from({ length: fed.job.partitions }, (_, partition) => this.#endOf(fed, partition)));
      const all = ends.filter((end) => end !== undefined);
      if (all.length === ends.length) found.set(fed.job.log, all);
    }
    this.#open = this.#open.filter(({ job }) => !found.has(job.log));
    return found;
  }

  /** `undefined` while one of the sources has not said it. */
  async #endOf({ job, from, until }: FedJob, partition: number): Promise<number | undefined> {
    const log = this.#logOf(job.log, partition);
    let end = 0;
    for (const { pump, partitions } of from) {
      for (let source = 0; source < partitions; source++) {
        const subject = pumpSubject(job.log, partition, pump, source);
        const said = (entry: Awaited<ReturnType<ReadLog["lastOn"]>>) =>
          (readPumpLink(entry?.headers)?.watermark ?? Number.NEGATIVE_INFINITY) >= until;
        if (!said(await log.lastOn(subject))) return undefined;
        let entry = await log.firstOn(subject, 1);
        while (!said(entry)) entry = await log.firstOn(subject, entry!.sequence + 1);
        end = Math.max(end, entry!.sequence);
      }
    }
    return end;
  }
}

/** The latest end of the samples that come into a log; `undefined` where none does. */
function untilOf(log: string, jobs: readonly KnownJob[], untils: ReadonlyMap<string, number>): number | undefined {
  const own = untils.get(log);
  const sources = jobs.filter((job) => job.log === log).flatMap(({ from = [] }) => from.map(({ source }) => source));
  const through = sources.map((source) => untilOf(jobs.find(({ job }) => `${job}-out` === source)?.log ?? source, jobs, untils));
  const all = [own, ...through].filter((until) => until !== undefined);
  return all.length === 0 ? undefined : Math.max(...all);
}
