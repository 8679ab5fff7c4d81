/**
 * Frames on the socket: the payload's length as four bytes, least significant first, then JSON in UTF-8.
 *
 * JSON and not V8's serialisation. Measured, for requests of 400 bytes, writing and reading: 3.0 µs against 3.6 for one in
 * a frame, 2.0 against 0.9 each for 32 and for 256, of some 12 µs that a request costs both sides in all. For that one
 * microsecond each item can be written, measured and refused by itself, and what the other side sends is only ever data.
 */
import { FRAME_MAX_BYTES } from "./bounds.ts";

const HEAD_BYTES = 4;

/** What came is no frame; the connection cannot go on. */
export class FrameError extends Error {}

export function frameOf(text: string): Buffer {
  const bytes = Buffer.byteLength(text);
  if (bytes > FRAME_MAX_BYTES) throw new Error(`a frame of ${bytes} bytes was made, over the bound of ${FRAME_MAX_BYTES}`);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes);
  frame.writeUInt32LE(bytes, 0);
  frame.write(text, HEAD_BYTES);
  return frame;
}

/** Puts frames together from whatever pieces come. */
export class FrameReader {
  /** Largest payload that is taken. */
  max: number;
  #pieces: Buffer[] = [];
  #bytes = 0;
  /** With fewer bytes there is no further frame. */
  #wanted = HEAD_BYTES;

  constructor(max: number) {
    this.max = max;
  }

  /** Payloads that are whole by now, one after the other: `max` may be changed between two. Throws {@link FrameError}. */
  *read(piece: Buffer): Generator<string> {
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes < this.#wanted) return;
    const all = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces, this.#bytes);
    let at = 0;
    for (;;) {
      this.#wanted = HEAD_BYTES;
      if (all.length - at < HEAD_BYTES) break;
      const length = all.readUInt32LE(at);
      if (length === 0 || length > this.max) throw new FrameError(`A frame of ${length} bytes came; 1 to ${this.max} are taken.`);
      this.#wanted = HEAD_BYTES + length;
      if (all.length - at < this.#wanted) break;
      const text = all.toString("utf8", at + HEAD_BYTES, at + this.#wanted);
      at += this.#wanted;
      yield text;
    }
    const rest = all.subarray(at);
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
  }
}
