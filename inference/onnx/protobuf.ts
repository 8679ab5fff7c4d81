/**
 * Protocol buffers by tables: reads and writes the wire format of messages that are described by a `MessageShape`.
 * Bytes are not trusted: depth and number of items are bounded, every length is checked, and all that is wrong is one
 * `ProtobufError`. Fields that a shape does not know are kept as they came, so that what was read can be written again.
 */
import { PROTOBUF_DEPTH_MAX, PROTOBUF_ITEMS_MAX } from "./bounds.ts";

/** `int64` and `uint64` are bigint; `size` is an int64 that must be a safe integer. */
type ScalarKind = "int32" | "int64" | "uint64" | "size" | "float" | "double" | "string" | "bytes";

interface FieldShape {
  readonly number: number;
  readonly name: string;
  /** A function for a message, as messages may have themselves as fields. */
  readonly kind: ScalarKind | (() => MessageShape);
  readonly many: boolean;
}

export interface MessageShape {
  readonly name: string;
  readonly fields: readonly FieldShape[];
}

type Message = Record<string, unknown>;

export class ProtobufError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ProtobufError";
  }
}

export function one(number: number, name: string, kind: FieldShape["kind"]): FieldShape {
  return { number, name, kind, many: false };
}

export function many(number: number, name: string, kind: FieldShape["kind"]): FieldShape {
  return { number, name, kind, many: true };
}

/** Bytes within the message are views of `bytes`, not copies. */
export function decodeMessage(shape: MessageShape, bytes: Uint8Array): Message {
  return new Reader(bytes).message(shape, bytes.length, 0);
}

export function encodeMessage(shape: MessageShape, message: Message): Uint8Array {
  const writer = new Writer();
  writer.message(shape, message, 0);
  return writer.finish();
}

const WIRE_VARINT = 0;
const WIRE_64 = 1;
const WIRE_BYTES = 2;
const WIRE_32 = 5;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const TO_UTF8 = new TextEncoder();

function wireOf(kind: FieldShape["kind"]): number {
  if (kind === "float") return WIRE_32;
  if (kind === "double") return WIRE_64;
  return typeof kind === "function" || kind === "string" || kind === "bytes" ? WIRE_BYTES : WIRE_VARINT;
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #items = 0;

  constructor(bytes: Uint8Array) {
    // Views of a Buffer would be Buffers, which are not equal to plain bytes.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  message(shape: MessageShape, end: number, depth: number): Message {
    if (depth > PROTOBUF_DEPTH_MAX) throw new ProtobufError(`messages within messages deeper than ${PROTOBUF_DEPTH_MAX}`);
    const message: Message = {};
    for (const field of shape.fields) if (field.many) message[field.name] = [];
    const unknown: Uint8Array[] = [];
    while (this.#at < end) {
      const start = this.#at;
      const tag = this.#unsigned32(end);
      const number = tag >>> 3;
      const wire = tag & 7;
      if (number === 0) throw new ProtobufError(`no field has the number 0 (${shape.name}, byte ${start})`);
      const field = shape.fields.find((each) => each.number === number);
      if (field === undefined) {
        this.#skip(wire, end);
        this.#count();
        unknown.push(this.#bytes.subarray(start, this.#at));
      } else this.#field(shape, field, wire, message, end, depth);
    }
    if (unknown.length > 0) message.unknown = joined(unknown);
    return message;
  }

  #field(shape: MessageShape, field: FieldShape, wire: number, message: Message, end: number, depth: number): void {
    const own = wireOf(field.kind);
    if (field.many && own !== WIRE_BYTES && wire === WIRE_BYTES) {
      const packedEnd = this.#lengthEnd(end);
      const list = message[field.name] as unknown[];
      while (this.#at < packedEnd) list.push(this.#value(field, packedEnd, depth));
      return;
    }
    if (wire !== own) throw new ProtobufError(`${shape.name}.${field.name} is of wire type ${wire}, not ${own}`);
    if (typeof field.kind === "function" && message[field.name] !== undefined && !field.many) {
      // Others would merge the two: no writer of models makes such, and two readings of one model must not differ.
      throw new ProtobufError(`${shape.name}.${field.name} is there twice`);
    }
    const value = this.#value(field, end, depth);
    if (field.many) (message[field.name] as unknown[]).push(value);
    else message[field.name] = value;
  }

  #value({ kind, name }: FieldShape, end: number, depth: number): unknown {
    this.#count();
    if (kind === "float") return this.#view.getFloat32(this.#advance(4, end), true);
    if (kind === "double") return this.#view.getFloat64(this.#advance(8, end), true);
    if (wireOf(kind) === WIRE_VARINT) return integer(kind as ScalarKind, name, this.#varint(end));
    const valueEnd = this.#lengthEnd(end);
    if (typeof kind === "function") return this.message(kind(), valueEnd, depth + 1);
    const bytes = this.#bytes.subarray(this.#at, valueEnd);
    this.#at = valueEnd;
    if (kind === "bytes") return bytes;
    try {
      return UTF8.decode(bytes);
    } catch {
      throw new ProtobufError(`${name} is no UTF-8`);
    }
  }

  #count(): void {
    this.#items += 1;
    if (this.#items > PROTOBUF_ITEMS_MAX) throw new ProtobufError(`more than ${PROTOBUF_ITEMS_MAX} items`);
  }

  #skip(wire: number, end: number): void {
    if (wire === WIRE_VARINT) this.#varint(end);
    else if (wire === WIRE_64) this.#advance(8, end);
    else if (wire === WIRE_32) this.#advance(4, end);
    else if (wire === WIRE_BYTES) this.#at = this.#lengthEnd(end);
    else throw new ProtobufError(`unknown wire type ${wire} (byte ${this.#at})`);
  }

  #lengthEnd(end: number): number {
    const length = this.#unsigned32(end);
    if (length > end - this.#at)
      throw new ProtobufError(`cut off: ${length} bytes are said to follow byte ${this.#at}, ${end - this.#at} do`);
    return this.#at + length;
  }

  #advance(count: number, end: number): number {
    const at = this.#at;
    if (count > end - at) throw new ProtobufError(`cut off at byte ${at}`);
    this.#at = at + count;
    return at;
  }

  #unsigned32(end: number): number {
    const value = this.#varint(end);
    if (value > 0xffff_ffffn) throw new ProtobufError(`a tag or length over 32 bits (before byte ${this.#at})`);
    return Number(value);
  }

  #varint(end: number): bigint {
    // Most are short, and bigint is slow.
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#bytes[this.#advance(1, end)]!;
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#advance(1, end)]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError(`a number longer than ten bytes (before byte ${this.#at})`);
  }
}

