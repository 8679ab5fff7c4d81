/**
 * Hands the shards of a job over to another build, as an operation, wherever their owners are: every partition gets the epoch
 * entry, every shard folds up to exactly there, publishes and commits.
 *
 *   asked ──▶ checked against every partition ──▶ entries appended ──▶ folded up to them
 *
 * Where the build that follows runs on the node that is asked, each shard goes on with it there and then, and a snapshot was taken
 * before: one at a time, with its generations' own, for each is quiet until it goes on, and many at once hold each other up. Else the nodes stay up and answer, their shards stopped, until the next build takes their place; what the shards came to
 * is kept as a snapshot.
 *
 * Nothing is appended before every job was found able to hand over. Of two builds that are asked for at once, on whichever nodes, the
 * first partition decides: it takes one entry, and the others are asked when it has one. What is cut off behind that is finished when this build is
 * started again, or when the same is asked again.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { type CodeIdentity, sameCode } from "../../actors/fold/meta.ts";
import type { Clock } from "../clock.ts";
import { type ErrorRecord, isTidemarkError, TidemarkError } from "../errors.ts";
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

/** Only a shard that is folded by `from` hands over. */
export interface BuildStep {
  readonly from: CodeIdentity;
  readonly next: CodeIdentity;
  /** Some partition has its entry already. */
  readonly begun: boolean;
}

