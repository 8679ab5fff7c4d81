/**
 * What the fold is handed because the language has no pure form of it: hashes and text codecs.
 * Each is a function of its arguments alone.
 */
export interface Primitives {
  /** SHA-256 as 64 hex digits; a string is hashed as UTF-8. */
  sha256(data: string | Uint8Array): string;
  /** SHA-256 over key (one byte a char) and value, its first 16 bytes as a number. */
  rowHash(key: string, value: Uint8Array): bigint;
  /** First 16 bytes, as 32 hex digits, of SHA-256(chain of the output before ‖ length of subject ‖ subject ‖ payload). */
  chain(previous: string, subject: string, payload: Uint8Array): string;
  /** `undefined` when the bytes are not UTF-8. */
  decodeUtf8(bytes: Uint8Array): string | undefined;
  encodeUtf8(text: string): Uint8Array;
}

/** Chain before the first output. */
export const CHAIN_START = "0".repeat(32);
