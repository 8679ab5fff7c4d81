/**
 * The stream `<log>-reference`: every version of every record of a log's tables, in the order in which they were put.
 * It is never trimmed. A record stands on `<log>-reference.<table>.<written id>`, so the last version of an id is found
 * by its subject, and a writer can ask that nobody was there since.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { writeKey } from "../../actors/model/key.ts";
import { isTidemarkError } from "../errors.ts";
import { askStream, storedMessage, streamInfo } from "../log/jetstream-api.ts";
import { ensureStream, type LogStreamSettings } from "../log/log-streams.ts";
import { NatsLogReader } from "../log/nats-log-reader.ts";
import type { AppendOptions, LogBounds, LogReader, PartitionLog } from "../log/partition-log.ts";
import { appendAcknowledged } from "../log/publish-ack.ts";

/** What copies are read from. A partition's log keeps the same contract, so that one in memory serves in tests. */
export type ReferenceSource = Pick<PartitionLog, "stream" | "bounds" | "read">;

/** Small against a partition's: many shards read it, and records are small. */
const READ_AHEAD_BYTES = 256 * 1024;

export class NatsReferenceLog implements ReferenceSource {
  readonly stream: string;
  readonly #nc: NatsConnection;

  constructor(nc: NatsConnection, log: string) {
    this.#nc = nc;
    this.stream = referenceStream(log);
  }

  /** Creates the stream when it is missing. Fails with `LOG_LAYOUT` when one is there that could lose records. */
  static async ensure(nc: NatsConnection, log: string, settings: LogStreamSettings): Promise<void> {
    await ensureStream(nc, referenceStream(log), [`${referenceStream(log)}.*.*`], settings);
  }

  async bounds(): Promise<LogBounds> {
    const { state } = await streamInfo(this.#nc, this.stream);
    return { firstSequence: Math.max(1, state.first_seq), lastSequence: state.last_seq };
  }

  async append(subject: string, payload: Uint8Array, options: AppendOptions = {}): Promise<number> {
    return await appendAcknowledged(this.#nc, subject, payload, { stream: this.stream, ...options });
  }

  async firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined> {
    return await this.#stored({ next_by_subj: subject, seq: Math.max(1, fromSequence) });
  }

  async lastOn(subject: string): Promise<LogEntry | undefined> {
    return await this.#stored({ last_by_subj: subject });
  }

  /** A stream that is not there holds nothing: it comes with the first record. */
  async #stored(query: Parameters<typeof storedMessage>[2]): Promise<LogEntry | undefined> {
    try {
      return await storedMessage(this.#nc, this.stream, query);
    } catch (error) {
      if (isTidemarkError(error, "LOG_MISSING")) return undefined;
      throw error;
    }
  }

  async exists(): Promise<boolean> {
    try {
      await streamInfo(this.#nc, this.stream);
      return true;
    } catch (error) {
      if (isTidemarkError(error, "LOG_MISSING")) return false;
      throw error;
    }
  }

  /** Messages on a subject, asked of the leader. */
  async countOn(subject: string): Promise<number> {
    const query = { subjects_filter: subject };
    const info = await askStream<{ readonly state: { readonly subjects?: Readonly<Record<string, number>> } }>(
      this.#nc,
      this.stream,
      `STREAM.INFO.${this.stream}`,
      query,
    );
    return info.state.subjects?.[subject] ?? 0;
  }

  read(fromSequence: number): LogReader {
    return new NatsLogReader(this.#nc, this.stream, fromSequence, { readAheadBytes: READ_AHEAD_BYTES });
  }
}

export function referenceStream(log: string): string {
  return `${log}-reference`;
}

/** Where the versions of an id stand; `undefined` when no record can have such an id. */
export function recordSubject(log: string, table: string, id: string): string | undefined {
  const token = writeKey(id);
  return token === undefined ? undefined : `${referenceStream(log)}.${table}.${token}`;
}
