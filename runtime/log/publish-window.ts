/**
 * Acknowledged publishing in a bounded window, without a request per message: all acknowledgements come to one inbox, and each
 * names the number of its message and the try (`<inbox>.<try>.<number>`).
 *
 * Invariants: a message is settled exactly once; an acknowledgement of an abandoned try settles nothing; a message that is tried
 * again keeps its place in the window. Whoever sends orders messages by not sending the next before the last is settled.
 */
import { createInbox, type Msg, type MsgHdrs, type NatsConnection, type Subscription } from "@nats-io/transport-node";
import { TidemarkError } from "../errors.ts";
import { messageOf } from "./jetstream-api.ts";
import { isAck, type PublishAck, readPublishAck, refusalOfPublish } from "./publish-ack.ts";
import { headerBytesOf, statusOf, subjectOf } from "./raw-message.ts";
import { onReconnect } from "./reconnects.ts";

export interface WindowMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  settled(outcome: PublishAck | TidemarkError): void;
  /** Asked after a failed try, before the next: true when the message must not be tried again. Then `takenBack` is called, `settled` is not. */
  readonly isOutdated?: () => Promise<boolean>;
  readonly takenBack?: () => void;
}

export interface PublishWindowOptions {
  /** Unacknowledged messages at most. */
  readonly messagesMax: number;
  /** Unacknowledged bytes, passed when a message begins below it. */
  readonly bytesMax: number;
  readonly ackTimeoutMs: number;
  /** How often a message is sent at most. */
  readonly tries: number;
}

const BACKOFF_MS = 50;
const BACKOFF_MAX_MS = 2_000;
const NO_RESPONDERS = 503;

interface InFlight {
  readonly message: WindowMessage;
  readonly number: number;
  /** Counts sends from 1. */
  attempt: number;
  sentAt: number;
  /** False between a failed try and the next one. */
  awaiting: boolean;
}

export class PublishWindow {
  readonly #nc: NatsConnection;
  readonly #options: PublishWindowOptions;
  /** In the order of their last send: the first that has not timed out ends the search. */
  readonly #inFlight = new Map<number, InFlight>();
  readonly #replyPrefix: string;
  readonly #subscription: Subscription;
  readonly #stopListening: () => void;
  #watch: NodeJS.Timeout | undefined;
  #number = 0;
  #bytes = 0;
  #closed = false;

  constructor(nc: NatsConnection, options: PublishWindowOptions) {
    this.#nc = nc;
    this.#options = options;
    this.#replyPrefix = `${createInbox()}.`;
    this.#subscription = nc.subscribe(`${this.#replyPrefix}*.*`, { callback: (error, msg) => this.#receive(error, msg) });
    this.#stopListening = onReconnect(nc, () => this.#sendAllAgain());
  }

  get hasRoom(): boolean {
    return this.#inFlight.size < this.#options.messagesMax && this.#bytes < this.#options.bytesMax;
  }

  get messages(): number {
    return this.#inFlight.size;
  }

