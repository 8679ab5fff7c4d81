/**
 * An ordered, gapless, bounded and watched read of one partition stream.
 *
 * Invariants: sequences given out strictly increase; what was pulled and not taken is at most `readAheadBytes`, except for one message
 * that is larger by itself; a reader that nobody takes from stops pulling. A gap of the sequence is held back until the leader has said
 * that the stream still begins before it: messages may be erased one by one, but a log that was trimmed past the reader fails.
 * A lost session is replaced by one that begins with the last message read: when that one is another now, the log was rewritten.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { LogEntry } from "../../actors/fold/entry.ts";
import { isTidemarkError, TidemarkError } from "../errors.ts";
import { EntryQueue } from "./entry-queue.ts";
import { SERVER_ERROR, type StreamInfo, streamInfo } from "./jetstream-api.ts";
import type { LogReader } from "./partition-log.ts";
import { openPullSession, PullSession } from "./pull-session.ts";
import { type AckSubject, decodeHeaders, headerBytesOf, subjectOf } from "./raw-message.ts";
import { onReconnect } from "./reconnects.ts";

export interface NatsLogReaderOptions {
  /** Bound of what is pulled and not taken, subjects and headers included. Default 4 MiB. */
  readonly readAheadBytes?: number;
  /** Default 1 s. After 2.5 of them without a sign of life the consumer is replaced. */
  readonly heartbeatMs?: number;
  /** How long the stream may be missing before the reader fails with `LOG_MISSING`. Default 5 s. */
  readonly missingAfterMs?: number;
}

const READ_AHEAD_BYTES = 4 * 1024 * 1024;
const HEARTBEAT_MS = 1_000;
const EXPIRES_MS = 30_000;
const INACTIVE_MS = 30_000;
const MISSING_AFTER_MS = 5_000;
const BACKOFF_MS = 25;
const BACKOFF_MAX_MS = 1_000;
/** What subject and acknowledgement subject may add to the server's `max_payload`. */
const ENVELOPE_BYTES_MAX = 16 * 1024;

/** The last message read: what a new session begins with. */
interface Anchor {
  readonly sequence: number;
  readonly timestampMs: number;
  readonly payloadBytes: number;
}

export class NatsLogReader implements LogReader {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #options: Required<NatsLogReaderOptions>;
  readonly #queue = new EntryQueue();
  readonly #stopListening: () => void;
  #session: PullSession | undefined;
  #next: number;
  #lastTimestampMs = -1;
  #lastPayloadBytes = 0;
  #anchor: Anchor | undefined;
  #created: string | undefined;
  /** Another stream of the same name took the place of the one that was read. */
  #replaced = false;
  #pendingBehind = 0;
  /** The first sequence that is missing in the stream's order, while nobody knows why. */
  #gapAt: number | undefined;
  #laterGapAt: number | undefined;
  #failure: TidemarkError | undefined;
  #closed = false;
  #opening = false;
  #backoffMs = 0;
  readonly #waiters = new Set<() => void>();

