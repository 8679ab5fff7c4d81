/**
 * A partition's log as a fold of one job needs it: large results of its calls stand beside the log, and here nobody sees
 * that. What is appended is taken apart, what is read is put together again, to the same bytes.
 *
 * Whoever reads a log to fold it reads it through this; a fold refuses to be handed an entry without its outputs. Places are
 * asked for as they stand: `firstOn` and `lastOn` bring nothing, `whole` does.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import { RESULT_INLINE_MAX_BYTES } from "../../actors/fold/bounds.ts";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { awayOutputs, largeOutputs } from "../../actors/fold/stored-results.ts";
import { journalSubject, storedSubject } from "../../actors/fold/subject.ts";
import type { Job } from "../../actors/model/job.ts";
import { systemClock } from "../clock.ts";
import { TidemarkError } from "../errors.ts";
import { NatsPartitionLog } from "../log/nats-partition-log.ts";
import type { AppendOptions, LogBounds, LogReader, PartitionLog } from "../log/partition-log.ts";
import { primitives } from "../primitives.ts";
import type { BlobPlace } from "../snapshots/open-catalogue.ts";
import { Bringer, type Patience } from "./bringer.ts";
import { ResultBlobs } from "./result-blobs.ts";
import { WholeReader } from "./whole-reader.ts";

export interface WholeLogOptions {
  readonly job: Pick<Job, "name" | "origin" | "log">;
  readonly partition: number;
  readonly results: ResultBlobs;
  /** Of who waits until a result can be brought; without it a reader fails when one cannot. */
  readonly patience?: Patience;
}

/** The log of a job in NATS. */
export function wholeLogOf(
  nc: NatsConnection,
  job: WholeLogOptions["job"],
  partition: number,
  place: () => Promise<BlobPlace>,
  patience?: Patience,
): WholeLog {
  const log = new NatsPartitionLog(nc, job.log, partition);
  const results = new ResultBlobs(log.stream, place, () => systemClock.now());
  return new WholeLog(log, { job, partition, results, ...(patience === undefined ? {} : { patience }) });
}

export class WholeLog implements PartitionLog {
  readonly stream: string;
  readonly #log: PartitionLog;
  readonly #results: ResultBlobs;
  readonly #bringer: Bringer;
  /** The job's journal, and that of its origin, by the subject of their entries of which something is away; and the other way. */
  readonly #journalOf = new Map<string, string>();
  readonly #storedOf = new Map<string, string>();

  constructor(log: PartitionLog, { job, partition, results, patience }: WholeLogOptions) {
    this.stream = log.stream;
    this.#log = log;
    this.#results = results;
    this.#bringer = new Bringer(results, patience);
    for (const name of job.origin === undefined ? [job.name] : [job.name, job.origin]) {
      const journal = journalSubject(job.log, partition, name);
      const stored = storedSubject(job.log, partition, name);
      this.#journalOf.set(stored, journal);
      this.#storedOf.set(journal, stored);
    }
  }

  bounds(): Promise<LogBounds> {
    return this.#log.bounds();
  }

  /** Large results are stored first; then it also throws SNAPSHOT_STORE, or what opening their place throws. */
  async append(subject: string, payload: Uint8Array, options?: AppendOptions): Promise<number> {
    const stored = payload.length > RESULT_INLINE_MAX_BYTES ? this.#storedOf.get(subject) : undefined;
    const text = stored === undefined ? undefined : primitives.decodeUtf8(payload);
    const large = text === undefined ? undefined : largeOutputs(text, Buffer.byteLength);
    if (stored === undefined || large === undefined) return await this.#log.append(subject, payload, options);
    const named = [];
    for (const output of large.outputs) named.push(await this.#results.put(output));
    return await this.#log.append(stored, Buffer.from(large.write(named)), options);
  }

  firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined> {
    return this.#log.firstOn(subject, fromSequence);
  }

  lastOn(subject: string): Promise<LogEntry | undefined> {
    return this.#log.lastOn(subject);
  }

  /** An entry as a fold would see it. Throws RESULT_CONTENT, SNAPSHOT_STORE. */
  async whole(entry: LogEntry): Promise<LogEntry> {
    const away = this.#awayIn(entry);
    return away === undefined ? entry : await away.bring(new AbortController().signal);
  }

  read(fromSequence: number): LogReader {
    return new WholeReader(this.#log.read(fromSequence), (entry) => this.#awayIn(entry));
  }

  /** `undefined` when nothing of it is away, or nothing that a fold would take. */
  #awayIn(entry: LogEntry) {
    const journal = entry.subject.endsWith(STORED_END) ? this.#journalOf.get(entry.subject) : undefined;
    const text = journal === undefined ? undefined : primitives.decodeUtf8(entry.payload);
    const away = text === undefined ? undefined : awayOutputs(text);
    if (journal === undefined || away === undefined) return undefined;
    const bytes = away.stored.reduce((sum, { bytes: one }) => sum + one, 0);
    const bring = async (signal: AbortSignal): Promise<LogEntry> => {
      const outputs: unknown[] = [];
      for (const stored of away.stored) outputs.push(parsed(await this.#bringer.bring(stored, signal), this.stream, entry.sequence));
      return { ...entry, subject: journal, payload: Buffer.from(away.write(outputs)) };
    };
    return { bytes, bring };
  }
}

/** Sooner said of an entry than which journal it is of. */
const STORED_END = ".stored";

/** It was JSON when it was stored: else somebody else has written the entry. */
function parsed(json: string, stream: string, sequence: number): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    throw new TidemarkError("RESULT_CONTENT", `Entry ${sequence} of ${stream} names a result that is no JSON.`, { cause: error });
  }
}
