/**
 * The output stream of a shard in memory: the same window over a stream that refuses what JetStream refuses, with
 * the faults that tests and the simulator inject. Messages are stored at once; answers come in a later microtask.
 */
import { TidemarkError } from "../errors.ts";
import type { LastOutput, Output, OutputStream, OutputWindow, Refusal } from "./output-stream.ts";
import { PipelinedWindow, type WindowOptions } from "./pipelined-window.ts";
import { type PublishReply, REFUSALS } from "./publish-reply.ts";

export interface MemoryStreamBounds {
  /** Sum of subjects and payloads. */
  readonly bytesMax?: number;
  readonly messageBytesMax?: number;
  /** The server's clock, milliseconds. Default: one that stands still. */
  readonly now?: () => number;
}

interface StoredMessage {
  readonly subject: string;
  readonly payload: Uint8Array;
  /** Of a foreign message the empty string. */
  readonly chain: string;
}

/** What the streams of all owners of a shard share: the broker's part. It outlives them. */
export class MemoryOutputBroker {
  readonly stream: string;
  readonly #bytesMax: number;
  readonly #messageBytesMax: number;
  readonly #now: () => number;
  createdAt: number;
  /** Sequence k at k - 1; `undefined` when deleted. */
  #messages: (StoredMessage | undefined)[] = [];
  /** Of the message stored last; the server keeps it when that message is deleted. */
  #lastId: string | undefined = "";
  #bytes = 0;
  #refusals: Refusal[] = [];
  #losing = 0;
  #missing = false;
  #holding: (() => void)[] | undefined;

  constructor(stream: string, bounds: MemoryStreamBounds = {}) {
    this.stream = stream;
    this.#bytesMax = bounds.bytesMax ?? Number.POSITIVE_INFINITY;
    this.#messageBytesMax = bounds.messageBytesMax ?? 1 << 20;
    this.#now = bounds.now ?? (() => 0);
    this.createdAt = this.#now();
  }

  get lastSequence(): number {
    this.#checkThere();
    return this.#messages.length;
  }

  message(sequence: number): StoredMessage | undefined {
    this.#checkThere();
    return this.#messages[sequence - 1];
  }

  /** Stores `output` if its sequence and predecessor are as they must be. */
  publish({ k, subject, payload, chain }: Output, previousChain: string | undefined): PublishReply {
    if (this.#missing) return { code: REFUSALS.noResponder, detail: "No stream takes the subject." };
    const refused = this.#refusals.shift();
    if (refused !== undefined) return refused;
    const last = this.#messages.length;
    if (payload.length > this.#messageBytesMax) return { code: REFUSALS.tooLarge, detail: "message size exceeds maximum allowed" };
    if (last !== k - 1) return { code: REFUSALS.wrongLastSequence, detail: `wrong last sequence: ${last}` };
    if (k > 1 && previousChain !== undefined && this.#lastId !== previousChain) {
      return { code: REFUSALS.wrongLastMessageId, detail: `wrong last msg ID: ${this.#lastId ?? ""}` };
    }
    if (this.#bytes + subject.length + payload.length > this.#bytesMax) {
      return { code: REFUSALS.streamFull, detail: "maximum bytes exceeded" };
    }
    this.#store({ subject, payload: new Uint8Array(payload), chain });
    return { sequence: k, stream: this.stream };
  }

  /** Gives an answer to its window: later, never, or when `releaseAnswers` says. */
  answer(deliver: () => void): void {
    if (this.#losing > 0) this.#losing--;
    else if (this.#holding !== undefined) this.#holding.push(deliver);
    else queueMicrotask(deliver);
  }

  /** Refuses the next publish with `code`, as a broker out of order does. */
  refuseNext(code: string): void {
    this.#refusals.push({ code, detail: "injected" });
  }

  /** Somebody else writes into the stream. */
  appendForeign(subject: string, payload: Uint8Array): void {
    this.#store({ subject, payload: new Uint8Array(payload), chain: "" });
  }

  /** The tail behind `lastSequence` is lost; its numbers are given again. */
  truncate(lastSequence: number): void {
    for (const message of this.#messages.splice(lastSequence)) this.#bytes -= sizeOf(message);
    this.#lastId = this.#messages.at(-1)?.chain ?? "";
  }

  /** As nats-server does when the stream is restored from a backup, until a message is stored or it is started again. */
  forgetLastId(): void {
    this.#lastId = undefined;
  }

  /** The last message is deleted; its number is not given again. */
  deleteLast(): void {
    this.#bytes -= sizeOf(this.#messages.at(-1));
    this.#messages[this.#messages.length - 1] = undefined;
  }

  /** The next `count` answers are lost; what they answer may be stored. */
  dropAnswers(count: number): void {
    this.#losing += count;
  }

  holdAnswers(): void {
    this.#holding ??= [];
  }

  releaseAnswers(): void {
    const held = this.#holding ?? [];
    this.#holding = undefined;
    for (const deliver of held) queueMicrotask(deliver);
  }

  /** The stream is deleted; `recreate` makes an empty one. */
  delete(): void {
    this.#missing = true;
  }

  recreate(): void {
    this.truncate(0);
    this.#missing = false;
    this.createdAt = this.#now();
  }

  #store(message: StoredMessage): void {
    this.#messages.push(message);
    this.#lastId = message.chain;
    this.#bytes += sizeOf(message);
  }

  #checkThere(): void {
    if (this.#missing) throw new TidemarkError("OUTPUTS_TRUNCATED", `Stream ${this.stream} is gone.`);
  }
}

/** One owner's view of the broker. */
export class MemoryOutputStream implements OutputStream {
  readonly stream: string;
  readonly #broker: MemoryOutputBroker;
  readonly #options: WindowOptions;

  constructor(broker: MemoryOutputBroker, options: WindowOptions = {}) {
    this.stream = broker.stream;
    this.#broker = broker;
    this.#options = options;
  }

  async last(): Promise<LastOutput> {
    const sequence = this.#broker.lastSequence;
    return { sequence, chain: this.#broker.message(sequence)?.chain || undefined };
  }

  async createdAt(): Promise<number> {
    return this.#broker.createdAt;
  }

  async get(k: number): Promise<Output | undefined> {
    const message = this.#broker.message(k);
    return message === undefined ? undefined : { k, ...message, payload: new Uint8Array(message.payload) };
  }

  open(k: number, chain: string, unnamed = false): OutputWindow {
    const broker = this.#broker;
    const window: PipelinedWindow = new PipelinedWindow(
      k,
      unnamed ? undefined : chain,
      {
        stream: this.stream,
        publish(output, previousChain, ask) {
          const reply = broker.publish(output, previousChain);
          if (ask) broker.answer(() => window.answered(output.k, reply));
        },
        closed() {},
      },
      this.#options,
    );
    return window;
  }
}

function sizeOf(message: StoredMessage | undefined): number {
  return message === undefined ? 0 : message.subject.length + message.payload.length;
}
