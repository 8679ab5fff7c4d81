/**
 * Hands the shards of a job over to another build, as an operation, wherever their owners are: every partition gets the epoch
 * entry, every shard folds up to exactly there, publishes and commits.
 *
 *   asked ──▶ checked against every partition ──▶ entries appended ──▶ folded up to them
 *
 * Where the build that follows runs on the node that is asked, each shard goes on with it there and then, and a snapshot was taken
 * before. Else the nodes stay up and answer, their shards stopped, until the next build takes their place; what the shards came to
 * is kept as a snapshot.
 *
 * Nothing is appended before every job was found able to hand over. What is cut off behind that is finished when this build is
 * started again, or when the same is asked again.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import { codeOf, readEpochs } from "../shard/epochs.ts";
import { type HandOverReport, isSettled } from "../shard/hand-over.ts";
import type { ShardReport } from "../shard/report.ts";
import { checkHandOver, cutOffHandOver, type EpochList, inForce } from "./hand-over-plan.ts";
import type { Operation, Operations, Progress } from "./operations.ts";

/** A job of this node, and its own build of it. */
export interface OwnBuild {
  readonly job: string;
  readonly log: string;
  readonly partitions: number;
  readonly identity: CodeIdentity;
}

/** The build that is to follow in a job's place. */
export interface NextBuild {
  readonly job: string;
  readonly log: string;
  readonly identity: CodeIdentity;
}

export interface HandOverParts {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  readonly operations: Operations;
  readonly builds: readonly OwnBuild[];
  /** Asks every owner of a shard of the job that answers. */
  readonly ask: (job: string, next: CodeIdentity) => Promise<void>;
  /** Of the shards that were asked, on all nodes that answer. */
  readonly reports: () => Promise<readonly HandOverReport[]>;
  /** Owners of shards, on all nodes that answer. */
  readonly shards: () => Promise<readonly Pick<ShardReport, "job" | "shard" | "build">[]>;
  /** Keeps the state of these jobs as it is at the epoch, when every shard is there; gives the snapshots' ids. */
  readonly snapshot: (jobs: readonly string[]) => Promise<readonly string[]>;
}

/** What the operation came to; plain JSON. */
export interface HandOverResult {
  readonly shards: readonly { readonly job: string; readonly shard: number; readonly version: number; readonly codeHash: string }[];
  /** Jobs whose build is the same. */
  readonly unchanged: readonly string[];
  /** The build that follows has gone on already. */
  readonly goesOn: boolean;
  readonly snapshots: readonly string[];
}

const POLL_MS = 20;
/** An owner that took a shard over meanwhile is asked so soon. */
const ASK_AGAIN_MS = 1_000;
const RESUME_RETRY_MS = 1_000;
const WHO_RESUMES = "cut-off hand-over";

interface Wanted {
  readonly over: ReadonlyMap<string, CodeIdentity>;
  readonly unchanged: readonly string[];
}

export class HandOvers {
  readonly #parts: HandOverParts;
  /** From when it is asked until its operation has ended. */
  readonly #claims = new Set<{ readonly job: string; readonly next: CodeIdentity }>();
  #resumed: Promise<Operation | undefined> = Promise.resolve(undefined);

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  reports(): Promise<readonly HandOverReport[]> {
    return this.#parts.reports();
  }

