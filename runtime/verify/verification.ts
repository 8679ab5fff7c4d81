/**
 * What a node offers to prove its state by: folds its shards again beside what they hold, and rereads their rows, on demand
 * and slowly in the background. All of it runs in processes apart.
 */
import { mkdirSync, rmSync } from "node:fs";
import type { FoldSettings } from "../../actors/model/job.ts";
import type { Clock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import type { SnapshotSettings } from "../snapshots/open-catalogue.ts";
import { findingText } from "./finding.ts";
import { runApart } from "./process-apart.ts";
import type { ShardScrub } from "./scrub-task.ts";
import { scrubShards } from "./scrubber.ts";
import type { FromVerify, ShardVerdict, VerifyTask } from "./verify-task.ts";

export interface VerificationParts {
  readonly app: string;
  readonly codeHash: string;
  readonly settings: Partial<FoldSettings>;
  readonly snapshots: SnapshotSettings;
  readonly natsUrl: string;
  readonly clock: Clock;
  /** Folder of the scratch environments. */
  readonly scratch: string;
  readonly shards: () => readonly VerifiedShard[];
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

/** Of a core, in the background. */
const QUIET_SHARE = 0.02;

export class Verification {
  readonly #parts: VerificationParts;
  readonly #abort = new AbortController();
  /** By job and shard: what the last scrub of it found. */
  readonly #found = new Map<string, ShardScrub>();
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

  async #prove(
    place: VerifiedShard,
    from: string | undefined,
    signal: AbortSignal,
    report: (done: number, total: number) => void,
  ): Promise<ShardVerdict> {
    const { app, codeHash, settings, snapshots, natsUrl, clock, silentMs } = this.#parts;
    const scratch = `${this.#parts.scratch}/${++this.#number}`;
    mkdirSync(scratch, { recursive: true });
    const task: VerifyTask = { app, codeHash, settings, snapshots, natsUrl, ...place, scratch, from };
    let answer: Exclude<FromVerify, { kind: "folded" | "working" }> | undefined;
    try {
      const end = await runApart<FromVerify>("./verify-process.ts", task, { clock, signal, silentMs }, (message) => {
        if (message.kind === "folded") report(message.entries, message.total);
        else if (message.kind !== "working") answer = message;
      });
      signal.throwIfAborted();
      if (answer?.kind === "verdict") return answer.verdict;
      if (answer?.kind === "failed") throw new TidemarkError(answer.error.code, `${place.job}/${place.shard}: ${answer.error.detail}`);
      const what = `${place.job}/${place.shard} could not be verified`;
      if (end?.silent === true) throw new TidemarkError("VERIFY_UNFINISHED", `${what}: ${end.how}.`);
      throw new TidemarkError("STATE_DAMAGED", `${what}: ${end?.how ?? "the process ended early"}.`);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
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
    const { clock, notice } = this.#parts;
    const scrubs = await scrubShards(this.#chosen(choice), { share, clock, signal, progress: report });
    for (const scrub of scrubs) {
      const { job, shard, findings } = scrub;
      this.#found.set(`${job}/${shard}`, scrub);
      for (const finding of findings.slice(0, 3)) notice(`${job}/${shard}: STATE_DAMAGED: ${findingText(finding)}`);
    }
    return scrubs;
  }

  /** At least one: what was asked and looked at nothing must not pass for proven. */
  #chosen({ job, shard }: ShardChoice): readonly VerifiedShard[] {
    const all = this.#parts.shards();
    const chosen = all.filter((place) => (job === undefined || place.job === job) && (shard === undefined || place.shard === shard));
    if (chosen.length > 0) return chosen;
    throw new TidemarkError("STATE_MISSING", `This node has no shard ${job ?? "*"}/${shard ?? "*"}.`);
  }
}
