/**
 * A range of a partition's log, as the log of a shard that folds it again under another name. It takes nothing: what the
 * shard would append, its epoch and its owner, is made up here, at sequences behind everything that is read.
 *
 * It ends where the range ends, and it reads no further while the gate is shut: so whoever takes the outputs sets the pace.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { writeEpoch } from "../../actors/fold/journal.ts";
import type { Epoch } from "../../actors/fold/meta.ts";
import type { LogBounds, LogReader, PartitionLog } from "../log/partition-log.ts";

/** Where the entries come from. */
export interface EntrySource {
  readonly stream: string;
  /** First sequence still there. */
  readonly firstSequence: number;
  read(fromSequence: number): SourceReader;
}

/** `ended`: nothing more comes, whatever the range says. */
export type SourceReader = LogReader & { readonly ended?: boolean };

export interface ReplayedRange {
  /** First sequence of the history, and the made-up epoch entry that begins it. */
  readonly from: number;
  readonly root: Epoch;
  /** Last sequence that is read; at or before the source's last. */
  readonly last: number;
  /** An entry with a later log time ends the range too. */
  readonly untilLogTime?: number;
}

/** Shut while whoever takes the outputs is too far behind. */
export interface Gate {
  readonly open: boolean;
  /** Resolves when it may be open, or after `timeoutMs`. */
  changed(timeoutMs: number): Promise<void>;
}

export class ReplayedLog implements PartitionLog {
  readonly stream: string;
  /** Entries given to the shard. */
  entries = 0;
  readonly #source: EntrySource;
  readonly #range: ReplayedRange;
  readonly #gate: Gate;
  #reader: RangeReader | undefined;

  constructor(source: EntrySource, range: ReplayedRange, gate: Gate) {
    this.stream = source.stream;
    this.#source = source;
    this.#range = range;
    this.#gate = gate;
  }

  /** Everything of the range was given out. */
  get ended(): boolean {
    return this.#reader?.ended ?? false;
  }

  /** No end is told: where it is, `ended` says. */
  async bounds(): Promise<LogBounds> {
    return { firstSequence: this.#source.firstSequence, lastSequence: this.#range.root.sequence - 1 };
  }

  /** Nothing is written: what is given is a sequence that no fold of the range reaches. */
  async append(): Promise<number> {
    return this.#range.root.sequence + 1;
  }

  async firstOn(): Promise<LogEntry | undefined> {
    return undefined;
  }

  /** Whatever is asked for by its subject is the epoch. */
  async lastOn(subject: string): Promise<LogEntry> {
    const { root, from } = this.#range;
    const { sequence, ...identity } = root;
    return { sequence, logTime: 0, subject, headers: undefined, payload: Buffer.from(writeEpoch(identity, 0, from)) };
  }

  read(fromSequence: number): LogReader {
    const noted = (count: number): void => {
      this.entries += count;
    };
    this.#reader = new RangeReader(this.#source.read(fromSequence), fromSequence, this.#range, this.#gate, noted);
    return this.#reader;
  }
}

class RangeReader implements LogReader {
  ended: boolean;
  readonly #reader: SourceReader;
  readonly #range: ReplayedRange;
  readonly #gate: Gate;
  readonly #noted: (count: number) => void;

  constructor(reader: SourceReader, from: number, range: ReplayedRange, gate: Gate, noted: (count: number) => void) {
    this.#reader = reader;
    this.#range = range;
    this.#gate = gate;
    this.#noted = noted;
    this.ended = from > range.last;
  }

  take(maxEntries: number): LogEntry[] {
    if (this.ended || !this.#gate.open) return [];
    const { last, untilLogTime = Number.POSITIVE_INFINITY } = this.#range;
    const taken = this.#reader.take(maxEntries);
    const beyond = taken.findIndex(({ sequence, logTime }) => sequence > last || logTime > untilLogTime);
    const entries = beyond === -1 ? taken : taken.slice(0, beyond);
    const end = entries.at(-1);
    if (beyond !== -1 || (end !== undefined && end.sequence >= last) || this.#reader.ended === true) this.ended = true;
    this.#noted(entries.length);
    return entries;
  }

  async readable(timeoutMs: number): Promise<void> {
    if (this.ended) return;
    await (this.#gate.open ? this.#reader.readable(timeoutMs) : this.#gate.changed(timeoutMs));
  }

  /** One at least before the end: a shard that waits for more is not idle. */
  backlog(): number {
    return this.ended ? 0 : Math.max(1, this.#reader.backlog());
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }
}