  /**
   * Starts it. Asked twice for the same, both operations come to the same end. Throws APP_INVALID for a job that does not run here
   * or that reads another log, and what `checkHandOver` throws; nothing was appended then.
   */
  async begin(nexts: readonly NextBuild[], who: string): Promise<Operation> {
    const over = this.#wanted(nexts);
    const unchanged: string[] = [];
    // Before anything is waited for: another that is asked meanwhile finds them.
    const claims = [...over].map(([job, next]) => ({ job, next }));
    for (const claim of claims) this.#claims.add(claim);
    const release = (): void => {
      for (const claim of claims) this.#claims.delete(claim);
    };
    try {
      for (const own of this.#parts.builds) {
        const next = over.get(own.job);
        if (next === undefined) continue;
        const lists = await this.#epochs(own);
        const before = sameCode(own.identity, next) ? inForce(lists, next) : own.identity;
        if (before !== undefined) checkHandOver(own.job, lists, before, next);
        else {
          over.delete(own.job);
          unchanged.push(own.job);
        }
      }
      return this.#parts.operations.start({ kind: "hand-over", unit: "shards", who }, (progress) =>
        this.#work({ over, unchanged }, progress).finally(release),
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  #wanted(nexts: readonly NextBuild[]): Map<string, CodeIdentity> {
    const over = new Map<string, CodeIdentity>();
    for (const { job, log, identity } of nexts) {
      const own = this.#parts.builds.find((build) => build.job === job);
      if (own === undefined) throw new TidemarkError("APP_INVALID", `The job ${job} does not run here.`);
      if (own.log !== log)
        throw new TidemarkError("APP_INVALID", `${job} reads the log ${own.log}; to read ${log} it needs a job of another name.`);
      const other = [...this.#claims].find((claim) => claim.job === job && !sameCode(claim.next, identity))?.next;
      if (other !== undefined)
        throw new TidemarkError("CODE_UNAVAILABLE", `${job} hands over to ${codeOf(other)} now, not to ${codeOf(identity)}.`);
      over.set(job, identity);
    }
    return over;
  }

  /**
   * Finishes what an earlier process of this build was cut off in. `undefined` when there is nothing to finish. NATS is waited for
   * until `stopped`.
   */
  resume(notice: (message: string) => void, stopped: () => boolean): Promise<Operation | undefined> {
    this.#resumed = this.#resume(notice, stopped);
    return this.#resumed;
  }

  /** Resolves when there is nothing left that `resume` finishes; gives its operation. */
  async resumed(): Promise<Operation | undefined> {
    const begun = await this.#resumed;
    return begun === undefined ? undefined : await this.#parts.operations.ended(begun.id);
  }

  async #resume(notice: (message: string) => void, stopped: () => boolean): Promise<Operation | undefined> {
    for (;;) {
      try {
        const cutOff: NextBuild[] = [];
        for (const own of this.#parts.builds) {
          const identity = cutOffHandOver(await this.#epochs(own), own.identity);
          if (identity === undefined) continue;
          notice(`${own.job} was handing over to ${codeOf(identity)}: that is finished now`);
          cutOff.push({ job: own.job, log: own.log, identity });
        }
        return cutOff.length === 0 ? undefined : await this.begin(cutOff, WHO_RESUMES);
      } catch (error) {
        if (stopped()) return undefined;
        if (!isTidemarkError(error, "NATS_UNREACHABLE")) throw error;
        await this.#parts.clock.sleep(RESUME_RETRY_MS);
      }
    }
  }

  async #work({ over, unchanged }: Wanted, progress: Progress): Promise<HandOverResult> {
    const { builds, snapshot } = this.#parts;
    const goesOn = builds.some(({ job, identity }) => over.has(job) && sameCode(identity, over.get(job)!));
    // Of shards that go on at once there is no state exactly at the entry for anybody to read.
    const before = goesOn ? await snapshot([...over.keys()]) : [];
    const shards = await this.#settled(over, progress);
    const failed = shards.filter(({ state }) => state === "failed");
    const [first] = failed;
    if (first !== undefined) {
      const { code, detail } = first.error!;
      throw new TidemarkError(
        code,
        `${shards.length - failed.length} of ${shards.length} shards have handed over. ${first.job}/${first.shard}: ${detail}`,
      );
    }
    const here = [...over.keys()].filter((job) => shards.some((shard) => shard.job === job && shard.here));
    return {
      shards: shards.map(({ job, shard, next: { version, codeHash } }) => ({ job, shard, version, codeHash })),
      unchanged,
      goesOn,
      snapshots: goesOn || here.length === 0 ? before : await snapshot(here),
    };
  }

  /** Has no bound of time, for a backlog may lie before the entries. */
  async #settled(over: ReadonlyMap<string, CodeIdentity>, { signal, report }: Progress): Promise<readonly HandOverReport[]> {
    const { clock, ask } = this.#parts;
    for (let askedAt = Number.NEGATIVE_INFINITY; ; ) {
      signal.throwIfAborted();
      if (clock.monotonic() - askedAt >= ASK_AGAIN_MS) {
        for (const [job, next] of over) await ask(job, next);
        askedAt = clock.monotonic();
      }
      const shards = await this.#states(over);
      const settled = shards.flatMap((shard) => (shard !== undefined && isSettled(shard) ? [shard] : []));
      report(settled.length, shards.length);
      if (settled.length === shards.length) return settled;
      await clock.sleep(POLL_MS);
    }
  }

  /** Of every shard: `undefined` where nobody who answers was asked. */
  async #states(over: ReadonlyMap<string, CodeIdentity>): Promise<readonly (HandOverReport | undefined)[]> {
    const [asked, owners] = await Promise.all([this.#parts.reports(), this.#parts.shards()]);
    return this.#parts.builds.flatMap(({ job, partitions }) => {
      const next = over.get(job);
      if (next === undefined) return [];
      return Array.from({ length: partitions }, (_, shard): HandOverReport | undefined => {
        const reports = asked.filter((report) => report.job === job && report.shard === shard && sameCode(report.next, next));
        const over = reports.find(({ state }) => state === "handed-over");
        const owner = owners.find((report) => report.job === job && report.shard === shard);
        if (over === undefined && owner?.build?.version === next.version && owner.build.codeHash === next.codeHash)
          return { job, shard, state: "handed-over", lag: 0, next, here: false };
        return over ?? reports[0];
      });
    });
  }

  /** By partition; of one whose history was never begun, none. */
  async #epochs({ job, log, partitions }: OwnBuild): Promise<readonly EpochList[]> {
    const places = Array.from({ length: partitions }, (_, partition) => ({ job, log, partition }));
    return await Promise.all(places.map((place) => readEpochs(new NatsPartitionLog(this.#parts.nc, log, place.partition), place)));
  }
}
