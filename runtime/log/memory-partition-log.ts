/**
 * A partition of a log in memory: the same contract, as strict. Its clock is settable, it can be trimmed and truncated, so that a test
 * can make happen what a server does on a bad day.
 */
import type { LogEntry } from "../../actors/fold/entry.ts";
import { TidemarkError } from "../errors.ts";
import type { AppendOptions, LogBounds, LogReader, PartitionLog } from "./partition-log.ts";

export interface MemoryPartitionLogOptions {
  /** Default `memory-0`. */
  readonly stream?: string;
  /** Subjects that it takes, with `*` and `>`; default all. */
  readonly subjects?: readonly string[];
  /** Bound of all payloads, subjects and headers together; default none. */
  readonly maxBytes?: number;
  /** Bound of one message, headers included. Default 1 MiB, the server's. */
  readonly maxPayloadBytes?: number;
}

const MAX_PAYLOAD_BYTES = 1024 * 1024;
const HEADER_FRAME_BYTES = 12;

export class MemoryPartitionLog implements PartitionLog {
  readonly stream: string;
  /** Log time of what is appended next, milliseconds. */
  now = 0;
  readonly #subjects: readonly string[];
  readonly #maxBytes: number;
  readonly #maxPayloadBytes: number;
  readonly #lastBySubject = new Map<string, number>();
  readonly #readers = new Set<MemoryLogReader>();
  /** Entry of `#first + i` at i. */
  #entries: LogEntry[] = [];
  #first = 1;
  #bytes = 0;

  constructor(options: MemoryPartitionLogOptions = {}) {
    this.stream = options.stream ?? "memory-0";
    this.#subjects = options.subjects ?? [">"];
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY;
    this.#maxPayloadBytes = options.maxPayloadBytes ?? MAX_PAYLOAD_BYTES;
  }

  get firstSequence(): number {
    return this.#first;
  }

  get lastSequence(): number {
    return this.#first + this.#entries.length - 1;
  }

