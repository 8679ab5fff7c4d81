/**
 * A file of events as one partition of a log: each line an entry, in the order of the file, those of other partitions
 * left out; behind the last one a watermark entry, for nothing more comes. Memory is bound by what is read ahead.
 *
 * Entries are numbered from 1. An event without a log time has its own time in place of it.
 */
import { createReadStream, type ReadStream, statSync } from "node:fs";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { writeWatermark } from "../../actors/fold/journal.ts";
import { controlSubject } from "../../actors/fold/subject.ts";
import { formatInstant } from "../../actors/model/time.ts";
import { TidemarkError } from "../errors.ts";
import type { LogReader } from "../log/partition-log.ts";
import { readArchiveLine } from "./archive-line.ts";
import type { EntrySource } from "./replayed-log.ts";

export interface ArchiveOptions {
  readonly file: string;
  readonly log: string;
  readonly partition: number;
  readonly partitions: number;
  /** To which the last entry lifts the watermark. Default: the greatest event time of the file. */
  readonly watermark?: number | undefined;
  /** Told of each line that is no event; it is left out. */
  readonly malformed: (line: number, why: string) => void;
}

const CHUNK_BYTES = 256 * 1024;
const LINE_MAX = 1024 * 1024;
const AHEAD_MAX = 4_096;
const AHEAD_BYTES_MAX = 4 * 1024 * 1024;
const LF = 0x0a;

export class ArchiveSource implements EntrySource {
  readonly stream: string;
  readonly firstSequence = 1;
  readonly bytes: number;
  readonly #options: ArchiveOptions;
  #reader: ArchiveReader | undefined;

  /** Fails with INPUT_INVALID. */
  constructor(options: ArchiveOptions) {
    this.#options = options;
    this.stream = options.file;
    try {
      const stats = statSync(options.file);
      if (!stats.isFile()) throw new TidemarkError("INPUT_INVALID", `${options.file} is no file.`);
      this.bytes = stats.size;
    } catch (error) {
      if (error instanceof TidemarkError) throw error;
      throw new TidemarkError("INPUT_INVALID", `${options.file}: ${(error as Error).message}.`, { cause: error });
    }
  }

  /** Of the file. */
  get bytesRead(): number {
    return this.#reader?.bytesRead ?? 0;
  }

  read(fromSequence: number): LogReader & { readonly ended: boolean } {
    this.#reader = new ArchiveReader(this.#options, fromSequence);
    return this.#reader;
  }
}

class ArchiveReader implements LogReader {
  bytesRead = 0;
  readonly #options: ArchiveOptions;
  readonly #from: number;
  readonly #input: ReadStream;
  #queue: LogEntry[] = [];
  #at = 0;
  #queueBytes = 0;
  #sequence = 0;
  #line = 0;
  #rest: Buffer = Buffer.alloc(0);
  /** The line in hand is too long: its rest is passed over. */
  #passing = false;
  #logTime = 0;
  #greatest: number | undefined;
  #finished = false;
  #failure: TidemarkError | undefined;
  #waiters: (() => void)[] = [];

  constructor(options: ArchiveOptions, fromSequence: number) {
    this.#options = options;
    this.#from = fromSequence;
    this.#input = createReadStream(options.file, { highWaterMark: CHUNK_BYTES });
    this.#input.on("data", (chunk) => this.#take(chunk as Buffer));
    this.#input.on("end", () => this.#finish());
    this.#input.on("error", (error) => {
      this.#failure = new TidemarkError("INPUT_INVALID", `${options.file}: ${error.message}.`, { cause: error });
      this.#wake();
    });
  }

  /** The file has no more, and all was taken. */
  get ended(): boolean {
    return this.#finished && this.backlog() === 0;
  }

  take(maxEntries: number): LogEntry[] {
    if (this.#failure !== undefined) throw this.#failure;
    const entries = this.#queue.slice(this.#at, this.#at + maxEntries);
    this.#at += entries.length;
    for (const { payload } of entries) this.#queueBytes -= payload.length;
    if (this.#at === this.#queue.length) {
      this.#queue = [];
      this.#at = 0;
    }
    if (this.#hasRoom && this.#input.isPaused()) this.#input.resume();
    return entries;
  }

  async readable(timeoutMs: number): Promise<void> {
    if (this.backlog() > 0 || this.#failure !== undefined || this.#finished) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#waiters.push(resolve);
    await promise;
    clearTimeout(timer);
  }

  backlog(): number {
    return this.#queue.length - this.#at;
  }

  async close(): Promise<void> {
    this.#input.destroy();
    this.#wake();
  }

  get #hasRoom(): boolean {
    return this.backlog() < AHEAD_MAX && this.#queueBytes < AHEAD_BYTES_MAX;
  }

  #take(chunk: Buffer): void {
    this.bytesRead += chunk.length;
    let from = 0;
    for (let at = chunk.indexOf(LF); at !== -1; at = chunk.indexOf(LF, from)) {
      this.#endLine(chunk.subarray(from, at));
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    if (!this.#hasRoom) this.#input.pause();
    this.#wake();
  }

  #keep(part: Buffer): void {
    if (this.#passing || this.#rest.length + part.length > LINE_MAX) {
      this.#passing = true;
      this.#rest = Buffer.alloc(0);
    } else if (part.length > 0) this.#rest = Buffer.concat([this.#rest, part]);
  }

  #endLine(part: Buffer): void {
    this.#line++;
    const bytes = this.#rest.length === 0 ? part : Buffer.concat([this.#rest, part]);
    const tooLong = this.#passing || bytes.length > LINE_MAX;
    this.#rest = Buffer.alloc(0);
    this.#passing = false;
    const text = tooLong ? "" : bytes.toString().trim();
    if (tooLong) this.#options.malformed(this.#line, `it is longer than ${LINE_MAX} bytes`);
    else if (text !== "") this.#event(text);
  }

  #event(text: string): void {
    const event = readArchiveLine(text);
    if (typeof event === "string") {
      this.#options.malformed(this.#line, event);
      return;
    }
    const { log, partition, partitions } = this.#options;
    const { slot, token, time, logTime, payload } = event;
    if (time !== undefined && (this.#greatest === undefined || time > this.#greatest)) this.#greatest = time;
    this.#logTime = logTime ?? Math.max(this.#logTime, time ?? 0);
    if (slot % partitions === partition) this.#append(`${log}.${slot}.e.${token}`, payload);
  }

  #append(subject: string, payload: Uint8Array): void {
    const sequence = ++this.#sequence;
    if (sequence < this.#from) return;
    this.#queue.push({ sequence, logTime: this.#logTime, subject, headers: undefined, payload });
    this.#queueBytes += payload.length;
  }

  #finish(): void {
    if (this.#rest.length > 0 || this.#passing) this.#endLine(Buffer.alloc(0));
    const { log, partition } = this.#options;
    const watermark = this.#options.watermark ?? this.#greatest;
    if (watermark !== undefined) this.#append(controlSubject(log, partition), Buffer.from(writeWatermark(formatInstant(watermark))));
    this.#finished = true;
    this.#wake();
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}
