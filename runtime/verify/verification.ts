/**
 * What a node offers to prove its state by: folds its shards again beside what they hold, and rereads their rows, on demand
 * and slowly in the background. All of it runs in processes apart.
 */
import { mkdirSync, rmSync } from "node:fs";
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { Standby, Standbys } from "../shard/standby.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import { findingText } from "./finding.ts";
import { runApart } from "./process-apart.ts";
import type { ShardScrub } from "./scrub-task.ts";
import { scrubShards } from "./scrubber.ts";
import type { BuildVerdict, FromVerify, ShardVerdict, VerifyTask } from "./verify-task.ts";

export interface VerificationParts {
  readonly app: string;
  readonly codeHash: string;
  /** A build that folds an epoch. Throws CODE_UNAVAILABLE with what is missing. */
  readonly appOf: (epoch: CodeIdentity) => Promise<string>;
  readonly settings: Partial<FoldSettings>;
  readonly snapshots: SnapshotSettings;
  readonly nats: NatsAccess;
  readonly clock: Clock;
  /** Folder of the scratch environments. */
  readonly scratch: string;
  readonly shards: () => readonly VerifiedShard[];
  /** Of this node: what is damaged in them is mended. */
  readonly standbys: Standbys;
  /** Between two scrubs in the background; 0: none. */
  readonly scrubEveryMs: number;
  readonly notice: (message: string) => void;
  /** Behind which a process that says nothing is ended; its own default. */
  readonly silentMs?: number;
}

export interface VerifiedShard {
  readonly job: string;
  readonly shard: number;
  readonly partitions: number;
  readonly folder: string;
}

export interface ShardChoice {
  readonly job?: string | undefined;
  readonly shard?: number | undefined;
}

export interface VerificationWatch {
  readonly signal: AbortSignal;
  readonly report: (done: number, total?: number) => void;
}

/** What is found again so soon is in the snapshots. */
const MENDED_AGAIN_MS = 60 * 60_000;
/** Of a core, in the background. */
const QUIET_SHARE = 0.02;

export class Verification {
  readonly #parts: VerificationParts;
  readonly #abort = new AbortController();
  /** By job and shard: what the last scrub of it found. */
  readonly #found = new Map<string, ShardScrub>();
  /** By job and shard: when a scrub last had it built anew. */
  readonly #mendedAt = new Map<string, number>();
  #quiet: Promise<void> = Promise.resolve();
  #number = 0;

  constructor(parts: VerificationParts) {
    this.#parts = parts;
  }

