/**
 * Copies `<log>-reference` into one partition of the log, strictly in order and one unacknowledged copy at a time.
 *
 * The shard's fold is the judge: it takes a copy only when the one before it was the last. The copier goes ahead of
 * it by what it has appended, and whenever the fold has passed all of that and stands elsewhere (another owner copied
 * further, or a copy met a gap), it goes on from where the fold stands. After an append of unknown outcome it waits
 * until the fold has passed the log's end, and then does the same. It stops with its shard, and nothing that fails
 * here stops the shard.
 *
 *   unsure ──▶ waiting for the fold ──▶ copying ──▶ (conflict, no answer) unsure …
 */

import { REFERENCE_ENTRY_MAX_BYTES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { readLink, writeLink } from "../../actors/fold/reference-entry.ts";
import { isReferenceName, referenceSubject } from "../../actors/fold/subject.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import type { LogReader, PartitionLog } from "../log/partition-log.ts";
import type { ReferenceSource } from "./reference-log.ts";

export interface CopierParts {
  readonly logName: string;
  readonly partition: number;
  readonly log: PartitionLog;
  readonly source: ReferenceSource;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** How far the shard's fold has come: the next sequence of the partition, and the last source sequence that it took. */
  readonly folded: () => { readonly next: number; readonly source: number };
}

/** What `step` came to. */
export type CopyResult =
  /** A copy was appended, or another owner was found to have done it. */
  | "progress"
  /** The source has nothing more. */
  | "idle"
  /** The fold must come further first. */
  | "waiting";

/** Copies that the fold has not passed yet: what is copied in vain when it takes none of them. */
const AHEAD_MAX = 1_000;
const TAKE = 100;
const IDLE_MS = 1_000;
const WAIT_MS = 20;
const BACKOFF_MS = 250;
const BACKOFF_MAX_MS = 30_000;
/** Stands for a subject of the source that names no table: the fold says what it thinks of that. */
const UNKNOWN_TABLE = "_unknown";

export class ReferenceCopier {
  readonly #parts: CopierParts;
  #reader: LogReader | undefined;
  #entries: LogEntry[] = [];
  /** Source sequence of the last copy that the partition is thought to hold. */
  #source = 0;
  /** Sequence in the partition behind which that is certain. */
  #certainBehind = 0;
  /** Copies appended since the fold was last seen to have passed all of them. */
  #ahead = 0;
  /** Something may be in the partition that this copier does not know of. */
  #unsure = true;
  #begun = false;
  /** Last sequence of the partition on each table's subject. */
  readonly #lastOn = new Map<string, number>();
  #stopping = false;
  #wakeUp: () => void = () => {};

  constructor(parts: CopierParts) {
    this.#parts = parts;
  }

  /** Copies at most one record. Rejects with what stands in its way; the next call tries again. */
  async step(): Promise<CopyResult> {
    if (this.#unsure) await this.#takeStock();
    if (!this.#followFold()) return "waiting";
    if (this.#reader === undefined) await this.#open();
    while (this.#entries.length > 0 && this.#entries[0]!.sequence <= this.#source) this.#entries.shift();
    if (this.#entries.length === 0) this.#entries = this.#reader!.take(TAKE).filter(({ sequence }) => sequence > this.#source);
    const entry = this.#entries[0];
    if (entry === undefined) return "idle";
    await this.#copy(entry);
    return "progress";
  }

  /** Loops until stopped. Never rejects. */
  async run(): Promise<void> {
    let backoff = BACKOFF_MS;
    while (!this.#stopping) {
      try {
        const result = await this.step();
        backoff = BACKOFF_MS;
        if (result === "idle") await this.#reader?.readable(IDLE_MS);
        else if (result === "waiting") await this.#pause(WAIT_MS);
      } catch (error) {
        const { logName, partition, notice } = this.#parts;
        const text = error instanceof Error ? error.message : String(error);
        notice(`${logName}/${partition}: reference data waits to be copied: ${text}`);
        await this.#close();
        await this.#pause(backoff);
        backoff = Math.min(backoff * 2, BACKOFF_MAX_MS);
      }
    }
    await this.#close();
  }

  /** Asks `run` to finish. */
  stop(): void {
    this.#stopping = true;
    this.#wakeUp();
    void this.#reader?.close();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeUp = resolve;
      void this.#parts.clock.sleep(ms).then(resolve);
    });
  }

  /**
   * Finds out behind which sequence nothing is unknown. Until the fold has passed that, nothing is copied; only the
   * first time the partition's last copy is believed, for at a start the fold may be hours behind.
   */
  async #takeStock(): Promise<void> {
    const { log, logName, partition, folded } = this.#parts;
    const last = this.#begun ? undefined : await log.lastOn(referenceSubject(logName, partition, "*"));
    this.#certainBehind = (await log.bounds()).lastSequence;
    this.#lastOn.clear();
    this.#unsure = false;
    this.#ahead = AHEAD_MAX;
    const link = readLink(last?.headers);
    if (!this.#begun && (last === undefined || link !== undefined)) {
      this.#source = Math.max(link?.source ?? 0, folded().source);
      this.#ahead = 0;
    }
    this.#begun = true;
  }

  /** False while the fold is too far behind to go on. */
  #followFold(): boolean {
    const { next, source } = this.#parts.folded();
    if (next > this.#certainBehind) {
      this.#ahead = 0;
      if (source < this.#source) {
        this.#entries = [];
        void this.#close();
      }
      this.#source = source;
    }
    return this.#ahead < AHEAD_MAX;
  }

  async #open(): Promise<void> {
    const { source } = this.#parts;
    const { firstSequence, lastSequence } = await source.bounds();
    if (lastSequence < this.#source) {
      throw new TidemarkError("REFERENCE_DIVERGED", `${source.stream} ends at ${lastSequence}, and ${this.#source} was copied from it.`);
    }
    // Where nothing was copied yet, nothing is missed by what was erased from the stream's beginning.
    this.#reader = source.read(this.#source === 0 ? firstSequence : this.#source + 1);
    this.#entries = [];
  }

  async #close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = undefined;
    this.#entries = [];
    await reader?.close();
  }

  async #copy(entry: LogEntry): Promise<void> {
    const { log, logName, partition } = this.#parts;
    const [, name = ""] = entry.subject.split(".");
    const table = isReferenceName(name) ? name : UNKNOWN_TABLE;
    const subject = referenceSubject(logName, partition, table);
    const expected = this.#lastOn.get(table) ?? (await log.lastOn(subject))?.sequence ?? 0;
    if (expected > this.#certainBehind) {
      // Another owner's copy, newer than what is known here: perhaps of this very record.
      this.#unsure = true;
      return;
    }
    // One byte over the bound is enough for the fold to refuse it, and the headers still fit the server's.
    const payload = entry.payload.subarray(0, REFERENCE_ENTRY_MAX_BYTES + 1);
    const headers = writeLink({ source: entry.sequence, previous: this.#source });
    try {
      this.#certainBehind = await log.append(subject, payload, { headers, expectedLastSubjectSequence: expected });
    } catch (error) {
      // A full log has taken nothing; whatever else went wrong, something may be stored that is not known here.
      this.#unsure = !isTidemarkError(error, "LOG_FULL");
      if (isTidemarkError(error, "LOG_CONFLICT")) return;
      throw error;
    }
    this.#lastOn.set(table, this.#certainBehind);
    this.#source = entry.sequence;
    this.#ahead++;
  }
}
