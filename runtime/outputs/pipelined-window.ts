/**
 * The window of unacknowledged outputs, the same over JetStream and in memory: what was sent, what is known to be
 * stored, and why it stopped. It neither compares nor retries: a refused window is dead and its owner decides.
 *
 * Acknowledgements are cumulative, because every message expects its predecessor; so only every n-th message asks
 * for one. A message that does not ask gets no error either: the next one that asks is refused and shows it.
 * The last message is held back until the next send or `flush`, so that it can still ask.
 */
import assert from "node:assert/strict";
import type { Output, OutputWindow, Refusal } from "./output-stream.ts";
import { type PublishReply, REFUSALS } from "./publish-reply.ts";

export interface WindowOptions {
  /** Unacknowledged messages at most. Default 2,048. */
  readonly messagesMax?: number;
  /** Unacknowledged payload bytes; one output may exceed it. Default 8 MiB. */
  readonly bytesMax?: number;
  /** Every n-th message asks for an acknowledgement. Default 32. */
  readonly askEvery?: number;
  /** No acknowledgement for so long while one is due: `NO_ACK`. Default 5 s. */
  readonly ackTimeoutMs?: number;
}

export interface WindowTransport {
  readonly stream: string;
  /** Sends `output` behind the one with `previousChain`, if that is named. Throws when it cannot be sent at all. */
  publish(output: Output, previousChain: string | undefined, ask: boolean): void;
  /** The window listens no more. */
  closed(): void;
}

export class PipelinedWindow implements OutputWindow {
  onAcknowledged: ((k: number) => void) | undefined;
  readonly #transport: WindowTransport;
  readonly #messagesMax: number;
  readonly #bytesMax: number;
  readonly #askEvery: number;
  readonly #ackTimeoutMs: number;
  /** Payload bytes of output k at k modulo `messagesMax`. */
  readonly #sizes: Int32Array;
  #acknowledged: number;
  #refusal: Refusal | undefined;
  #sent: number;
  /** Of the message sent last; `undefined` when the next one does not name it. */
  #sentChain: string | undefined;
  #asked: number;
  #bytes = 0;
  #held: Output | undefined;
  #heldBehind: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(k: number, chain: string | undefined, transport: WindowTransport, options: WindowOptions) {
    this.#transport = transport;
    this.#messagesMax = options.messagesMax ?? 2_048;
    this.#bytesMax = options.bytesMax ?? 8 << 20;
    this.#askEvery = options.askEvery ?? 32;
    this.#ackTimeoutMs = options.ackTimeoutMs ?? 5_000;
    this.#sizes = new Int32Array(this.#messagesMax);
    this.#acknowledged = k;
    this.#sent = k;
    this.#asked = k;
    this.#sentChain = chain;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  hasRoom(): boolean {
    return this.#sent - this.#acknowledged < this.#messagesMax && this.#bytes < this.#bytesMax;
  }

  send(output: Output): void {
    assert(!this.#closed && this.#refusal === undefined, "a dead window sends nothing");
    assert.equal(output.k, this.#sent + 1, "outputs are sent in order");
    assert(this.hasRoom(), "the window is full");
    this.#publishHeld(false);
    this.#held = output;
    this.#heldBehind = this.#sentChain;
    this.#sent = output.k;
    this.#sentChain = output.chain;
    this.#sizes[output.k % this.#messagesMax] = output.payload.length;
    this.#bytes += output.payload.length;
    // A full window that has not asked would wait for ever.
    if (output.k - this.#asked >= this.#askEvery || !this.hasRoom()) this.#publishHeld(true);
  }

  flush(): void {
    if (!this.#closed) this.#publishHeld(true);
  }

  changed(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(), timeoutMs);
      const done = () => {
        clearTimeout(timer);
        const at = this.#waiting.indexOf(done);
        if (at >= 0) this.#waiting.splice(at, 1);
        resolve();
      };
      this.#waiting.push(done);
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#transport.closed();
    this.#wake();
  }

  /** The answer to output `k` of this window. */
  answered(k: number, reply: PublishReply): void {
    if (this.#closed || this.#refusal !== undefined || k <= this.#acknowledged) return;
    if ("code" in reply) this.#refuse(reply);
    else if (reply.sequence !== k || reply.stream !== this.#transport.stream) {
      this.#refuse({ code: REFUSALS.misnumbered, detail: `Output ${k} was acknowledged as ${reply.stream} ${reply.sequence}.` });
    } else this.#acknowledge(k);
  }

  #publishHeld(ask: boolean): void {
    const output = this.#held;
    if (output === undefined || this.#refusal !== undefined) return;
    this.#held = undefined;
    try {
      this.#transport.publish(output, this.#heldBehind, ask);
    } catch (error) {
      this.#refuse(unsent(output, error));
      return;
    }
    if (!ask) return;
    this.#asked = output.k;
    if (this.#timer === undefined) this.#await();
  }

  #acknowledge(k: number): void {
    for (let stored = this.#acknowledged + 1; stored <= k; stored++) this.#bytes -= this.#sizes[stored % this.#messagesMax]!;
    this.#acknowledged = k;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#asked > k) this.#await();
    this.onAcknowledged?.(k);
    this.#wake();
  }

  #await(): void {
    const acknowledged = this.#acknowledged;
    this.#timer = setTimeout(() => {
      // A thread that was busy for long finds its timer due before it has read what arrived: sockets are read first.
      setImmediate(() => {
        if (this.#closed || this.#acknowledged !== acknowledged) return;
        this.#refuse({ code: REFUSALS.noAck, detail: `No acknowledgement of output ${this.#asked} within ${this.#ackTimeoutMs} ms.` });
      });
    }, this.#ackTimeoutMs);
  }

  #refuse(refusal: Refusal): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = { code: refusal.code, detail: refusal.detail };
    clearTimeout(this.#timer);
    this.#wake();
  }

  #wake(): void {
    for (const done of this.#waiting.splice(0)) done();
  }
}

function unsent(output: Output, error: unknown): Refusal {
  const message = error instanceof Error ? error.message : String(error);
  const code = message.includes("max_payload") ? REFUSALS.tooLarge : REFUSALS.connectionClosed;
  return { code, detail: `Output ${output.k} cannot be sent: ${message}.` };
}
