/**
 * Holds the standbys of this node against their owners, by their marks. Where the newest common one differs, one of the two is
 * wrong: the standby's copy is folded again beside it, from where both agreed, and is built anew when it is the wrong one. An
 * owner is never touched: what is wrong with it is said.
 *
 * One shard is looked at at a time, and a mark that differs is proven once.
 */
import type { Clock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import type { Standby, Standbys } from "../shard/standby.ts";
import { findingText } from "../verify/finding.ts";
import type { Verification } from "../verify/verification.ts";
import type { ShardVerdict, VerifyDifference } from "../verify/verify-task.ts";
import { type MarkDifference, markDifference } from "./marks.ts";
import type { ShardReads } from "./shard-reads.ts";

export interface StandbyCareParts {
  readonly standbys: Standbys;
  readonly reads: Pick<ShardReads, "read">;
  readonly ownerOf: (job: string, shard: number) => string | undefined;
  readonly verification: Pick<Verification, "proveStandby">;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
}

const EVERY_MS = 10_000;

interface Told {
  /** The last mark that differed. */
  readonly sequence: number;
  /** Marks that differed, since the process started. */
  readonly times: number;
}

export class StandbyCare {
  readonly #parts: StandbyCareParts;
  readonly #abort = new AbortController();
  /** By job and shard. */
  readonly #told = new Map<string, Told>();
  #run: Promise<void> = Promise.resolve();

  constructor(parts: StandbyCareParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#run = this.#loop();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#run;
  }

  /** How many marks of a standby differed from its owner's since the process started; `undefined` when none did. */
  differencesOf(job: string, shard: number): number | undefined {
    return this.#told.get(`${job}/${shard}`)?.times;
  }

  /** Looks at each standby once. */
  async look(): Promise<void> {
    for (const standby of await this.#parts.standbys.standbys()) {
      if (this.#abort.signal.aborted) return;
      await this.#compare(standby);
    }
  }

  async #loop(): Promise<void> {
    const { clock, notice } = this.#parts;
    const { signal } = this.#abort;
    for (;;) {
      await clock.sleep(EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        await this.look();
      } catch (error) {
        if (!signal.aborted)
          notice(`standbys cannot be compared with their owners: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  async #compare(standby: Standby): Promise<void> {
    const difference = await this.#differenceOf(standby);
    if (difference === undefined) return;
    const { job, shard } = standby;
    const name = `${job}/${shard}`;
    const { sequence, times = 0 } = this.#told.get(name) ?? {};
    if (sequence === difference.sequence) return;
    this.#told.set(name, { sequence: difference.sequence, times: times + 1 });
    const { notice, ownerOf } = this.#parts;
    const owner = ownerOf(job, shard) ?? "another node";
    notice(`${name}: behind entry ${difference.sequence} the state of this standby is not that of ${owner}, its owner; it is folded again`);
    await this.#judge(standby, difference, owner);
  }

  /** An owner that does not answer, or is none any more, says nothing of its marks. */
  async #differenceOf({ job, shard }: Standby): Promise<MarkDifference | undefined> {
    const { reads } = this.#parts;
    const place = { job, partition: shard };
    try {
      const own = await reads.read("marks", place, [], "any");
      const owners = await reads.read("marks", place, []);
      return own === undefined || owners === undefined ? undefined : markDifference(own, owners);
    } catch (error) {
      if (!isTidemarkError(error)) throw error;
      return undefined;
    }
  }

  async #judge(standby: Standby, { agreed }: MarkDifference, owner: string): Promise<void> {
    const { standbys, verification, notice } = this.#parts;
    const { signal } = this.#abort;
    const { job, shard } = standby;
    const name = `${job}/${shard}`;
    let verdict: ShardVerdict;
    try {
      verdict = await verification.proveStandby(job, shard, agreed, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!isTidemarkError(error)) throw error;
      notice(`${name}: this standby could not be folded again, and is left as it is: ${error.code}: ${error.detail}`);
      return;
    }
    if (verdict.difference !== null) {
      await standbys.rebuild(standby, `it differs from ${owner}, and from a fresh fold: ${differenceText(verdict.difference)}`);
    } else if (verdict.ok) {
      notice(`${name}: this standby is as its log says, so its owner is wrong: \`tidemark nodes drain ${owner}\` lets this one take over`);
    } else notice(`${name}: which one is right could not be proven, and nothing is done: ${verdict.remarks.join("; ")}`);
  }
}

function differenceText(difference: VerifyDifference): string {
  const { kind, name, rows } = difference;
  // Its rows are right, so the mark alone is what changed.
  if (kind === "mark") return `its mark ${name}`;
  return findingText({ ...difference, detail: rows === 1 ? "the row differs" : `the first of ${rows} rows that differ` });
}
