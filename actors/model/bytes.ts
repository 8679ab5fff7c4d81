/**
 * Canonical bytes: one value, one byte sequence. No dictionary, nothing learned from earlier values, so the
 * bytes of a row never depend on history (msgpackr's shared structures do).
 */

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const LONG_STRING = 48;
const LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  reset(): void {
    this.#length = 0;
  }

  get length(): number {
    return this.#length;
  }

  /** A copy of what was written since `reset`. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  /** A whole number from 0 to 2^53 - 1, seven bits a byte, low bits first. */
  uint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  f64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#length, value);
    this.#length += 8;
  }

  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  /** The first `count` words, each little-endian on every machine. */
  words(values: Uint32Array, count: number): void {
    this.#room(count * 4);
    if (LITTLE_ENDIAN) this.#bytes.set(new Uint8Array(values.buffer, values.byteOffset, count * 4), this.#length);
    else for (let i = 0; i < count; i++) this.#view.setUint32(this.#length + i * 4, values[i]!, true);
    this.#length += count * 4;
  }

  text(value: string): void {
    const length = value.length;
    this.#room(length * 3 + 8);
    const start = this.#length;
    this.uint(length);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.#length = start;
        this.#wideText(value);
        return;
      }
      this.#bytes[this.#length++] = code;
    }
  }

  #wideText(value: string): void {
    const encoded = utf8.encode(value);
    this.uint(encoded.length);
    this.raw(encoded);
  }

  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}

/** Reads what {@link ByteWriter} wrote. Throws RangeError behind the end: a damaged row. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  u8(): number {
    return this.#view.getUint8(this.#at++);
  }

  uint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.#view.getUint8(this.#at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  f64(): number {
    const value = this.#view.getFloat64(this.#at);
    this.#at += 8;
    return value;
  }

  u32(): number {
    const value = this.#view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }

  /** Reads `count` words into the start of `into`. */
  words(into: Uint32Array, count: number): void {
    if (this.#at + count * 4 > this.#bytes.length) throw new RangeError("a row ends inside its words");
    if (LITTLE_ENDIAN) new Uint8Array(into.buffer, into.byteOffset).set(this.#bytes.subarray(this.#at, this.#at + count * 4));
    else for (let i = 0; i < count; i++) into[i] = this.#view.getUint32(this.#at + i * 4, true);
    this.#at += count * 4;
  }

  text(): string {
    const length = this.uint();
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new RangeError("a row ends inside a text");
    if (length <= LONG_STRING) {
      let value = "";
      let i = this.#at;
      for (; i < end; i++) {
        const code = this.#bytes[i]!;
        if (code > 0x7f) break;
        value += String.fromCharCode(code);
      }
      if (i === end) {
        this.#at = end;
        return value;
      }
    }
    const value = fromUtf8.decode(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return value;
  }
}