  async bounds(): Promise<LogBounds> {
    return { firstSequence: this.#first, lastSequence: this.lastSequence };
  }

  async append(subject: string, payload: Uint8Array, options: AppendOptions = {}): Promise<number> {
    const headers = storedHeaders(options);
    const headerBytes = bytesOfHeaders(headers);
    if (payload.length + headerBytes > this.#maxPayloadBytes) {
      throw new TidemarkError(
        "EVENT_TOO_LARGE",
        `${subject}: ${payload.length + headerBytes} bytes, the log takes ${this.#maxPayloadBytes}.`,
      );
    }
    if (!this.#subjects.some((pattern) => matches(pattern, subject))) throw new TidemarkError("LOG_MISSING", `${subject}.`);
    const expected = options.expectedLastSubjectSequence;
    const last = this.#lastBySubject.get(subject) ?? 0;
    if (expected !== undefined && expected !== last) throw new TidemarkError("LOG_CONFLICT", `${subject}: wrong last sequence: ${last}.`);
    const bytes = subject.length + payload.length + headerBytes;
    if (this.#bytes + bytes > this.#maxBytes) throw new TidemarkError("LOG_FULL", `${subject}: maximum bytes exceeded.`);
    const sequence = this.lastSequence + 1;
    // The caller may fill its buffer again; a stored entry never changes.
    this.#entries.push({ sequence, logTime: this.now, subject, headers, payload: new Uint8Array(payload) });
    this.#lastBySubject.set(subject, sequence);
    this.#bytes += bytes;
    for (const reader of this.#readers) reader.wakeUp();
    return sequence;
  }

  async firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined> {
    return this.#entries.find((entry) => entry.sequence >= fromSequence && matches(subject, entry.subject));
  }

  async lastOn(subject: string): Promise<LogEntry | undefined> {
    return this.#entries.findLast((entry) => matches(subject, entry.subject));
  }

  read(fromSequence: number): LogReader {
    const reader = new MemoryLogReader(this, fromSequence, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  entryAt(sequence: number): LogEntry | undefined {
    return this.#entries[sequence - this.#first];
  }

  /** Removes every entry up to and including `sequence`, as a purge does. */
  trim(sequence: number): void {
    const count = Math.min(sequence, this.lastSequence) - this.#first + 1;
    if (count <= 0) return;
    this.#entries = this.#entries.slice(count);
    this.#first += count;
    this.#recount();
    for (const reader of this.#readers) reader.wakeUp();
  }

  /** Removes every entry behind `sequence`, as a lost tail does; the numbers are given again. */
  truncate(sequence: number): void {
    this.#entries.length = Math.max(0, Math.min(this.#entries.length, sequence - this.#first + 1));
    this.#recount();
  }

  #recount(): void {
    this.#bytes = 0;
    this.#lastBySubject.clear();
    for (const entry of this.#entries) {
      this.#lastBySubject.set(entry.subject, entry.sequence);
      this.#bytes += entry.subject.length + entry.payload.length + bytesOfHeaders(entry.headers);
    }
  }
}

class MemoryLogReader implements LogReader {
  readonly #log: MemoryPartitionLog;
  readonly #onClose: () => void;
  readonly #waiters = new Set<() => void>();
  #next: number;
  #failure: TidemarkError | undefined;
  #last: LogEntry | undefined;
  #closed = false;

  constructor(log: MemoryPartitionLog, fromSequence: number, onClose: () => void) {
    this.#log = log;
    this.#next = Math.max(1, fromSequence);
    this.#onClose = onClose;
  }

  take(maxEntries: number): LogEntry[] {
    if (this.#closed) return [];
    this.#check();
    if (this.#failure !== undefined) throw this.#failure;
    const entries: LogEntry[] = [];
    while (entries.length < maxEntries) {
      const entry = this.#log.entryAt(this.#next);
      if (entry === undefined) break;
      entries.push(entry);
      this.#last = entry;
      this.#next++;
    }
    return entries;
  }

  /** What the log holds at the last number read must still be what was read there. */
  #check(): void {
    if (this.#failure !== undefined) return;
    const stream = this.#log.stream;
    const same = this.#last === undefined ? undefined : this.#log.entryAt(this.#last.sequence);
    if (same !== undefined && same !== this.#last) {
      this.#failure = new TidemarkError("LOG_TRUNCATED", `${stream} holds another message at ${same.sequence} than the one read there.`);
    } else if (this.#log.firstSequence > this.#next) {
      this.#failure = new TidemarkError(
        "LOG_TRIMMED",
        `${stream} begins at ${this.#log.firstSequence}; ${this.#next} is the next to read.`,
      );
    }
  }

  async readable(timeoutMs: number): Promise<void> {
    this.#check();
    if (this.#closed || this.#failure !== undefined || this.#log.entryAt(this.#next) !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiters.delete(resolve);
  }

  backlog(): number {
    return Math.max(0, this.#log.lastSequence - this.#next + 1);
  }

  wakeUp(): void {
    this.#check();
    if (this.#failure === undefined && this.#log.entryAt(this.#next) === undefined) return;
    for (const resolve of this.#waiters) resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#onClose();
    for (const resolve of this.#waiters) resolve();
  }
}

function storedHeaders(options: AppendOptions): ReadonlyMap<string, string> | undefined {
  const stored = new Map<string, string>();
  for (const [name, value] of options.headers ?? []) stored.set(name.toLowerCase(), value.trim());
  // The server keeps the condition with the message.
  const expected = options.expectedLastSubjectSequence;
  if (expected !== undefined) stored.set("nats-expected-last-subject-sequence", String(expected));
  return stored.size === 0 ? undefined : stored;
}

function bytesOfHeaders(headers: ReadonlyMap<string, string> | undefined): number {
  let bytes = 0;
  for (const [name, value] of headers ?? []) bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 4;
  return bytes === 0 ? 0 : bytes + HEADER_FRAME_BYTES;
}

function matches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true;
  const wanted = pattern.split(".");
  const has = subject.split(".");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === ">") return has.length > i;
    if (has[i] === undefined || (wanted[i] !== "*" && wanted[i] !== has[i])) return false;
  }
  return wanted.length === has.length;
}