export interface HandOverParts {
  readonly nc: NatsConnection;
  readonly clock: Clock;
  readonly operations: Operations;
  readonly builds: readonly OwnBuild[];
  /** A job and its generations, which run the same code. */
  readonly lineage: (job: string) => readonly string[];
  /** The node folds with the builds before its own until they hand over. */
  readonly rolling: boolean;
  /** Asks the owners of these shards of the job, and of its generations, that answer. */
  readonly ask: (job: string, step: BuildStep, shards: readonly number[]) => Promise<void>;
  /** Of the shards that were asked, on all nodes that answer. */
  readonly reports: () => Promise<readonly HandOverReport[]>;
  /** Owners of shards, on all nodes that answer. */
  readonly shards: () => Promise<readonly Pick<ShardReport, "job" | "shard" | "status" | "build" | "error">[]>;
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

/** Each look asks all nodes, whose threads have the hand-over itself to do. */
const POLL_MS = 100;
/** An owner that took a shard over meanwhile is asked so soon. */
const ASK_AGAIN_MS = 1_000;
/** So long an owner that says why it does not run may find its build. */
const HALTED_FOR_MS = 30_000;
/** So long the next ones wait for a shard that has handed over and does not go on. */
const GOES_ON_WITHIN_MS = 10_000;
const RESUME_RETRY_MS = 1_000;
const WHO_RESUMES = "cut-off hand-over";

interface Wanted {
  readonly over: ReadonlyMap<string, BuildStep>;
  readonly unchanged: readonly string[];
}

/** Of one shard of a job or of a generation, among all that hand over. */
interface HandingOver {
  readonly origin: string;
  readonly job: string;
  readonly shard: number;
  /** `undefined` where nobody who answers was asked. */
  readonly report: HandOverReport | undefined;
  /** Somebody could be asked. */
  readonly isOwned: boolean;
  /** The build that follows runs there. */
  readonly goesOn: boolean;
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
    const wanted = this.#wanted(nexts);
    const over = new Map<string, BuildStep>();
    const unchanged: string[] = [];
    // Before anything is waited for: another that is asked meanwhile finds them.
    const claims = [...wanted].map(([job, next]) => ({ job, next }));
    for (const claim of claims) this.#claims.add(claim);
    const release = (): void => {
      for (const claim of claims) this.#claims.delete(claim);
    };
    try {
      for (const own of this.#parts.builds) {
        const next = wanted.get(own.job);
        if (next === undefined) continue;
        const step = await this.#stepTo(own, next);
        if (step === undefined) unchanged.push(own.job);
        else over.set(own.job, step);
      }
      return this.#parts.operations.start({ kind: "hand-over", unit: "shards", who }, (progress) =>
        this.#work({ over, unchanged }, progress).finally(release),
      );
    } catch (error) {
      release();
      throw error;
    }
  }

  /** `undefined` when there is nothing to hand over. Throws as `checkHandOver` does. */
  async #stepTo(own: OwnBuild, next: CodeIdentity): Promise<BuildStep | undefined> {
    const lists = await this.#epochs(own);
    const isOwn = sameCode(own.identity, next);
    checkHandOver(own.job, lists, isOwn ? (inForce(lists, next) ?? next) : own.identity, next);
    const begun = lists.some((list) => list.length > 0 && sameCode(list.at(-1)!, next));
    if (!isOwn) return { from: own.identity, next, begun };
    for (const job of this.#parts.lineage(own.job)) {
      const from = inForce(await this.#epochs({ ...own, job }), next);
      if (from !== undefined) return { from, next, begun };
    }
    return undefined;
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
          const lists = await this.#epochs(own);
          const identity = cutOffHandOver(lists, own.identity) ?? (this.#wasFollowing(own, lists) ? own.identity : undefined);
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

  /** Some partitions have gone over to the node's own build, and some still are to. */
  #wasFollowing({ identity }: OwnBuild, lists: readonly EpochList[]): boolean {
    const hasFollowed = lists.some((list) => list.length > 1 && sameCode(list.at(-1)!, identity));
    return this.#parts.rolling && hasFollowed && inForce(lists, identity) !== undefined;
  }

  async #work({ over, unchanged }: Wanted, progress: Progress): Promise<HandOverResult> {
    const { builds, snapshot } = this.#parts;
    const goesOn = builds.some(({ job, identity }) => over.has(job) && sameCode(identity, over.get(job)!.next));
    // Of shards that go on at once there is no state exactly at the entry for anybody to read. Behind the first entry it is too late.
    const toKeep = goesOn ? [...over].filter(([, { begun }]) => !begun).map(([job]) => job) : [];
    const before = await snapshot(toKeep);
    // That took its time: somebody may have asked another node for another build.
    for (const own of builds) if (toKeep.includes(own.job)) await this.#stepTo(own, over.get(own.job)!.next);
    const all = await this.#settled(over, goesOn, progress);
    const shards = all.flatMap(({ report }) => (report === undefined ? [] : [report]));
    const failed = shards.find(({ state }) => state === "failed");
    if (failed !== undefined) {
      const { code, detail } = failed.error!;
      const done = shards.filter(({ state }) => state === "handed-over").length;
      throw new TidemarkError(code, `${done} of ${all.length} shards have handed over. ${failed.job}/${failed.shard}: ${detail}`);
    }
    const here = [...over.keys()].filter((job) => shards.some((shard) => shard.job === job && shard.here));
    return {
      shards: shards.map(({ job, shard, next: { version, codeHash } }) => ({ job, shard, version, codeHash })),
      unchanged,
      goesOn,
      snapshots: goesOn || here.length === 0 ? before : await snapshot(here),
    };
  }

  /** Has no bound of time, for a backlog may lie before the entries. Ends early where the partition that decides cannot. */
  async #settled(over: ReadonlyMap<string, BuildStep>, inTurn: boolean, { signal, report }: Progress): Promise<readonly HandingOver[]> {
    const { clock } = this.#parts;
    const since = new Map<string, number>();
    const askedAt = new Map<string, number>();
    for (;;) {
      signal.throwIfAborted();
      const shards = await this.#states(over, since);
      report(shards.filter(isOver).length, shards.length);
      const waiting = shards.filter((shard) => !(inTurn ? this.#isThrough(shard, since) : isOver(shard)));
      if (waiting.length === 0 || shards.some((shard) => decides(shard) && isFailed(shard))) return shards;
      await this.#ask(over, waiting, inTurn, askedAt);
      await clock.sleep(POLL_MS);
    }
  }

  /** Asks those whose turn it is, and now and then again: somebody else may own them by now. */
  async #ask(
    over: ReadonlyMap<string, BuildStep>,
    waiting: readonly HandingOver[],
    inTurn: boolean,
    askedAt: Map<string, number>,
  ): Promise<void> {
    const now = this.#parts.clock.monotonic();
    const undecided = new Set(waiting.filter((shard) => decides(shard) && !hasEntry(shard)).map(({ origin }) => origin));
    const rank = (shard: HandingOver): number => (askedAt.has(turnOf(shard)) ? 0 : shard.isOwned ? 1 : 2);
    const inOrder = waiting.filter(({ origin, shard }) => shard === 0 || !undecided.has(origin)).sort((a, b) => rank(a) - rank(b));
    const turn = [...new Set(inOrder.map(turnOf))].slice(0, inTurn ? 1 : undefined);
    const due = turn.filter((name) => now - (askedAt.get(name) ?? Number.NEGATIVE_INFINITY) >= ASK_AGAIN_MS);
    for (const name of due) askedAt.set(name, now);
    for (const [job, step] of over) {
      const shards = waiting.filter((shard) => shard.origin === job && due.includes(turnOf(shard))).map(({ shard }) => shard);
      if (shards.length > 0) await this.#parts.ask(job, step, [...new Set(shards)]);
    }
  }

  /** It goes on, or does not although it had its time. */
  #isThrough(shard: HandingOver, since: Map<string, number>): boolean {
    if (!isOver(shard)) return false;
    return shard.goesOn || isFailed(shard) || this.#isFor(`${shard.job}/${shard.shard} is over`, GOES_ON_WITHIN_MS, since);
  }

  /** Whether that was so for so long, by what is asked with the same name. */
  #isFor(what: string, ms: number, since: Map<string, number>): boolean {
    const now = this.#parts.clock.monotonic();
    const first = since.get(what) ?? now;
    since.set(what, first);
    return now - first >= ms;
  }

  async #states(over: ReadonlyMap<string, BuildStep>, since: Map<string, number>): Promise<readonly HandingOver[]> {
    const [asked, owners] = await Promise.all([this.#parts.reports(), this.#parts.shards()]);
    return this.#parts.builds.flatMap(({ job: origin, partitions }) => {
      const step = over.get(origin);
      if (step === undefined) return [];
      const { from, next } = step;
      return this.#parts.lineage(origin).flatMap((job) =>
        Array.from({ length: partitions }, (_, shard): HandingOver => {
          const isIt = (report: { readonly job: string; readonly shard: number }): boolean => report.job === job && report.shard === shard;
          const reports = asked.filter((report) => isIt(report) && sameCode(report.next, next));
          const done = reports.find(({ state }) => state === "handed-over");
          const owner = owners.find(isIt);
          const about = { job, shard, lag: 0, next, here: false } as const;
          const isNext = owner?.build != null && sameCode(owner.build, next);
          const place = { origin, job, shard, isOwned: owner !== undefined, goesOn: isNext && owner.status === "running" };
          if (done === undefined && isNext) return { ...place, report: { ...about, state: "handed-over" } };
          const third = owner?.build != null && !isNext && !sameCode(owner.build, from) ? owner.build : undefined;
          if (done === undefined && third !== undefined)
            return { ...place, report: { ...about, state: "failed", error: overtaken(job, third) } };
          const error = owner?.error;
          if (done !== undefined || error === undefined) return { ...place, report: done ?? reports[0] };
          const isHalted = this.#isFor(`${job}/${shard} is halted`, HALTED_FOR_MS, since);
          return { ...place, report: reports[0] ?? (isHalted ? { ...about, state: "failed", error } : undefined) };
        }),
      );
    });
  }

  /** By partition; of one whose history was never begun, none. */
  async #epochs({ job, log, partitions }: OwnBuild): Promise<readonly EpochList[]> {
    const places = Array.from({ length: partitions }, (_, partition) => ({ job, log, partition }));
    return await Promise.all(places.map((place) => readEpochs(new NatsPartitionLog(this.#parts.nc, log, place.partition), place)));
  }
}

/** Another hand-over was first. */
function overtaken(job: string, build: CodeIdentity): ErrorRecord {
  return new TidemarkError("CODE_UNAVAILABLE", `${job} has gone over to ${codeOf(build)} meanwhile.`).toRecord();
}

/** Whose entry the others wait for. */
function decides({ origin, job, shard }: HandingOver): boolean {
  return job === origin && shard === 0;
}

function isFailed({ report }: HandingOver): boolean {
  return report?.state === "failed";
}

function hasEntry({ report }: HandingOver): boolean {
  return report?.state === "folding" || report?.state === "handed-over";
}

function isOver({ report }: HandingOver): boolean {
  return report !== undefined && isSettled(report);
}

function turnOf({ origin, shard }: HandingOver): string {
  return `${origin}/${shard}`;
}
