/**
 * One ephemeral consumer of a partition stream and the pulls that are open on it.
 *
 * Invariants: messages are handed on exactly in consumer order, and none after the session was lost or closed; what open pulls may
 * still bring is known in bytes (`outstandingBytes`) and never more than what was asked for. The session does not heal itself:
 * it says once that it was lost, and its owner opens another.
 * Nothing here may throw out of the subscription's callback: the client would end its whole connection.
 */
import { randomBytes } from "node:crypto";
import { createInbox, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import { type ApiError, askApi } from "./jetstream-api.ts";
import { AckSubject, decodeHeaders, headerBytesOf, messageBytes, replyBytesOf, statusOf } from "./raw-message.ts";

export interface SessionHandler {
  /** `ack` is filled again for the next message: copy what is to be kept. */
  message(msg: Msg, bytes: number, ack: AckSubject): void;
  /** A pull ended: its rest will not come. */
  pullEnded(): void;
  /** Called once; the session is closed. */
  lost(reason: string): void;
}

export interface SessionSettings {
  /** How often the server says that an open pull is alive. */
  readonly heartbeatMs: number;
  /** How long a pull stays open. */
  readonly expiresMs: number;
  /** How long the server keeps a consumer without pulls. */
  readonly inactiveMs: number;
}

const CREATE_TIMEOUT_MS = 2_000;
/** Half heartbeats without a sign of life before the session is given up: 2.5 heartbeats. */
const QUIET_TICKS_MAX = 5;
/** Far more than any bound of bytes lets through: a message takes at least its subject and acknowledgement subject. */
const BYTES_PER_MESSAGE_MIN = 64;

/** Opens a session at `fromSequence`; gives the server's error when it refuses. */
export async function openPullSession(
  nc: NatsConnection,
  stream: string,
  fromSequence: number,
  settings: SessionSettings,
  handler: SessionHandler,
): Promise<PullSession | ApiError> {
  const consumer = `tidemark-${randomBytes(9).toString("hex")}`;
  const session = new PullSession(nc, stream, consumer, settings, handler);
  const config = {
    name: consumer,
    deliver_policy: "by_start_sequence",
    opt_start_seq: fromSequence,
    ack_policy: "none",
    replay_policy: "instant",
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: settings.inactiveMs * 1e6,
  };
  try {
    const request = { stream_name: stream, action: "create", config };
    const { error } = await askApi(nc, `CONSUMER.CREATE.${stream}.${consumer}`, request, {
      timeoutMs: CREATE_TIMEOUT_MS,
      giveUpAfterMs: 0,
    });
    if (error === undefined) return session;
    session.close();
    return error;
  } catch (error) {
    session.close();
    throw error;
  }
}

export class PullSession {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #consumer: string;
  readonly #settings: SessionSettings;
  readonly #handler: SessionHandler;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #watch: NodeJS.Timeout;
  readonly #ack = new AckSubject();
  #consumerSequence = 0;
  #outstandingBytes = 0;
  #refusedBytes = 0;
  #quietTicks = 0;
  #closed = false;

  constructor(nc: NatsConnection, stream: string, consumer: string, settings: SessionSettings, handler: SessionHandler) {
    this.#nc = nc;
    this.#stream = stream;
    this.#consumer = consumer;
    this.#settings = settings;
    this.#handler = handler;
    this.#inbox = createInbox();
    this.#subscription = nc.subscribe(`${this.#inbox}.*`, { callback: (error, msg) => this.#receive(error, msg) });
    // Ticks are counted, not the clock read: after a long block of the event loop one tick is due, and the data that waited comes first.
    this.#watch = setInterval(() => this.#tick(), settings.heartbeatMs / 2);
    this.#watch.unref();
  }

  /** Bytes that open pulls may still bring. */
  get outstandingBytes(): number {
    return this.#outstandingBytes;
  }

  /** The next message is larger than this, as a pull that it did not fit told; 0 when not known. */
  get refusedBytes(): number {
    return this.#refusedBytes;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Asks for messages of up to `maxBytes` in all, subjects and headers included. */
  pull(maxBytes: number, messagesMax = Math.ceil(maxBytes / BYTES_PER_MESSAGE_MIN)): void {
    if (this.#closed) return;
    const { heartbeatMs, expiresMs } = this.#settings;
    const request = {
      batch: messagesMax,
      max_bytes: maxBytes,
      expires: expiresMs * 1e6,
      idle_heartbeat: heartbeatMs * 1e6,
    };
    // The reply subject carries the bound, so that the status that ends the pull says which bound was too small.
    const reply = `${this.#inbox}.${maxBytes}`;
    if (this.#outstandingBytes === 0) this.#quietTicks = 0;
    this.#outstandingBytes += maxBytes;
    try {
      this.#nc.publish(`$JS.API.CONSUMER.MSG.NEXT.${this.#stream}.${this.#consumer}`, JSON.stringify(request), { reply });
    } catch (error) {
      this.#lose(`pull failed: ${String(error)}`);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    if (this.#nc.isClosed()) return;
    this.#subscription.unsubscribe();
    // Best effort: the server drops an unused consumer by itself after `inactiveMs`.
    this.#nc.request(`$JS.API.CONSUMER.DELETE.${this.#stream}.${this.#consumer}`, "", { timeout: CREATE_TIMEOUT_MS }).catch(() => {});
  }

  #receive(error: Error | null, msg: Msg): void {
    if (this.#closed) return;
    this.#quietTicks = 0;
    try {
      if (error !== null) this.#lose(error.message);
      else this.#deliver(msg);
    } catch (failure) {
      this.#lose(`receiving failed: ${String(failure)}`);
    }
  }

  #deliver(msg: Msg): void {
    const reply = replyBytesOf(msg);
    if (reply === undefined || reply.length === 0) {
      this.#status(msg);
      return;
    }
    const ack = this.#ack;
    if (!ack.read(reply, this.#consumerSequence + 1)) {
      this.#lose("a message without an acknowledgement subject");
      return;
    }
    if (ack.consumerSequence !== this.#consumerSequence + 1) {
      this.#lose("messages were lost on the way");
      return;
    }
    this.#consumerSequence = ack.consumerSequence;
    const bytes = messageBytes(msg);
    this.#outstandingBytes = Math.max(0, this.#outstandingBytes - bytes);
    this.#refusedBytes = 0;
    this.#handler.message(msg, bytes, ack);
  }

  #status(msg: Msg): void {
    const block = headerBytesOf(msg);
    const status = block === undefined ? undefined : statusOf(block);
    if (block === undefined || status === undefined) {
      this.#lose("an answer that is neither a message nor a status");
      return;
    }
    const headers = decodeHeaders(block);
    if (status.code === 100) {
      this.#heartbeat(headers);
      return;
    }
    const restBytes = Number(headers.get("nats-pending-bytes") ?? Number.NaN);
    const ended = status.code === 404 || status.code === 408 || (status.code === 409 && PULL_ENDED.test(status.description));
    if (!ended || Number.isNaN(restBytes)) {
      this.#lose(`${status.code} ${status.description}`);
      return;
    }
    this.#outstandingBytes = Math.max(0, this.#outstandingBytes - restBytes);
    if (EXCEEDED.test(status.description)) {
      const askedBytes = Number(msg.subject.slice(msg.subject.lastIndexOf(".") + 1));
      if (restBytes >= askedBytes) this.#refusedBytes = Math.max(this.#refusedBytes, askedBytes);
    }
    this.#handler.pullEnded();
  }

  #heartbeat(headers: ReadonlyMap<string, string>): void {
    const sent = Number(headers.get("nats-last-consumer") ?? 0);
    if (sent > this.#consumerSequence) this.#lose("messages were lost on the way");
  }

  #tick(): void {
    if (this.#outstandingBytes === 0) return;
    if (++this.#quietTicks > QUIET_TICKS_MAX) this.#lose("neither message nor heartbeat");
  }

  #lose(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#handler.lost(reason);
  }
}

/** Ends of a pull after which the consumer still lives. Every other 409 (deleted, leadership change, shutdown, limits) loses it. */
const EXCEEDED = /^Message Size Exceeds MaxBytes/i;
const PULL_ENDED = /^(Message Size Exceeds MaxBytes|Batch Completed)/i;
