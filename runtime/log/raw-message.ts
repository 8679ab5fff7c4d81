/**
 * What a delivered message carries, read from its bytes: subject, headers, and the numbers of the acknowledgement subject.
 * The client's own getters make a string of each and a map of the headers for every message (three times the cost of the rest of
 * the way); its parsed bytes are read instead where they are found, else the getters: both give the same.
 */
import type { Msg } from "@nats-io/transport-node";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const DOT = 46;
const ZERO = 48;

/** The parsed bytes inside the client's message (nats-core 3.4, `MsgImpl`). */
interface RawMsg {
  readonly _msg?: { readonly subject?: Uint8Array; readonly reply?: Uint8Array; readonly hdr?: number };
  readonly _rdata?: Uint8Array;
}

export function subjectOf(msg: Msg): string {
  const bytes = (msg as unknown as RawMsg)._msg?.subject;
  return bytes === undefined ? msg.subject : textOf(bytes);
}

export function replyBytesOf(msg: Msg): Uint8Array | undefined {
  const raw = (msg as unknown as RawMsg)._msg;
  if (raw !== undefined) return raw.reply;
  return msg.reply === undefined || msg.reply === "" ? undefined : Buffer.from(msg.reply);
}

/** What the server counts against `max_bytes` of a pull: subject, acknowledgement subject, headers and payload. */
export function messageBytes(msg: Msg): number {
  const { _msg, _rdata } = msg as unknown as RawMsg;
  if (_msg?.subject !== undefined && _rdata !== undefined) return _msg.subject.length + (_msg.reply?.length ?? 0) + _rdata.length;
  return msg.subject.length + (msg.reply?.length ?? 0) + (headerBytesOf(msg)?.length ?? 0) + msg.data.length;
}

/** The header block; `undefined` when the message has none. */
export function headerBytesOf(msg: Msg): Uint8Array | undefined {
  const { _msg, _rdata } = msg as unknown as RawMsg;
  if (_msg?.hdr !== undefined && _rdata !== undefined) return _msg.hdr > 0 ? _rdata.subarray(0, _msg.hdr) : undefined;
  if (msg.headers === undefined) return undefined;
  let block = `NATS/1.0${msg.headers.code > 0 ? ` ${msg.headers.code} ${msg.headers.description}` : ""}\r\n`;
  for (const [name, values] of msg.headers) for (const value of values) block += `${name}: ${value}\r\n`;
  return Buffer.from(`${block}\r\n`);
}

/** Names in lower case, the last value wins. */
export function decodeHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  const lines = textOf(block).split("\r\n");
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!;
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return headers;
}

export interface Status {
  readonly code: number;
  readonly description: string;
}

/** The status in the first line of a header block (`NATS/1.0 409 Batch Completed`); `undefined` when it has none. */
export function statusOf(block: Uint8Array): Status | undefined {
  if (block[8] !== 32) return undefined;
  const line = textOf(block.subarray(9, Math.max(9, block.indexOf(13))));
  const code = Number.parseInt(line, 10);
  return code > 0 ? { code, description: line.slice(4) } : undefined;
}

/** Names, in a subject or header, are short and nearly always ASCII: a decoder's call costs more than the text. */
function textOf(bytes: Uint8Array): string {
  if (bytes.length > 64) return utf8.decode(bytes);
  let text = "";
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte > 127) return utf8.decode(bytes);
    text += String.fromCharCode(byte);
  }
  return text;
}

/**
 * Reads the numbers of acknowledgement subjects:
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>.<consumer sequence>.<timestamp ns>.<pending>` (9 tokens) or
 * `$JS.ACK.<domain>.<account>.<stream>.<consumer>.…[.<random>]` (11 or 12). The fields are those of the subject read last.
 */
export class AckSubject {
  streamSequence = 0;
  consumerSequence = 0;
  /** Whole milliseconds. */
  timestampMs = 0;
  /** Messages of the stream behind this one, when it was sent. */
  pending = 0;
  #numbersFrom = -1;

  /**
   * False when the subject has another shape. All subjects of a consumer begin alike, so the place of the numbers is kept; a
   * consumer sequence other than the expected one makes it look again.
   */
  read(reply: Uint8Array, expectedConsumerSequence: number): boolean {
    if (this.#numbersFrom >= 0) {
      this.#readFrom(reply);
      if (this.consumerSequence === expectedConsumerSequence) return true;
    }
    this.#numbersFrom = numbersOffset(reply);
    if (this.#numbersFrom < 0) return false;
    this.#readFrom(reply);
    return true;
  }

  #readFrom(reply: Uint8Array): void {
    let at = tokenEnd(reply, this.#numbersFrom) + 1;
    let end = tokenEnd(reply, at);
    this.streamSequence = digits(reply, at, end);
    at = end + 1;
    end = tokenEnd(reply, at);
    this.consumerSequence = digits(reply, at, end);
    at = end + 1;
    end = tokenEnd(reply, at);
    // Nanoseconds do not fit a double; without the last six digits they are the milliseconds, rounded down.
    this.timestampMs = digits(reply, at, end - 6);
    at = end + 1;
    this.pending = digits(reply, at, tokenEnd(reply, at));
  }
}

/** Where `<delivered>` begins: behind token 4 of 9, token 6 of 11 or 12; -1 when the subject has another shape. */
function numbersOffset(reply: Uint8Array): number {
  let tokens = 1;
  let fifth = 0;
  let seventh = 0;
  for (let i = 0; i < reply.length; i++) {
    if (reply[i] !== DOT) continue;
    tokens++;
    if (tokens === 5) fifth = i + 1;
    else if (tokens === 7) seventh = i + 1;
  }
  if (tokens === 9) return fifth;
  return tokens === 11 || tokens === 12 ? seventh : -1;
}

function tokenEnd(bytes: Uint8Array, from: number): number {
  let end = from;
  while (end < bytes.length && bytes[end] !== DOT) end++;
  return end;
}

function digits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) value = value * 10 + (bytes[i]! - ZERO);
  return value;
}