  send(message: WindowMessage): void {
    const entry: InFlight = { message, number: ++this.#number, attempt: 0, sentAt: 0, awaiting: false };
    this.#bytes += message.payload.length;
    this.#try(entry);
    if (this.#watch === undefined) this.#startWatch();
  }

  /** Settles everything still in flight with `PUBLISH_TIMEOUT`: it may be stored. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#watch);
    this.#stopListening();
    if (!this.#nc.isClosed()) this.#subscription.unsubscribe();
    for (const entry of [...this.#inFlight.values()]) {
      this.#settle(entry, new TidemarkError("PUBLISH_TIMEOUT", `${entry.message.subject}: the publisher was closed.`));
    }
  }

  #try(entry: InFlight): void {
    const { message } = entry;
    entry.attempt++;
    entry.awaiting = true;
    entry.sentAt = performance.now();
    this.#inFlight.delete(entry.number);
    this.#inFlight.set(entry.number, entry);
    const reply = `${this.#replyPrefix}${entry.attempt}.${entry.number}`;
    try {
      this.#nc.publish(message.subject, message.payload, message.headers === undefined ? { reply } : { reply, headers: message.headers });
    } catch (error) {
      const tooLarge = /max_payload/.test(messageOf(error));
      const failure = new TidemarkError(tooLarge ? "EVENT_TOO_LARGE" : "NATS_UNREACHABLE", `${message.subject}: ${messageOf(error)}.`);
      // Not from inside `send`: the sender has not noted yet that it sent.
      queueMicrotask(() => this.#settle(entry, failure));
    }
  }

  #receive(error: Error | null, msg: Msg): void {
    // Nothing may throw out of here: the client would end its connection.
    if (error !== null || this.#closed) return;
    const subject = subjectOf(msg);
    const dot = subject.lastIndexOf(".");
    const entry = this.#inFlight.get(Number(subject.slice(dot + 1)));
    if (entry === undefined || !entry.awaiting) return;
    if (Number(subject.slice(this.#replyPrefix.length, dot)) !== entry.attempt) return;
    const block = headerBytesOf(msg);
    if (block !== undefined && statusOf(block)?.code === NO_RESPONDERS) {
      this.#failed(entry, "LOG_MISSING", "nobody takes it");
      return;
    }
    const answer = readPublishAck(msg.data);
    if (isAck(answer)) {
      this.#settle(entry, answer);
      return;
    }
    const refusal = refusalOfPublish(answer, entry.message.subject);
    if (refusal.retry) this.#failed(entry, "PUBLISH_TIMEOUT", refusal.detail);
    else this.#settle(entry, refusal.error);
  }

  #settle(entry: InFlight, outcome: PublishAck | TidemarkError): void {
    if (!this.#forget(entry)) return;
    entry.message.settled(outcome);
  }

  #forget(entry: InFlight): boolean {
    if (!this.#inFlight.delete(entry.number)) return false;
    entry.awaiting = false;
    this.#bytes -= entry.message.payload.length;
    if (this.#inFlight.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
    return true;
  }

  #failed(entry: InFlight, code: "LOG_MISSING" | "PUBLISH_TIMEOUT", why: string): void {
    entry.awaiting = false;
    if (entry.attempt >= this.#options.tries) {
      this.#settle(entry, new TidemarkError(code, `${entry.message.subject}: ${why}, ${entry.attempt} tries.`));
      return;
    }
    const wait = Math.min(BACKOFF_MS * 2 ** (entry.attempt - 1), BACKOFF_MAX_MS);
    setTimeout(() => void this.#tryAgain(entry), wait);
  }

  async #tryAgain(entry: InFlight): Promise<void> {
    const { message } = entry;
    const outdated = message.isOutdated !== undefined && (await message.isOutdated().catch(() => false));
    if (this.#closed || entry.awaiting || !this.#inFlight.has(entry.number)) return;
    if (!outdated) this.#try(entry);
    else if (this.#forget(entry)) message.takenBack?.();
  }

  /** What was on its way when the connection broke is lost more often than not. */
  #sendAllAgain(): void {
    for (const entry of [...this.#inFlight.values()]) if (entry.awaiting) this.#failed(entry, "PUBLISH_TIMEOUT", "the connection broke");
  }

  #startWatch(): void {
    // Looked at behind the I/O of the turn: after a long block of the event loop the acknowledgements may be waiting in the socket.
    this.#watch = setInterval(() => setImmediate(() => this.#lookForTimeouts()), this.#options.ackTimeoutMs / 4);
  }

  #lookForTimeouts(): void {
    const before = performance.now() - this.#options.ackTimeoutMs;
    const late: InFlight[] = [];
    for (const entry of this.#inFlight.values()) {
      if (!entry.awaiting) continue;
      if (entry.sentAt > before) break;
      late.push(entry);
    }
    for (const entry of late) this.#failed(entry, "PUBLISH_TIMEOUT", `no acknowledgement within ${this.#options.ackTimeoutMs} ms`);
  }
}