  /** Begins to scrub in the background. */
  start(): void {
    if (this.#parts.scrubEveryMs > 0) this.#quiet = this.#scrubQuietly();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#quiet;
  }

  /** Findings of the last scrub; `undefined` when there was none yet. */
  findingsOf(job: string, shard: number): number | undefined {
    return this.#found.get(`${job}/${shard}`)?.count;
  }

  /** Rereads the rows of shards. Throws STATE_MISSING. */
  async scrub(choice: ShardChoice, { signal, report }: VerificationWatch): Promise<readonly ShardScrub[]> {
    return await this.#scrub(choice, 1, signal, report);
  }

  /**
   * Folds shards again. Throws STATE_MISSING, CODE_UNAVAILABLE, SNAPSHOT_MISSING, SNAPSHOT_DAMAGED, HISTORY_TRIMMED, VERIFY_UNFINISHED, or what keeps the log from
   * being read; a difference is no error but an answer.
   */
  async prove(choice: ShardChoice, from: string | undefined, { signal, report }: VerificationWatch): Promise<readonly ShardVerdict[]> {
    const verdicts: ShardVerdict[] = [];
    let before = 0;
    for (const place of this.#chosen(choice)) {
      let folded = 0;
      const verdict = await this.#prove(place, from, signal, (entries, total) => {
        folded = entries;
        report(before + entries, before + total);
      });
      before += folded;
      verdicts.push(verdict);
    }
    return verdicts;
  }

  /**
   * Whether a standby's own marks and rows are what a fold gives that begins with the newest snapshot up to `agreed`, a sequence at
   * which it agreed with its owner; without one as {@link prove} does, which throws the same.
   */
  async proveStandby(job: string, shard: number, agreed: number, signal: AbortSignal): Promise<ShardVerdict> {
    const [place] = this.#chosen({ job, shard });
    return await this.#prove(place!, undefined, signal, () => {}, agreed);
  }

  /** By this build, and behind each epoch entry that names another by that one, as far as it is kept. */
  async #prove(
    place: VerifiedShard,
    from: string | undefined,
    signal: AbortSignal,
    report: (done: number, total: number) => void,
    copyFrom?: number,
  ): Promise<ShardVerdict> {
    const { app, codeHash, settings, snapshots, nats } = this.#parts;
    const scratch = `${this.#parts.scratch}/${++this.#number}`;
    mkdirSync(scratch, { recursive: true });
    try {
      const own: VerifyTask = { app, codeHash, settings, snapshots, nats, ...place, scratch, from, copyFrom };
      let proven = await this.#proveApart(own, signal, report);
      for (let task = own; proven.next !== undefined; ) {
        const { next, ...before } = proven;
        try {
          task = { ...task, app: await this.#buildOf(next.epoch, task), codeHash: next.epoch.codeHash, before };
          proven = await this.#proveApart(task, signal, report);
        } catch (error) {
          if (!isTidemarkError(error, "CODE_UNAVAILABLE") && !isTidemarkError(error, "APP_INVALID")) throw error;
          const what = `what follows entry ${next.sequence} was folded by version ${next.epoch.version}, which cannot be run`;
          proven = { ...before, remarks: [...before.remarks, `${what}: ${error.detail}`] };
        }
      }
      const { next: _next, after: _after, unreadable: _unreadable, ...verdict } = proven;
      return verdict;
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }

  /** Whatever keeps it from being had, what was proven before stays proven. Throws CODE_UNAVAILABLE. */
  async #buildOf(epoch: CodeIdentity, last: VerifyTask): Promise<string> {
    if (epoch.codeHash === last.codeHash) throw new TidemarkError("CODE_UNAVAILABLE", "this build is not that");
    try {
      return await this.#parts.appOf(epoch);
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
      throw new TidemarkError("CODE_UNAVAILABLE", error.detail, { cause: error });
    }
  }

  async #proveApart(task: VerifyTask, signal: AbortSignal, report: (done: number, total: number) => void): Promise<BuildVerdict> {
    const { clock, silentMs } = this.#parts;
    const { job, shard, before } = task;
    const earlier = before?.entries ?? 0;
    let answer: Exclude<FromVerify, { kind: "folded" | "working" }> | undefined;
    const end = await runApart<FromVerify>("./verify-process.ts", task, { clock, signal, silentMs }, (message) => {
      if (message.kind === "folded") report(earlier + message.entries, earlier + message.total);
      else if (message.kind !== "working") answer = message;
    });
    signal.throwIfAborted();
    if (answer?.kind === "verdict") return answer.verdict;
    if (answer?.kind === "failed") throw new TidemarkError(answer.error.code, `${job}/${shard}: ${answer.error.detail}`);
    const what = `${job}/${shard} could not be verified`;
    if (end?.silent === true) throw new TidemarkError("VERIFY_UNFINISHED", `${what}: ${end.how}.`);
    throw new TidemarkError("STATE_DAMAGED", `${what}: ${end?.how ?? "the process ended early"}.`);
  }

  async #scrubQuietly(): Promise<void> {
    const { clock, scrubEveryMs, notice } = this.#parts;
    const { signal } = this.#abort;
    for (;;) {
      await clock.sleep(scrubEveryMs, signal);
      if (signal.aborted) return;
      try {
        await this.#scrub({}, QUIET_SHARE, signal, () => {});
      } catch (error) {
        if (signal.aborted) return;
        notice(`the state could not be scrubbed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  async #scrub(choice: ShardChoice, share: number, signal: AbortSignal, report: (rows: number) => void): Promise<readonly ShardScrub[]> {
    const { clock, standbys } = this.#parts;
    // Before their rows are read: what was built anew meanwhile is not what was found damaged.
    const before = await standbys.standbys();
    const mending: Promise<void>[] = [];
    const onScrubbed = (scrub: ShardScrub): void => {
      const standby = before.find(({ job, shard }) => job === scrub.job && shard === scrub.shard);
      this.#tell(scrub);
      if (standby !== undefined) mending.push(this.#mend(standby, scrub));
    };
    const scrubs = await scrubShards(this.#chosen(choice), { share, clock, signal, progress: report, onScrubbed });
    await Promise.all(mending);
    return scrubs;
  }

  #tell(scrub: ShardScrub): void {
    const { job, shard, findings } = scrub;
    this.#found.set(`${job}/${shard}`, scrub);
    for (const finding of findings.slice(0, 3)) this.#parts.notice(`${job}/${shard}: STATE_DAMAGED: ${findingText(finding)}`);
  }

  async #mend(standby: Standby, { count, unreadable }: ShardScrub): Promise<void> {
    const { notice, standbys } = this.#parts;
    const { job, shard } = standby;
    if (count === 0) return;
    const name = `${job}/${shard}`;
    const { clock } = this.#parts;
    // To empty it the node would have to read it.
    if (unreadable === true) notice(`${job}/${shard}: the pages of this standby are damaged; stop the node and delete the shard's folder`);
    else if (clock.monotonic() - (this.#mendedAt.get(name) ?? Number.NEGATIVE_INFINITY) < MENDED_AGAIN_MS)
      notice(`${name}: the damage came back with the snapshot that this standby was built from; it is left as it is`);
    else {
      this.#mendedAt.set(name, clock.monotonic());
      await standbys.rebuild(standby, `the scrub found damage in its state`).catch((error: unknown) => {
        notice(`${name}: this standby is not built anew: ${error instanceof Error ? error.message : String(error)}`);
      });
    }
  }

  /** At least one: what was asked and looked at nothing must not pass for proven. */
  #chosen({ job, shard }: ShardChoice): readonly VerifiedShard[] {
    const all = this.#parts.shards();
    const chosen = all.filter((place) => (job === undefined || place.job === job) && (shard === undefined || place.shard === shard));
    if (chosen.length > 0) return chosen;
    throw new TidemarkError("STATE_MISSING", `This node has no shard ${job ?? "*"}/${shard ?? "*"}.`);
  }
}