  constructor(nc: NatsConnection, stream: string, fromSequence: number, options: NatsLogReaderOptions = {}) {
    this.#nc = nc;
    this.#stream = stream;
    this.#next = Math.max(1, fromSequence);
    this.#options = {
      readAheadBytes: options.readAheadBytes ?? READ_AHEAD_BYTES,
      heartbeatMs: options.heartbeatMs ?? HEARTBEAT_MS,
      missingAfterMs: options.missingAfterMs ?? MISSING_AFTER_MS,
    };
    this.#stopListening = onReconnect(nc, () => this.#replaceSession());
    void this.#openSession();
  }

  take(maxEntries: number): LogEntry[] {
    if (this.#failure !== undefined) throw this.#failure;
    const entries = this.#queue.take(maxEntries);
    if (entries.length > 0) this.#pullIfRoom();
    return entries;
  }

  async readable(timeoutMs: number): Promise<void> {
    if (this.#failure !== undefined || this.#closed || this.#queue.takeable > 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiters.add(resolve);
    const timer = setTimeout(resolve, timeoutMs);
    await promise;
    clearTimeout(timer);
    this.#waiters.delete(resolve);
  }

  backlog(): number {
    return this.#queue.length + this.#pendingBehind;
  }

  /** Bytes pulled and not taken, those on their way included: what `readAheadBytes` bounds. */
  get pulledBytes(): number {
    return this.#queue.bytes + (this.#session?.outstandingBytes ?? 0);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
  }

  #stop(): void {
    this.#stopListening();
    this.#session?.close();
    this.#session = undefined;
    this.#wakeUp();
  }

  #fail(failure: TidemarkError): void {
    this.#failure ??= failure;
    this.#stop();
  }

  get #ended(): boolean {
    return this.#closed || this.#failure !== undefined;
  }

  #wakeUp(): void {
    for (const resolve of this.#waiters) resolve();
  }

  #receive(msg: Msg, bytes: number, ack: AckSubject): void {
    this.#backoffMs = 0;
    const sequence = ack.streamSequence;
    this.#pendingBehind = ack.pending;
    const payload = msg.data;
    if (sequence < this.#next) {
      this.#compareWithAnchor(sequence, ack.timestampMs, payload.length);
      return;
    }
    if (sequence > this.#next) this.#holdBackFrom(this.#next);
    const block = headerBytesOf(msg);
    const entry: LogEntry = {
      sequence,
      logTime: ack.timestampMs,
      subject: subjectOf(msg),
      headers: block === undefined ? undefined : decodeHeaders(block),
      payload,
    };
    this.#queue.push(entry, bytes);
    this.#next = sequence + 1;
    this.#lastTimestampMs = ack.timestampMs;
    this.#lastPayloadBytes = payload.length;
    if (this.#waiters.size > 0 && this.#queue.takeable > 0) this.#wakeUp();
    this.#pullIfRoom();
  }

  /** A session begins with the last message read; one on a log that had lost its tail begins before it. */
  #compareWithAnchor(sequence: number, timestampMs: number, payloadBytes: number): void {
    const anchor = this.#anchor;
    const other = anchor?.sequence === sequence && (anchor.timestampMs !== timestampMs || anchor.payloadBytes !== payloadBytes);
    if (other || (this.#replaced && sequence === this.#next - 1)) {
      this.#fail(new TidemarkError("LOG_TRUNCATED", `${this.#stream} holds another message at ${sequence} than the one before.`));
      return;
    }
    this.#pullIfRoom();
  }

  #pullIfRoom(): void {
    const session = this.#session;
    if (session === undefined || this.#ended) return;
    const bound = this.#options.readAheadBytes;
    const roomBytes = bound - this.#queue.bytes - session.outstandingBytes;
    if (roomBytes * 2 < bound) return;
    if (session.refusedBytes < roomBytes) session.pull(roomBytes);
    // The next message did not fit a pull of this size: wait for more room, and when there is all, let that one message through.
    else if (roomBytes === bound) session.pull((this.#nc.info?.max_payload ?? bound) + ENVELOPE_BYTES_MAX, 1);
  }

  #holdBackFrom(sequence: number): void {
    this.#queue.holdBack();
    if (this.#gapAt === undefined) {
      this.#gapAt = sequence;
      void this.#explainGap();
    } else {
      this.#laterGapAt ??= sequence;
    }
  }

  /** One answer explains every gap that was seen before it was asked for: a stream that begins before the first was not trimmed to a later one. */
  async #explainGap(): Promise<void> {
    while (this.#gapAt !== undefined && !this.#ended) {
      const gapAt = this.#gapAt;
      this.#laterGapAt = undefined;
      const info = await this.#askInfo();
      if (info === undefined) continue;
      if (!this.#accepts(info, gapAt)) return;
      this.#gapAt = this.#laterGapAt;
    }
    this.#queue.releaseAll();
    if (this.#queue.takeable > 0) this.#wakeUp();
  }

  async #askInfo(): Promise<StreamInfo | undefined> {
    try {
      return await streamInfo(this.#nc, this.#stream);
    } catch (error) {
      if (isTidemarkError(error, "LOG_MISSING") || this.#nc.isClosed()) this.#fail(asFailure(error, this.#stream));
      return undefined;
    }
  }

  /** Whether the stream can still be read from `sequence` on; fails the reader when not. */
  #accepts(info: StreamInfo, sequence: number): boolean {
    const { first_seq: first, last_seq: last } = info.state;
    this.#created ??= info.created;
    this.#replaced = info.created !== this.#created && sequence > 1;
    if (this.#replaced && last >= sequence) {
      this.#fail(
        new TidemarkError(
          "LOG_TRUNCATED",
          `${this.#stream} was deleted and created anew at ${info.created}, behind the read of ${sequence - 1}.`,
        ),
      );
      return false;
    }
    if (first > sequence) {
      this.#fail(new TidemarkError("LOG_TRIMMED", `${this.#stream} begins at ${first}; ${sequence} is the next to read.`));
      return false;
    }
    return true;
  }

  #replaceSession(): void {
    this.#session?.close();
    this.#session = undefined;
    void this.#openSession();
  }

  async #openSession(): Promise<void> {
    if (this.#opening || this.#ended) return;
    this.#opening = true;
    let missingSince: number | undefined;
    while (!this.#ended && this.#session === undefined) {
      if (this.#backoffMs > 0) await delay(this.#backoffMs);
      this.#backoffMs = Math.min(Math.max(BACKOFF_MS, this.#backoffMs * 2), BACKOFF_MAX_MS);
      try {
        const missing = await this.#tryOpen();
        missingSince = missing ? (missingSince ?? performance.now()) : undefined;
        if (missingSince !== undefined && performance.now() - missingSince > this.#options.missingAfterMs) {
          this.#fail(new TidemarkError("LOG_MISSING", `There is no stream ${this.#stream}.`));
        }
      } catch (error) {
        // Unreachable for now: the connection comes back by itself, or was closed for good.
        if (this.#nc.isClosed()) this.#fail(asFailure(error, this.#stream));
      }
    }
    this.#opening = false;
    this.#pullIfRoom();
  }

  /** True when the stream is missing. */
  async #tryOpen(): Promise<boolean> {
    const anchored = this.#lastTimestampMs >= 0;
    const last = this.#next - 1;
    this.#anchor = anchored ? { sequence: last, timestampMs: this.#lastTimestampMs, payloadBytes: this.#lastPayloadBytes } : undefined;
    const settings = { heartbeatMs: this.#options.heartbeatMs, expiresMs: EXPIRES_MS, inactiveMs: INACTIVE_MS };
    const session = await openPullSession(this.#nc, this.#stream, anchored ? last : this.#next, settings, {
      message: (msg, bytes, ack) => this.#receive(msg, bytes, ack),
      pullEnded: () => this.#pullIfRoom(),
      lost: () => this.#replaceSession(),
    });
    if (!(session instanceof PullSession)) return session.err_code === SERVER_ERROR.streamNotFound;
    let accepted = false;
    try {
      // Asked when the consumer stands: what is trimmed later shows as a gap.
      accepted = this.#accepts(await streamInfo(this.#nc, this.#stream, { giveUpAfterMs: 0 }), this.#next);
    } finally {
      if (accepted && !this.#ended && !session.isClosed) this.#session = session;
      else session.close();
    }
    return false;
  }
}

function asFailure(error: unknown, stream: string): TidemarkError {
  return error instanceof TidemarkError ? error : new TidemarkError("NATS_UNREACHABLE", `${stream}: ${String(error)}.`, { cause: error });
}