function integer(kind: ScalarKind, name: string, value: bigint): number | bigint {
  if (kind === "uint64") return value;
  const signed = BigInt.asIntN(64, value);
  if (kind === "int64") return signed;
  if (kind === "int32") return Number(BigInt.asIntN(32, signed));
  const size = Number(signed);
  if (!Number.isSafeInteger(size)) throw new ProtobufError(`${name} is ${signed}, which is no size`);
  return size;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

class Writer {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  message(shape: MessageShape, message: Message, depth: number): void {
    if (depth > PROTOBUF_DEPTH_MAX) throw new ProtobufError(`messages within messages deeper than ${PROTOBUF_DEPTH_MAX}`);
    for (const field of shape.fields) {
      const value = message[field.name];
      if (value === undefined) continue;
      if (!field.many) this.#field(field, value, depth);
      else if (wireOf(field.kind) === WIRE_BYTES) for (const each of value as readonly unknown[]) this.#field(field, each, depth);
      else this.#packed(field, value as readonly unknown[], depth);
    }
    if (message.unknown !== undefined) this.#append(message.unknown as Uint8Array);
  }

  #field(field: FieldShape, value: unknown, depth: number): void {
    this.#varint(BigInt((field.number << 3) | wireOf(field.kind)));
    this.#value(field, value, depth);
  }

  #packed(field: FieldShape, values: readonly unknown[], depth: number): void {
    if (values.length === 0) return;
    const inner = new Writer();
    for (const value of values) inner.#value(field, value, depth);
    this.#varint(BigInt((field.number << 3) | WIRE_BYTES));
    this.#prefixed(inner.finish());
  }

  #value({ kind, name }: FieldShape, value: unknown, depth: number): void {
    if (kind === "float") {
      const at = this.#grow(4);
      this.#view.setFloat32(at, value as number, true);
    } else if (kind === "double") {
      const at = this.#grow(8);
      this.#view.setFloat64(at, value as number, true);
    } else if (kind === "string") this.#prefixed(TO_UTF8.encode(value as string));
    else if (kind === "bytes") this.#prefixed(value as Uint8Array);
    else if (typeof kind === "function") {
      const inner = new Writer();
      inner.message(kind(), value as Message, depth + 1);
      this.#prefixed(inner.finish());
    } else {
      if (typeof value === "number" && !Number.isSafeInteger(value)) throw new ProtobufError(`${name} is ${value}, which is no integer`);
      this.#varint(BigInt.asUintN(64, BigInt(value as number | bigint)));
    }
  }

  #prefixed(bytes: Uint8Array): void {
    this.#varint(BigInt(bytes.length));
    this.#append(bytes);
  }

  #append(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
  }

  #varint(value: bigint): void {
    let left = value;
    while (left > 0x7fn) {
      this.#byte(Number(left & 0x7fn) | 0x80);
      left >>= 7n;
    }
    this.#byte(Number(left));
  }

  #byte(byte: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = byte;
  }

  /** Where `count` bytes more have their place. */
  #grow(count: number): number {
    // Replaces `#bytes` and `#view`: they are looked at after it.
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
      this.#view = new DataView(larger.buffer);
    }
    return at;
  }
}
