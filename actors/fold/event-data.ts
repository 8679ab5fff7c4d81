/**
 * What the data of an event is, whichever mode brought it. Bytes and their content type mean the same as the payload of
 * binary mode, in `data_base64`, and written as a text in `data`; so an event has one content in every mode, and its
 * duplicate is known when it comes in another one.
 *
 *   JSON, or no content type                       the JSON value
 *   octet-stream, image, audio, video, font        base64 of the bytes
 *   anything else                                  the text, or base64 of the bytes when they are no UTF-8
 */

/** A member of the JSON format: exactly one of the two. */
export type JsonMember = { readonly data: unknown } | { readonly data_base64: string };

export interface RefusedData {
  readonly code: "bad-attribute" | "not-json";
  readonly reason: string;
}

const OPAQUE = /^(?:application\/octet-stream$|(?:image|audio|video|font)\/)/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** Arguments of one call; far below what a stack holds. */
const CHARS_AT_ONCE = 8_192;

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8 = new TextEncoder();

/** Type and subtype of a content type, in lower case, without parameters; "" for none. */
export function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return "";
  const end = contentType.indexOf(";");
  return (end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** Whether data of this media type is JSON. Without one it is. */
export function isJson(type: string): boolean {
  return type === "" || type.endsWith("/json") || type.endsWith("+json");
}

/** The payload of binary mode as a member of the JSON format; `undefined` when it is to be JSON and is none. */
export function memberOf(payload: Uint8Array, type: string): JsonMember | undefined {
  if (OPAQUE.test(type)) return { data_base64: toBase64(payload) };
  const text = textOf(payload);
  if (!isJson(type)) return text === undefined ? { data_base64: toBase64(payload) } : { data: text };
  const value = text === undefined ? undefined : parsed(text);
  return value === undefined ? undefined : { data: value };
}

/** The data of an event in the JSON format; `null` when it has none. */
export function readData(event: Readonly<Record<string, unknown>>): { readonly value: unknown } | RefusedData {
  const { data, data_base64: encoded, datacontenttype } = event;
  const declared = typeof datacontenttype === "string" ? datacontenttype : undefined;
  const type = mediaType(declared);
  if (encoded === undefined || encoded === null) {
    // A text under a type of bytes is those bytes.
    const isBytes = typeof data === "string" && data.isWellFormed() && OPAQUE.test(type);
    return { value: isBytes ? toBase64(utf8.encode(data)) : (data ?? null) };
  }
  if (data !== undefined && data !== null) return { code: "bad-attribute", reason: "data and data_base64 are both there" };
  const bytes = typeof encoded === "string" ? fromBase64(encoded) : undefined;
  if (bytes === undefined) return { code: "bad-attribute", reason: "data_base64 is not base64 with its padding" };
  // Nothing says what the bytes are.
  if (declared === undefined) return { value: toBase64(bytes) };
  const member = memberOf(bytes, type);
  if (member === undefined) return { code: "not-json", reason: "data_base64 is not the JSON that datacontenttype says" };
  return { value: "data" in member ? member.data : member.data_base64 };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** `undefined` is no JSON value. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !BASE64.test(text)) return undefined;
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHARS_AT_ONCE) binary += String.fromCharCode(...bytes.subarray(at, at + CHARS_AT_ONCE));
  return btoa(binary);
}
