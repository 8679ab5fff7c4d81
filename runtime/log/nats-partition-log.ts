/**
 * One partition of a log on JetStream. Everything it tells about the log was asked of the stream's leader.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { storedMessage, streamInfo } from "./jetstream-api.ts";
import { NatsLogReader, type NatsLogReaderOptions } from "./nats-log-reader.ts";
import type { AppendOptions, LogBounds, PartitionLog } from "./partition-log.ts";
import { appendAcknowledged } from "./publish-ack.ts";
import { streamOf } from "./slot-map.ts";

export interface NatsPartitionLogOptions extends NatsLogReaderOptions {
  /** How long an append waits for its acknowledgement before it tries again. Default 2 s. */
  readonly ackTimeoutMs?: number;
  /** How often an append is tried. Default 6. */
  readonly appendTries?: number;
}

export class NatsPartitionLog implements PartitionLog {
  readonly stream: string;
  readonly #nc: NatsConnection;
  readonly #options: NatsPartitionLogOptions;

  constructor(nc: NatsConnection, log: string, partition: number, options: NatsPartitionLogOptions = {}) {
    this.#nc = nc;
    this.stream = streamOf(log, partition);
    this.#options = options;
  }

  async bounds(): Promise<LogBounds> {
    const { state } = await streamInfo(this.#nc, this.stream);
    // A stream that never held a message says 0 and 0.
    return { firstSequence: Math.max(1, state.first_seq), lastSequence: state.last_seq };
  }

  async append(subject: string, payload: Uint8Array, options: AppendOptions = {}): Promise<number> {
    return await appendAcknowledged(this.#nc, subject, payload, {
      stream: this.stream,
      headers: options.headers,
      expectedLastSubjectSequence: options.expectedLastSubjectSequence,
      ackTimeoutMs: this.#options.ackTimeoutMs,
      tries: this.#options.appendTries,
    });
  }

  async firstOn(subject: string, fromSequence: number): Promise<LogEntry | undefined> {
    return await storedMessage(this.#nc, this.stream, { next_by_subj: subject, seq: Math.max(1, fromSequence) });
  }

  async lastOn(subject: string): Promise<LogEntry | undefined> {
    return await storedMessage(this.#nc, this.stream, { last_by_subj: subject });
  }

  read(fromSequence: number): NatsLogReader {
    return new NatsLogReader(this.#nc, this.stream, fromSequence, this.#options);
  }
}
