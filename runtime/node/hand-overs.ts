/**
 * Hands the shards of this node over to another build, as an operation: every partition gets the epoch entry, every shard folds
 * up to exactly there, publishes and commits, and what it came to is kept as a snapshot. The node stays up and answers, its shards
 * stopped, until it is ended and the next build takes the data directory.
 *
 *   asked ──▶ checked against every partition ──▶ entries appended ──▶ folded up to them ──▶ snapshot
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
import { checkHandOver, cutOffHandOver, type EpochList } from "./hand-over-plan.ts";
import type { Operation, Operations, Progress } from "./operations.ts";

/** A job of this node, and the build of it that runs. */
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
  /** Asks every shard of the job. */
  readonly ask: (job: string, next: CodeIdentity) => Promise<void>;
  readonly reports: () => Promise<readonly HandOverReport[]>;
  /** Keeps the state of these jobs as it is at the epoch, when every shard is there; gives the snapshots' ids. */
  readonly snapshot: (jobs: readonly string[]) => Promise<readonly string[]>;
}

/** What the operation came to; plain JSON. */
export interface HandOverResult {
  readonly shards: readonly { readonly job: string; readonly shard: number; readonly version: number; readonly codeHash: string }[];
  /** Jobs whose build is the same. */
  readonly unchanged: readonly string[];
  readonly snapshots: readonly string[];
}

const POLL_MS = 20;
const RESUME_RETRY_MS = 1_000;
const WHO_RESUMES = "cut-off hand-over";

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
    const { over, unchanged } = this.#wanted(nexts);
    // Before anything is waited for: another that is asked meanwhile finds them.
    const claims = [...over].map(([job, next]) => ({ job, next }));
    for (const claim of claims) this.#claims.add(claim);
    const release = (): void => {
      for (const claim of claims) this.#claims.delete(claim);
    };
    try {
      for (const own of this.#parts.builds) {
        const next = over.get(own.job);
        if (next !== undefined) checkHandOver(own.job, await this.#epochs(own), own.identity, next);
      }
      return this.#parts.operations.start({ kind: "hand-over", unit: "shards", who }, (progress) =>
        this.#work(over, unchanged, progress).finally(release),
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  #wanted(nexts: readonly NextBuild[]): { readonly over: ReadonlyMap<string, CodeIdentity>; readonly unchanged: readonly string[] } {
    const unchanged: string[] = [];
    const over = new Map<string, CodeIdentity>();
    for (const { job, log, identity } of nexts) {
      const own = this.#parts.builds.find((build) => build.job === job);
      if (own === undefined) throw new TidemarkError("APP_INVALID", `The job ${job} does not run here.`);
      if (own.log !== log)
        throw new TidemarkError("APP_INVALID", `${job} reads the log ${own.log}; to read ${log} it needs a job of another name.`);
      if (sameCode(own.identity, identity)) {
        unchanged.push(job);
        continue;
      }
      const other = [...this.#claims].find((claim) => claim.job === job && !sameCode(claim.next, identity))?.next;
      if (other !== undefined)
        throw new TidemarkError("CODE_UNAVAILABLE", `${job} hands over to ${codeOf(other)} now, not to ${codeOf(identity)}.`);
      over.set(job, identity);
    }
    return { over, unchanged };
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

  async #work(over: ReadonlyMap<string, CodeIdentity>, unchanged: readonly string[], progress: Progress): Promise<HandOverResult> {
    for (const [job, next] of over) await this.#parts.ask(job, next);
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
      snapshots: here.length === 0 ? [] : await this.#parts.snapshot(here),
    };
  }

  /** Has no bound of time, for a backlog may lie before the entries. */
  async #settled(over: ReadonlyMap<string, CodeIdentity>, { signal, report }: Progress): Promise<readonly HandOverReport[]> {
    for (;;) {
      signal.throwIfAborted();
      const shards = (await this.#parts.reports()).filter(({ job }) => over.has(job));
      report(shards.filter(isSettled).length, shards.length);
      if (shards.every(isSettled)) return shards;
      await this.#parts.clock.sleep(POLL_MS);
    }
  }

  /** By partition; of one whose history was never begun, none. */
  async #epochs({ job, log, partitions }: OwnBuild): Promise<readonly EpochList[]> {
    const places = Array.from({ length: partitions }, (_, partition) => ({ job, log, partition }));
    return await Promise.all(places.map((place) => readEpochs(new NatsPartitionLog(this.#parts.nc, log, place.partition), place)));
  }
}
