/**
 * Brings results of one shard's calls into the job's journal: what has come while one append is under way goes with
 * the next, in one entry. When the log is full, or away, they wait here, and nothing more is called meanwhile.
 *
 * An append may be stored twice, or once and look like a failure. That does no harm: of several results of a call the
 * fold uses the first.
 */
import { RESULT_INLINE_MAX_BYTES, RESULT_MAX_BYTES, RESULTS_STORED_MAX_BYTES } from "../../actors/fold/bounds.ts";
import { type CallResult, writeResults } from "../../actors/fold/result-entry.ts";
import { journalSubject } from "../../actors/fold/subject.ts";
import type { Clock } from "../clock.ts";
import { isTidemarkError } from "../errors.ts";
import type { PartitionLog } from "../log/partition-log.ts";
import * as bound from "./bounds.ts";
import { failedCall } from "./call-failures.ts";

export interface WriterParts {
  readonly logName: string;
  readonly job: string;
  readonly partition: number;
  readonly log: PartitionLog;
  readonly clock: Clock;
  readonly notice: (message: string) => void;
  /** Term to name in the next entry. */
  readonly term: () => number;
  /** These results stand in the log, in the entry `sequence`. */
  readonly onAppended: (rows: readonly string[], sequence: number) => void;
}

interface Waiting {
  readonly result: CallResult;
  readonly bytes: number;
  /** What of it stands in the entry, and what beside the log. */
  readonly inEntry: number;
  readonly stored: number;
}

export class ResultWriter {
  readonly #parts: WriterParts;
  /** By the call's row. */
  readonly #waiting = new Map<string, Waiting>();
  #bytes = 0;
  #appending: Promise<void> | undefined;
  #failing = false;
  readonly #stop = new AbortController();

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  /** More calls may be made. */
  get room(): boolean {
    return !this.#failing && this.#waiting.size < bound.RESULTS_WAITING_MAX && this.#bytes < bound.RESULTS_WAITING_MAX_CHARS;
  }

  has(row: string): boolean {
    return this.#waiting.has(row);
  }

  /** What is over every bound is a failure: a model may have answered with it. */
  add(row: string, result: CallResult): void {
    const output = "failed" in result ? 0 : Buffer.byteLength(JSON.stringify(result.output ?? null));
    if (output > RESULT_MAX_BYTES) {
      const failure = failedCall("RESPONSE_TOO_LARGE", `The answer has ${output} bytes as JSON, at most ${RESULT_MAX_BYTES}.`);
      this.add(row, { call: result.call, input: result.input, ...failure });
      return;
    }
    const bytes = Buffer.byteLength(JSON.stringify(result)) + 1;
    const stored = output > RESULT_INLINE_MAX_BYTES ? output : 0;
    this.#waiting.set(row, { result, bytes, inEntry: stored === 0 ? bytes : bytes - stored + bound.STORED_FRAME_BYTES, stored });
    this.#bytes += bytes;
    this.#begin();
  }

  /** The call does not wait any more, or this owner's word on it does not count. */
  drop(row: string): void {
    const waiting = this.#waiting.get(row);
    if (waiting === undefined) return;
    this.#waiting.delete(row);
    this.#bytes -= waiting.bytes;
  }

  /** Drops what the fold ignores when it comes from an owner that is not the present one. */
  dropFailures(): void {
    for (const [row, { result }] of this.#waiting) if ("failed" in result) this.drop(row);
  }

  /** What is there is appended, unless that fails. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#appending;
  }

  #begin(): void {
    this.#appending ??= this.#run().finally(() => {
      this.#appending = undefined;
      if (this.#waiting.size > 0 && !this.#stop.signal.aborted) this.#begin();
    });
  }

  async #run(): Promise<void> {
    let backoff = bound.APPEND_BACKOFF_MS;
    // What is handed over in this turn goes along.
    await Promise.resolve();
    for (let rows = this.#nextEntry(); rows.length > 0; rows = this.#nextEntry()) {
      try {
        await this.#append(rows);
        this.#failing = false;
        backoff = bound.APPEND_BACKOFF_MS;
      } catch (error) {
        this.#tell(error);
        await this.#parts.clock.sleep(backoff, this.#stop.signal);
        if (this.#stop.signal.aborted) return;
        backoff = Math.min(backoff * 2, bound.APPEND_BACKOFF_MAX_MS);
      }
    }
  }

  #nextEntry(): string[] {
    const rows: string[] = [];
    let bytes = 0;
    let stored = 0;
    for (const [row, waiting] of this.#waiting) {
      bytes += waiting.inEntry;
      stored += waiting.stored;
      if (rows.length > 0 && (bytes > bound.ENTRY_MAX_BYTES || stored > RESULTS_STORED_MAX_BYTES)) break;
      rows.push(row);
    }
    return rows;
  }

  async #append(rows: readonly string[]): Promise<void> {
    const { log, logName, partition, job, term, onAppended } = this.#parts;
    const results = rows.map((row) => this.#waiting.get(row)!.result);
    let sequence: number;
    try {
      sequence = await log.append(journalSubject(logName, partition, job), Buffer.from(writeResults(term(), results)));
    } catch (error) {
      if (!isTidemarkError(error, "EVENT_TOO_LARGE")) throw error;
      await this.#appendLess(rows);
      return;
    }
    // The fold may have been faster than the acknowledgement.
    const unfolded = rows.filter((row) => this.#waiting.has(row));
    for (const row of unfolded) this.drop(row);
    onAppended(unfolded, sequence);
  }

  /** The server takes smaller messages than most: half as much, and at last a failure in the place of the result. */
  async #appendLess(rows: readonly string[]): Promise<void> {
    if (rows.length > 1) {
      await this.#append(rows.slice(0, Math.ceil(rows.length / 2)));
      return;
    }
    const [row] = rows as [string];
    const { result } = this.#waiting.get(row)!;
    if ("failed" in result) throw new Error(`${result.call}: the log takes no entry of the size of a failure`);
    this.drop(row);
    const failure = failedCall("RESPONSE_TOO_LARGE", "The answer is over what the NATS server takes in one message.");
    this.add(row, { call: result.call, input: result.input, ...failure });
  }

  #tell(error: unknown): void {
    const { job, partition, notice } = this.#parts;
    if (!this.#failing) {
      const text = error instanceof Error ? error.message : String(error);
      notice(`${job}/${partition}: results of calls wait to be appended, and no more are made: ${text}`);
    }
    this.#failing = true;
  }
}
