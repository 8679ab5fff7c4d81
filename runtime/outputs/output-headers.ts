/**
 * Writes the headers of outputs as bytes. A `MsgHdrs` of nats.js costs more than all the rest of a publish, and
 * publish only calls `encode()` on what it is handed.
 *
 * nats.js keeps the bytes by reference until the socket takes them, so they are never written over: they lie
 * one behind the other in slabs.
 */
import type { MsgHdrs } from "@nats-io/transport-node";
import type { Output } from "./output-stream.ts";

export const CHAIN_HEADER = "tidemark-chain";
export const OUTPUT_CONTENT_TYPE = "application/cloudevents+json";

const SLAB_BYTES = 64 * 1024;
const HEADERS_MAX_BYTES = 320;

export class OutputHeaders {
  /** To hand to publish, right after `write`. */
  readonly asMsgHdrs = this as unknown as MsgHdrs;
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #start = 0;
  #end = 0;

  write({ k, chain }: Output, previousChain: string | undefined): void {
    if (this.#end + HEADERS_MAX_BYTES > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#end = 0;
    }
    // The first output has no predecessor to name.
    const behind = k === 1 || previousChain === undefined ? "" : `Nats-Expected-Last-Msg-Id: ${previousChain}\r\n`;
    const text = `NATS/1.0\r\nNats-Expected-Last-Sequence: ${k - 1}\r\nNats-Msg-Id: ${chain}\r\n${behind}${CHAIN_HEADER}: ${chain}\r\ncontent-type: ${OUTPUT_CONTENT_TYPE}\r\n\r\n`;
    this.#start = this.#end;
    this.#end += this.#slab.write(text, this.#start, "latin1");
  }

  encode(): Uint8Array {
    return this.#slab.subarray(this.#start, this.#end);
  }
}
