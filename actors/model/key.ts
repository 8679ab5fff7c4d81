/**
 * Keys and slots: how a key travels in a subject and which slot it hashes to for ever.
 *
 * A key is any non-empty string. Written as one subject token it is its UTF-8 bytes with every
 * byte outside `A-Z a-z 0-9 - _ : @ + = , ~` replaced by `%XX` (upper-case hex), at most 256 bytes.
 * The slot is FNV-1a (32 bit) of the written token modulo 1024: nats-server's own `partition(1024, 1)`,
 * so a mapped publish and a client that computes the slot agree (server/subject_transform.go).
 */

/** Slots of a log. Fixed for ever: changing it would move almost every key. */
export const SLOTS = 1024;

/** Longest written token, in bytes. */
export const KEY_TOKEN_MAX_BYTES = 256;

/** Stands for "no valid key is known" in the subject of an output. Never a written key: `%` needs two digits. */
export const NO_KEY_TOKEN = "%";

const PLAIN = /^[A-Za-z0-9\-_:@+=,~]+$/;
const WRITTEN = /^(?:[A-Za-z0-9\-_:@+=,~]|%[0-9A-F]{2})+$/;
const HEX = "0123456789ABCDEF";
const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Writes a key as a subject token; `undefined` when it is empty, over-long or not well-formed Unicode. */
export function writeKey(key: string): string | undefined {
  if (PLAIN.test(key)) return key.length <= KEY_TOKEN_MAX_BYTES ? key : undefined;
  if (key === "" || !key.isWellFormed()) return undefined;
  let token = "";
  for (const byte of utf8.encode(key)) {
    token += isPlain(byte) ? String.fromCharCode(byte) : `%${HEX[byte >> 4]}${HEX[byte & 15]}`;
    if (token.length > KEY_TOKEN_MAX_BYTES) return undefined;
  }
  return token;
}

/** Reads a written token back; `undefined` unless it is exactly what {@link writeKey} gives for some key. */
export function readKey(token: string): string | undefined {
  if (token.length > KEY_TOKEN_MAX_BYTES) return undefined;
  if (PLAIN.test(token)) return token;
  if (!WRITTEN.test(token)) return undefined;
  const bytes = new Uint8Array(token.length);
  let length = 0;
  for (let i = 0; i < token.length; i++) {
    if (token[i] === "%") {
      bytes[length++] = Number.parseInt(token.slice(i + 1, i + 3), 16);
      i += 2;
    } else {
      bytes[length++] = token.charCodeAt(i);
    }
  }
  try {
    const key = strictUtf8.decode(bytes.subarray(0, length));
    // A token that escapes a byte it need not is another spelling of the same key: refused, or one key had two slots.
    return writeKey(key) === token ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Slot of a written token, 0 to 1023. */
export function slotOf(token: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < token.length; i++) {
    hash = Math.imul(hash ^ token.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % SLOTS;
}

function isPlain(byte: number): boolean {
  return PLAIN.test(String.fromCharCode(byte)) && byte < 128;
}
