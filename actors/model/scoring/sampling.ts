/**
 * Which events of a stream are looked at more closely: a share of them, the same ones every time. For shadow traffic, and
 * for a sample of what a cheap tier let pass.
 *
 * By MurmurHash3 (x86, 32 bit) of the id as UTF-8, seeded by the hash of the salt. It is no cryptographic hash: whoever knows the
 * salt and may choose ids can choose ones that are never in the sample.
 */

const utf8 = new TextEncoder();
const RANGE = 2 ** 32;

/**
 * Whether an id is in the sample. Another salt gives a sample that is independent of it; under one salt a smaller share
 * lies within a larger one. Throws TypeError for a share out of 0 to 1.
 */
export function sampled(id: string, share: number, salt: string): boolean {
  if (!(share >= 0 && share <= 1)) throw new TypeError(`sampled: a share is from 0 to 1, not ${share}.`);
  return murmur32(id, murmur32(salt, 0)) < share * RANGE;
}

/** From 0 to 2^32 - 1. */
export function murmur32(text: string, seed: number): number {
  return murmurOf(isAscii(text) ? text : bytewise(text), seed);
}

/** Nearly every id is ASCII, where characters and bytes are one: it needs no buffer. */
function isAscii(text: string): boolean {
  let all = 0;
  for (let i = 0; i < text.length; i++) all |= text.charCodeAt(i);
  return all < 0x80;
}

/** A text with one character for each byte of UTF-8. */
function bytewise(text: string): string {
  let result = "";
  for (const byte of utf8.encode(text)) result += String.fromCharCode(byte);
  return result;
}

function murmurOf(text: string, seed: number): number {
  const { length } = text;
  const blocks = length - (length % 4);
  let hash = seed | 0;
  for (let i = 0; i < blocks; i += 4) hash = withBlock(hash, blockAt(text, i, 4));
  return finished(hash, blockAt(text, blocks, length - blocks), length);
}

function blockAt(text: string, from: number, count: number): number {
  let block = 0;
  for (let i = count - 1; i >= 0; i--) block = (block << 8) | text.charCodeAt(from + i);
  return block;
}

function withBlock(hash: number, block: number): number {
  const joined = hash ^ mixed(block);
  return (Math.imul((joined << 13) | (joined >>> 19), 5) + 0xe6546b64) | 0;
}

function finished(before: number, tail: number, bytes: number): number {
  let hash = before ^ (bytes % 4 === 0 ? 0 : mixed(tail)) ^ bytes;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
